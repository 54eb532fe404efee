/** The machines that uploads are measured on, and what they are measured beside. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceTarget } from '../lib/model/device.ts';
import { build } from 'esbuild';
import { ensureDaemon } from '../scripts/testbed/daemon.ts';
import { Board } from '../scripts/testbed/board.ts';
import { targetOf } from '../test/board/target.ts';
import { shapedLink } from './link.ts';
import type { BenchTree } from './trees.ts';
import type { UploadTook } from './upload-run.ts';

/** 20 ms there and back, 100 Mbit/s. */
const SLOW = { delayMs: 10, bytesPerS: 12_500_000 };

/** A way to a machine: what this project's own upload is told, and what others are. */
export interface Way {
  readonly device: DeviceTarget;
  readonly ssh: readonly string[];
}

/** A machine, by loopback and over a slow link. */
export interface Machine {
  readonly near: Way;
  readonly far: Way;
  stop(): Promise<void>;
}

/** What takes a tree to a folder that is there. */
export type Peer = (way: Way, tree: BenchTree, into: string) => readonly string[];

const at = ({ device }: Way): string => `${device.user ?? ''}@127.0.0.1`;

export const tar: Peer = (way, { from }, into) => [
  'sh',
  '-c',
  `tar -C '${from}/tree' -cf - . | ${way.ssh.join(' ')} ${at(way)} "tar -C '${into}' -xf -"`,
];
export const rsync: Peer = (way, { from }, into) => [
  ...['rsync', '-a', '-e', way.ssh.join(' ')],
  ...[`${from}/tree/`, `${at(way)}:${into}/`],
];
export const scp: Peer = (way, { from }, into) => [
  ...['scp', '-q', '-r', ...way.ssh.slice(1).map((word) => (word === '-p' ? '-P' : word))],
  ...[`${from}/tree`, `${at(way)}:${into}/`],
];

/** The stand-in board, as boards are: releases are root's, and systemd runs services as others. */
export async function standInBoard(): Promise<Machine> {
  await ensureDaemon();
  const state = mkdtempSync(join(tmpdir(), 'slipway-bench-board-'));
  const id = { name: `slipway-bench-${String(process.pid)}`, state };
  // Room for what stays of every round.
  const board = await Board.up({ ...id, size: { diskMb: 8192 } });
  const key = (await board.must(['cat', '/etc/ssh/ssh_host_ed25519_key.pub'])).split(' ').slice(0, 2).join(' ');
  return machine(targetOf(board, 'root', { supervisor: 'systemd' }), [key], async () => {
    await Board.remove(id);
    rmSync(state, { recursive: true, force: true });
  });
}

async function machine(device: DeviceTarget, hostKeys: readonly string[], stop: () => Promise<void>): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-keys-'));
  const wayTo = (port: number): Way => {
    const knownHosts = join(folder, String(port));
    writeFileSync(knownHosts, hostKeys.map((key) => `[127.0.0.1]:${String(port)} ${key}\n`).join(''));
    const options = [`UserKnownHostsFile=${knownHosts}`, 'BatchMode=yes'].flatMap((option) => ['-o', option]);
    const ssh = ['ssh', '-F', 'none', '-p', String(port), '-i', device.key ?? '', ...options];
    return { device: { ...device, port, knownHosts }, ssh };
  };
  const link = await shapedLink(device.port ?? 22, SLOW);
  return {
    near: wayTo(device.port ?? 22),
    far: wayTo(link.port),
    async stop() {
      await link.close();
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * A new folder on a machine; what one measurement leaves for the disk to write is not the next one's. It stays there
 * until the machine goes: ext4 looks at every file that was removed in the last minutes before it makes a new one, which
 * takes twenty times as long as the rest.
 */
async function within<T>({ near }: Machine, act: (folder: string) => Promise<T>): Promise<T> {
  const folder = `${near.device.root}/to-${String(++turn)}`;
  await run([...near.ssh, at(near), `mkdir -p ${folder} && sync`]);
  return act(folder);
}

let turn = 0;

const settled = ({ near }: Machine): Promise<unknown> => run([...near.ssh, at(near), 'sync']);

/** How long somebody else takes, in ms; `before` is what they find there. */
export function others(machine: Machine, way: Way, peer: Peer, tree: BenchTree, before?: BenchTree): Promise<number> {
  return within(machine, async (folder) => {
    if (before) await run(rsync(machine.near, before, folder)).then(() => settled(machine));
    return (await run(peer(way, tree, folder))).ms;
  });
}

const ROOT = join(import.meta.dirname, '..');
/** Where the agent's folder lies as it does from a module of ours: two levels up. */
const BUNDLE = join(ROOT, '.slipway/bench/upload-run.mjs');

/** One bundled file, as the launcher runs what people have: a loader of TypeScript in the process would be measured, too. */
const bundle = (): Promise<unknown> =>
  (bundled ??= build({
    ...{ entryPoints: [join(import.meta.dirname, 'upload-run.ts')], outfile: BUNDLE, logLevel: 'error' },
    ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external' },
  }));
let bundled: Promise<unknown> | undefined;

/** How long this takes, from before the connection to after its end. */
export async function own(machine: Machine, way: Way, tree: BenchTree, before?: BenchTree): Promise<UploadTook> {
  await bundle();
  const upload = async (device: DeviceTarget, { from, release }: BenchTree): Promise<UploadTook> => {
    const ran = await run([process.execPath, BUNDLE, JSON.stringify({ device, from, release })]);
    return JSON.parse(ran.stdout) as UploadTook;
  };
  return within(machine, async (root) => {
    if (before) await upload({ ...machine.near.device, root }, before).then(() => settled(machine));
    return upload({ ...way.device, root }, tree);
  });
}

/** The link stands in this process: what is measured runs beside it and is waited for. */
function run(command: readonly string[]): Promise<{ readonly ms: number; readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.once('error', reject);
    child.once('close', (status) =>
      status === 0
        ? resolve({ ms: performance.now() - startMs, stdout })
        : reject(new Error(`${program}: status ${String(status)}`)),
    );
  });
}
