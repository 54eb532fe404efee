import { spawn, type ChildProcess } from 'node:child_process';
import { keepHeapSmall } from './v8-flags.ts';
import { findProcess } from './identity.ts';
import { codeOf } from './store.ts';

/** What a command needs to be started. */
export interface Start {
  /** As it stands. */
  readonly argv: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Takes a piece of output; the next piece of that command is read when the promise has resolved, or at once. */
export type Take = (stream: 'stdout' | 'stderr', piece: Buffer) => Promise<void> | undefined;

/** A command that was started. */
export interface Child {
  readonly pid: number;
  /** When, as `wasStarted` takes it. */
  readonly started: string;
  readonly exit: Promise<Exit>;
  /** Whether it is known by now that nothing is left of it. */
  isGone(): boolean;
  /** Resolves at the end of all its output. */
  readonly read: Promise<void>;
  /** Whether it has resolved. */
  isRead(): boolean;
  /** Reads no further. */
  giveUp(): void;
}

/** How a command ended: one of the two is `null`. */
export interface Exit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Whether nothing was left of its process group; false: not known. */
  readonly groupGone: boolean;
}

/** Starts a command as a child of this process: in a session of its own, or (`terminal`) with the runner's terminal. */
export async function spawnChild(
  { argv, cwd, env }: Start,
  stdin: 'none' | 'terminal',
  take: Take,
): Promise<Child | { readonly code: string }> {
  const [command = '', ...args] = argv;
  keepHeapSmall();
  try {
    const child = spawn(command, args, {
      cwd,
      env,
      detached: stdin === 'none',
      stdio: [stdin === 'none' ? 'ignore' : 'inherit', 'pipe', 'pipe'],
    });
    const { pid } = child;
    if (pid === undefined)
      return await new Promise((resolve) => child.once('error', (error) => resolve({ code: codeOf(error) })));
    // A failing `kill` emits `error` later; without a listener it would end the runner.
    child.on('error', () => undefined);
    const exit = new Promise<Exit>((resolve) =>
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal, groupGone: false })),
    );
    return { pid, started: findProcess(pid)?.started ?? '', exit, isGone: () => false, ...readingOf(child, take) };
  } catch (error) {
    return { code: codeOf(error) };
  }
}

function readingOf({ stdout, stderr }: ChildProcess, take: Take): Pick<Child, 'read' | 'isRead' | 'giveUp'> {
  const pump = async (name: 'stdout' | 'stderr'): Promise<void> => {
    try {
      for await (const piece of (name === 'stdout' ? stdout : stderr) as AsyncIterable<Buffer>) await take(name, piece);
    } catch {
      // The stream was given up; what came of it counts.
    }
  };
  let isRead = false;
  const read = Promise.all([pump('stdout'), pump('stderr')]).then(() => {
    isRead = true;
  });
  return { read, isRead: () => isRead, giveUp: () => [stdout, stderr].forEach((stream) => stream?.destroy()) };
}
