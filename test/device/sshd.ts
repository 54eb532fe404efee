import type { DeviceTarget, Transport } from '../../lib/model/device.ts';
import { execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { until } from './poll.ts';

/** What sshd and its tests need; a test that misses one of them is skipped by name. */
export const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'].find(isExecutable);
export const missingTools = SSHD === undefined ? 'sshd (apt-get install openssh-server)' : null;

/** Whoever speaks SSH, it must come to the same. */
export const transports = [{ transport: 'ssh2' }, { transport: 'ssh' }] as const;

export interface SshdOptions {
  /** Further lines of sshd_config; a function of the folder is called once the keys are there. */
  readonly config?: readonly string[] | ((folder: string) => readonly string[]);
  readonly hostKeyTypes?: readonly ('ed25519' | 'ecdsa' | 'rsa')[];
  readonly name?: string;
  readonly transport?: Transport;
}

/** OpenSSH's own server on loopback, with keys, configuration and device root in a folder of its own. */
export interface Sshd {
  readonly device: DeviceTarget;
  readonly folder: string;
  /** The device's root, as an absolute path on this machine. */
  readonly root: string;
  /** Public host keys by type: `ssh-ed25519 AAAA…`. */
  readonly hostKeys: { readonly [type: string]: string };
  /** `[127.0.0.1]:PORT`, as known_hosts names it. */
  readonly address: string;
  /** Cuts every connection at once, as a network that goes away does; new ones are accepted. */
  cut(): void;
  /** Pids of the processes that serve connections. */
  sessions(): readonly number[];
  stop(): Promise<void>;
}

/** Starts sshd; everything that it needs is made for it and removed by `stop`. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  if (SSHD === undefined) throw new Error('sshd is not installed');
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-sshd-')));
  const types = options.hostKeyTypes ?? ['ed25519'];
  const hostKeys = Object.fromEntries(types.map((type) => [type, keyPair(join(folder, `host_${type}`), type)]));
  const clientKey = keyPair(join(folder, 'client'), 'ed25519');
  writeFileSync(join(folder, 'authorized_keys'), `${clientKey}\n`, { mode: 0o600 });
  const root = join(folder, 'root');
  mkdirSync(root);
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const port = await freePort();
  const config = join(folder, 'sshd_config');
  const more = typeof options.config === 'function' ? options.config(folder) : (options.config ?? []);
  writeFileSync(config, `${configLines(folder, port, types, more).join('\n')}\n`);
  const server = spawn(SSHD, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  server.stderr.on('data', (text: Buffer) => (log = (log + text.toString()).slice(-20_000)));
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  await until(`sshd on port ${String(port)}: ${log}`, () => {
    if (server.exitCode !== null) throw new Error(`sshd ended: ${log}`);
    return answers(port);
  });
  const address = `[127.0.0.1]:${String(port)}`;
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, types.map((type) => `${address} ${hostKeys[type] ?? ''}\n`).join(''));
  const pid = server.pid ?? 0;
  const sessions = (): number[] => descendants(pid).filter((child) => /^sshd/.test(commandOf(child)));
  const cut = (): void => sessions().forEach(kill);
  const device: DeviceTarget = {
    name: options.name ?? 'board',
    host: '127.0.0.1',
    port,
    user: userInfo().username,
    key: join(folder, 'client'),
    knownHosts,
    root,
    httpPort: null,
    transport: options.transport ?? 'ssh2',
    sudo: null,
    reconnectMs: null,
    rehearsal: false,
    supervisor: null,
  };
  return {
    device,
    folder,
    root,
    hostKeys,
    address,
    cut,
    sessions,
    async stop() {
      cut();
      await until('sshd took notice of its ended sessions', () => sessions().length === 0);
      server.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configLines(folder: string, port: number, types: readonly string[], more: readonly string[]): string[] {
  return [
    // The first value of a keyword counts, so a test's own lines come first.
    ...more,
    `Port ${String(port)}`,
    'ListenAddress 127.0.0.1',
    ...types.map((type) => `HostKey ${join(folder, `host_${type}`)}`),
    `PidFile ${join(folder, 'sshd.pid')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'PrintMotd no',
    'UseDNS no',
    'MaxStartups 100',
    'LogLevel ERROR',
  ];
}

/** Makes a key pair and returns its public half without the comment. */
export function keyPair(path: string, type: string, passphrase = ''): string {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', path]);
  return readFileSync(`${path}.pub`, 'utf8').trim();
}

/** An `ssh` for PATH that reads this configuration: its own is found through the password database, which no test moves. */
export function writeSshConfig(folder: string, lines: readonly string[]): void {
  writeFileSync(join(folder, 'ssh_config'), `${lines.join('\n')}\n`);
  const real = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();
  writeFileSync(join(folder, 'ssh'), `#!/bin/sh\nexec ${real} -F '${join(folder, 'ssh_config')}' "$@"\n`, {
    mode: 0o755,
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** All processes below one, nearest first. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readMaybe(`/proc/${name}/stat`);
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const below = (of: number): number[] =>
    [...parents].filter(([, parent]) => parent === of).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

function commandOf(pid: number): string {
  return readMaybe(`/proc/${String(pid)}/comm`).trim();
}

function readMaybe(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return existsSync(path);
  } catch {
    return false;
  }
}
