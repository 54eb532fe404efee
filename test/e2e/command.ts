import type { ChildProcess } from 'node:child_process';

/** A command that takes longer than this hangs, in ms. */
const COMMAND_MS = 90_000;

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it printed so far, both streams. */
  text(): string;
}

/** Collects what a child prints, and how it ends; one that hangs is killed, and fails the test. */
export function follow(child: ChildProcess, what: string): Running {
  const out = { stdout: '', stderr: '' };
  child.stdout?.on('data', (text: Buffer) => (out.stdout += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (out.stderr += text.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${what} hangs: ${out.stdout}${out.stderr}`));
    }, COMMAND_MS);
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(late);
      resolve({ status, signal, ...out });
    });
  });
  // A test that fails before it looks at the end says why itself.
  ended.catch(() => undefined);
  return { child, pid: child.pid ?? 0, ended, text: () => out.stdout + out.stderr };
}
