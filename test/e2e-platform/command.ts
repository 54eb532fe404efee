import { spawn } from 'node:child_process';

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
}

/** A command that takes longer than this hangs, in ms. */
const COMMAND_MS = 120_000;

/** Runs a command to its end; one that hangs is killed and fails the test with what it printed. */
export function runToEnd(
  [command = '', ...args]: readonly string[],
  { cwd, env, timeoutMs = COMMAND_MS }: CommandOptions,
): Promise<Ended> {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const out = { stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => (out.stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (out.stderr += text.toString()));
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${args.join(' ')} hangs: ${out.stdout}${out.stderr}`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (status) => {
      clearTimeout(late);
      resolve({ status, ...out });
    });
  });
}
