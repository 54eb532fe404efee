import type { Sshd } from '../device/sshd.ts';
import type { Project } from './project.ts';

/** Configures a project's device `board` as the given sshd. */
export function useBoard(
  project: Project,
  { device, root }: Sshd,
  more: { readonly [name: string]: string } = {},
): void {
  const settings = {
    BOARD_HOST: device.host,
    BOARD_PORT: String(device.port),
    BOARD_USER: device.user ?? '',
    BOARD_KEY: device.key ?? '',
    BOARD_KNOWN_HOSTS: device.knownHosts ?? '',
    BOARD_ROOT: root,
    BOARD_SUPERVISOR: 'plain',
    ...more,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  project.write('.env.board', lines.join(''));
}
