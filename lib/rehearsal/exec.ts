import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { constants } from 'node:os';
import type { ServerChannel } from 'ssh2';

/** What a command on the rehearsal device gets of the world. */
export interface ExecOptions {
  readonly home: string;
  readonly path: string;
  /** From TERM to KILL when its channel closes, in ms: the agent ends what it runs in that time. */
  readonly graceMs: number;
}

/** A command under way. */
export interface Executed {
  /** Ends its process group: TERM, then KILL. What it put into sessions of its own lives on. */
  end(): void;
  signal(name: string): void;
  readonly ended: Promise<void>;
}

/** How long output is waited for once the command itself ended: what it left behind may hold the pipe for ever. */
const LAST_OUTPUT_MS = 1_000;

/** How often an ending group is looked at, in ms. */
const GROUP_POLL_MS = 20;

/** Runs a command as sshd would: through `sh -c`, in the home folder, standard streams over the channel. */
export function execute(command: string, channel: ServerChannel, options: ExecOptions): Executed {
  const { home, path, graceMs } = options;
  // Nothing of the operator's environment: secrets and endpoints of the shell must not be seen here.
  const env = { HOME: home, PATH: path, LANG: 'C.UTF-8' };
  const child = spawn('/bin/sh', ['-c', command], { cwd: home, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let ending: Promise<void> | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', (code, signal) => {
      void finish(child, channel, code, signal);
      resolve();
    });
  });
  connectStreams(child, channel);
  const executed: Executed = {
    ended: exited.then(() => ending),
    signal: (name) => void signalGroup(child, name),
    end() {
      child.stdin.destroy();
      ending ??= endGroup(child, graceMs);
    },
  };
  channel.once('close', () => executed.end());
  return executed;
}

function connectStreams(child: ChildProcessWithoutNullStreams, channel: ServerChannel): void {
  // A command that no longer reads is no failure of the connection.
  child.stdin.on('error', () => undefined);
  channel.on('error', () => undefined);
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
}

async function finish(
  child: ChildProcessWithoutNullStreams,
  channel: ServerChannel,
  code: number | null,
  signal: NodeJS.Signals | null,
): Promise<void> {
  await Promise.race([
    Promise.all([drained(child.stdout), drained(child.stderr)]),
    new Promise((resolve) => setTimeout(resolve, LAST_OUTPUT_MS).unref()),
  ]);
  child.stdout.destroy();
  child.stderr.destroy();
  // The status goes before the end of the stream, which closes the channel.
  if (code !== null) channel.exit(code);
  else if (signal !== null) channel.exit(signal.replace(/^SIG/, ''));
  channel.end();
}

function drained(stream: NodeJS.ReadableStream & { readonly readableEnded: boolean }): Promise<void> {
  return new Promise((resolve) => {
    if (stream.readableEnded) return resolve();
    stream.once('end', resolve);
    stream.once('close', resolve);
  });
}

/** TERM, then KILL, until the group is empty: its leader is a shell, which may well end before what it started. */
async function endGroup(child: ChildProcessWithoutNullStreams, graceMs: number): Promise<void> {
  const deadline = performance.now() + graceMs;
  let name = 'TERM';
  while (signalGroup(child, name)) {
    await new Promise((resolve) => setTimeout(resolve, GROUP_POLL_MS));
    const now = performance.now();
    if (now > deadline + LAST_OUTPUT_MS) return;
    name = now > deadline ? 'KILL' : '0';
  }
}

/** Whether there was still somebody to signal; `0` only asks. */
function signalGroup(child: ChildProcessWithoutNullStreams, name: string): boolean {
  if (child.pid === undefined || !(name === '0' || `SIG${name}` in constants.signals)) return false;
  try {
    return process.kill(-child.pid, name === '0' ? 0 : (`SIG${name}` as NodeJS.Signals));
  } catch {
    return false;
  }
}
