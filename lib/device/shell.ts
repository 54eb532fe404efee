import type { DeviceTarget } from '../model/device.ts';
import { quote } from './agent.ts';

/** Where an interactive shell begins, and with which variables beside the login's own. */
export interface ShellPlace {
  readonly cwd: string;
  readonly env: { readonly [name: string]: string };
}

/**
 * The system's `ssh` with a terminal, to a shell on a device. ssh_config stays in force (jump hosts, security keys);
 * what Slipway does not leave to it is that the host key must be known, and that no agent is forwarded.
 */
export function shellArgv({ host, port, user, key, knownHosts }: DeviceTarget, place: ShellPlace): readonly string[] {
  return [
    'ssh',
    '-t',
    ...['StrictHostKeyChecking=yes', 'ForwardAgent=no', 'ControlPath=none'].flatMap((option) => ['-o', option]),
    ...(knownHosts === null
      ? []
      : ['-o', `UserKnownHostsFile="${knownHosts}"`, '-o', 'GlobalKnownHostsFile=/dev/null']),
    ...(key === null ? [] : ['-o', 'IdentitiesOnly=yes', '-i', key]),
    ...(port === null ? [] : ['-p', String(port)]),
    ...(user === null ? [] : ['-l', user]),
    '--',
    host,
    shellCommand(place),
  ];
}

/** Runs in the login shell, whichever that is: words that sh, fish and csh all take. */
function shellCommand({ cwd, env }: ShellPlace): string {
  const variables = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`));
  return `cd ${quote(cwd)} && exec env ${variables.join(' ')} "$SHELL" -l`;
}
