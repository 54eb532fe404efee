import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Failure } from '../model/failure.ts';
import { lostBeforeStart, type ByteChannel, type Connected, type Opened } from './connection.ts';
import { keyProblem } from './keys.ts';
import { hasAuthority, knownHost, knownHostsText, type Asked, type KnownHost } from './known-hosts.ts';
import type { Limits } from './limits.ts';
import { runCommand } from './command.ts';
import { sshArguments, type SshPaths } from './openssh-arguments.ts';
import { probe } from './ssh2.ts';
import { addressOf, type Endpoint } from './ssh-config.ts';
import type { Environment } from './target.ts';

/** Room for a socket's path (104 bytes on macOS), less what ssh appends to it while it makes one. */
const MAX_FOLDER_CHARS = 70;
/** Of what ssh says when it does not get in, in characters. */
const MAX_TAIL = 2000;

/** One login, while it is tried and while it lasts. */
interface Login {
  readonly endpoint: Endpoint;
  readonly known: KnownHost;
  readonly environment: Environment;
  readonly limits: Limits;
  readonly paths: SshPaths;
}

/**
 * Connects with the system's own `ssh`: its first process logs in, goes to the background, and serves what is executed
 * over a socket (ControlMaster in ssh_config(5)). What is known about the host is looked up as for ssh2 and handed
 * over as a known_hosts file, so that both judge alike; why a login failed is found out apart, never read from texts.
 */
export async function connectWithOpenSsh(
  endpoint: Endpoint,
  environment: Environment,
  limits: Limits,
  abandon: AbortSignal,
  asked?: Asked,
): Promise<Connected> {
  const [known, problem] = await Promise.all([knownHost(endpoint, environment, asked), keyProblem(endpoint)]);
  if (!known.ok) return known;
  if (problem !== null) return { ok: false, failure: problem };
  const folder = mkdtempSync(join(folderFor(tmpdir()), 'slipway-'));
  const paths = { socket: join(folder, 's'), knownHosts: join(folder, 'known_hosts') };
  const login: Login = { endpoint, known: known.known, environment, limits, paths };
  writeFileSync(paths.knownHosts, knownHostsText(known.known), { mode: 0o600 });
  const failure = await logIn(login, abandon);
  if (failure !== null) {
    rmSync(folder, { recursive: true, force: true });
    return { ok: false, failure };
  }
  const { place } = endpoint;
  const close = async (): Promise<void> => {
    await ended(start(login, ['-O', 'exit'], 'exec'), limits.closeMs);
    rmSync(folder, { recursive: true, force: true });
  };
  return { ok: true, connection: { place, exec: (command) => exec(login, command), close } };
}

/** A folder below which a socket's path is short enough, and plain enough for ssh's own expansions. */
function folderFor(preferred: string): string {
  return preferred.length <= MAX_FOLDER_CHARS && /^[\w./-]+$/.test(preferred) ? preferred : '/tmp';
}

/** In a session of its own: a Ctrl-C in the terminal is the runner's to handle, and nothing here asks a person. */
function start(
  { endpoint, environment, limits, paths }: Login,
  more: readonly string[],
  purpose: 'login' | 'exec',
  command?: string,
): ChildProcessWithoutNullStreams {
  const args = sshArguments(endpoint, paths, limits, purpose);
  const words = [...args, ...more, '--', endpoint.alias, ...(command === undefined ? [] : [command])];
  return spawn('ssh', words, { env: { ...environment }, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

async function logIn(login: Login, abandon: AbortSignal): Promise<Failure | null> {
  const { endpoint, limits } = login;
  const { place } = endpoint;
  const unreachable = (code: string): Failure => ({
    reason: 'unreachable',
    place,
    address: addressOf(endpoint),
    code,
  });
  if (abandon.aborted) return unreachable('ECONNRESET');
  const child = start(login, ['-N'], 'login');
  let tail = '';
  child.stderr.on('data', (bytes: Buffer) => (tail = (tail + bytes.toString('utf8')).slice(-MAX_TAIL)));
  child.stdin.on('error', () => undefined).end();
  const give = (): boolean => child.kill('SIGKILL');
  abandon.addEventListener('abort', give, { once: true });
  const end = await ended(child, limits.connectMs);
  abandon.removeEventListener('abort', give);
  switch (end) {
    case 0:
      return null;
    case 'missing':
      return { reason: 'command-not-found', command: 'ssh' };
    case 'too-long':
      return unreachable('ETIMEDOUT');
    default:
      return whyNot(login, end, tail.trim(), abandon);
  }
}

/** The exit status (`null` after a signal), or why there is none; what takes longer is killed. */
function ended(child: ChildProcess, timeoutMs: number): Promise<number | null | 'missing' | 'too-long'> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve('too-long');
    }, timeoutMs);
    const done = (end: number | null | 'missing'): void => {
      clearTimeout(timer);
      resolve(end);
    };
    child.once('error', () => done('missing'));
    // Not `close`: the process in the background may still hold the streams.
    child.once('exit', done);
  });
}

/**
 * ssh has one status for all that goes wrong. A configuration that it refuses is found by reading it again; then a
 * connection of our own, without a login, shows how far one comes. Behind a hop, or where certificates count, only ssh
 * itself knows.
 */
async function whyNot(login: Login, status: number | null, said: string, abandon: AbortSignal): Promise<Failure> {
  const { endpoint, known, environment, limits, paths } = login;
  const { place, alias, through } = endpoint;
  const args = sshArguments(endpoint, paths, limits, 'login');
  const read = await runCommand(['ssh', '-G', ...args, '--', alias], environment);
  if (!read.missing && read.exitCode !== 0) {
    const words = read.stderr.trim().split('\n');
    return { reason: 'exit-non-zero', command: `ssh -G ${alias}`, exitCode: read.exitCode, tail: words };
  }
  const failed: Failure = { reason: 'ssh-failed', place, address: addressOf(endpoint), through, status, said };
  if (through !== null) return failed;
  const found = await probe(endpoint, known, limits, abandon);
  const certified = found.reason === 'host-key' && hasAuthority(known) && (await showsCertificate(login));
  return certified ? failed : found;
}

/** Whether the server has a host certificate, which a probe cannot judge. */
async function showsCertificate({ endpoint, environment }: Login): Promise<boolean> {
  const argv = ['ssh-keyscan', '-c', '-T', '5', '-p', String(endpoint.port), '--', endpoint.host] as const;
  const scanned = await runCommand(argv, environment);
  return !scanned.missing && scanned.stdout.split('\n').some((line) => line !== '' && !line.startsWith('#'));
}

function exec(login: Login, command: string): Promise<Opened> {
  const child = start(login, [], 'exec', command);
  const { stdin, stdout, stderr } = child;
  const exit = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve(code === SSH_FAILED ? null : code));
  });
  const cut = (): void => {
    child.kill('SIGKILL');
    // The process in the background may hold the other ends for as long as the network is silent.
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
  };
  const channel: ByteChannel = { stdin, stdout, stderr, exit, cut };
  return new Promise((resolve) => {
    child.once('spawn', () => resolve({ ok: true, channel }));
    child.once('error', () => resolve(lostBeforeStart(login.endpoint.place)));
  });
}

/** What ssh ends with when it is not the command that ended (ssh(1), EXIT STATUS). */
const SSH_FAILED = 255;
