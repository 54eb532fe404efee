import { dirname, join } from 'node:path';
import { volumeOf } from './disk.ts';
import { must, run } from './run.ts';
import type { BoardPorts, BoardSize } from './settings.ts';

/** What a board's container is made from. */
export interface ContainerPlan {
  readonly name: string;
  readonly image: string;
  readonly folder: string;
  readonly key: string;
  readonly ports: BoardPorts;
  readonly size: BoardSize;
  /** Who answers for it, as a label; null for a person's board. */
  readonly owner: string | null;
}

/**
 * What systemd as the first process needs, and what root may do on a machine of its own (look into others' processes,
 * say), with docker's own limits for the rest. Its control groups are private, and /etc/board/init.sh opens them.
 */
const AS_A_MACHINE = [
  '--cgroupns=private',
  ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYS_NICE'].flatMap((name) => ['--cap-add', name]),
  ...['--security-opt', 'seccomp=unconfined', '--security-opt', 'apparmor=unconfined'],
  ...['--tmpfs', '/run', '--tmpfs', '/run/lock', '--env', 'container=docker', '--stop-signal', 'SIGRTMIN+3'],
];

/** Makes a board's container, with its keys in it, and does not start it. */
export async function createContainer({ name, image, folder, key, ports, size, owner }: ContainerPlan): Promise<void> {
  const memory = `${String(size.memoryMb)}m`;
  await must([
    ...['docker', 'create', '--name', name, '--hostname', name, ...AS_A_MACHINE],
    ...['--memory', memory, '--memory-swap', memory, '--volume', `${volumeOf(name)}:/srv`],
    ...['--publish', `127.0.0.1:${String(ports.ssh)}:22`],
    ...['--publish', `127.0.0.1:${String(ports.http)}:${String(ports.http)}`],
    ...['--label', `slipway.testbed=${folder}`],
    ...(owner === null ? [] : ['--label', `slipway.testbed.owner=${owner}`]),
    image,
  ]);
  const files: readonly (readonly [from: string, to: string])[] = [
    [join(folder, 'host_key'), 'ssh_host_ed25519_key'],
    [join(folder, 'host_key.pub'), 'ssh_host_ed25519_key.pub'],
    [`${key}.pub`, 'board_keys'],
  ];
  for (const [from, to] of files) await must(['docker', 'cp', from, `${name}:/etc/ssh/${to}`]);
}

/** What docker knows of a board's container; null when there is none. */
export interface ContainerState {
  readonly running: boolean;
  readonly startedAt: string;
  readonly image: string;
  /** The folder of the testbed that made it; '' for a container that is no board. */
  readonly folder: string;
}

export async function containerState(name: string): Promise<ContainerState | null> {
  const { status, stdout } = await run(['docker', 'container', 'inspect', name]);
  if (status !== 0) return null;
  const [found] = JSON.parse(stdout) as {
    readonly State: { readonly Running: boolean; readonly StartedAt: string };
    readonly Config: { readonly Image: string; readonly Labels: { readonly [name: string]: string } | null };
  }[];
  return {
    running: found?.State.Running ?? false,
    startedAt: found?.State.StartedAt ?? '',
    image: found?.Config.Image ?? '',
    folder: found?.Config.Labels?.['slipway.testbed'] ?? '',
  };
}

/** A board that docker knows, whichever testbed made it. */
export interface ListedBoard {
  readonly name: string;
  /** Its testbed's folder. */
  readonly state: string;
  /** Who answers for it; '' for a person's board. */
  readonly owner: string;
}

export async function allBoards(): Promise<readonly ListedBoard[]> {
  const format = '{{.Names}}\t{{.Label "slipway.testbed"}}\t{{.Label "slipway.testbed.owner"}}';
  const listed = await must(['docker', 'ps', '--all', '--filter', 'label=slipway.testbed', '--format', format]);
  return listed
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name = '', folder = '', owner = ''] = line.split('\t');
      return { name, state: dirname(folder), owner };
    });
}
