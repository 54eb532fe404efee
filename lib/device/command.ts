import { execFile } from 'node:child_process';
import type { Environment } from './target.ts';

/** How long `ssh -G` and `ssh-keygen -F` may take, in ms: both only read files. */
const COMMAND_TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** What a local command printed, `missing` when it is not on PATH. */
export type CommandResult =
  | { readonly missing: true }
  | { readonly missing: false; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** Runs a read-only command of OpenSSH and takes its output. */
export function runCommand(argv: readonly [string, ...string[]], environment: Environment): Promise<CommandResult> {
  const [command, ...args] = argv;
  return new Promise((resolve) => {
    const options = {
      env: { ...environment },
      timeout: COMMAND_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
      encoding: 'utf8',
    } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') return void resolve({ missing: true });
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ missing: false, exitCode, stdout, stderr });
    });
    child.stdin?.end();
  });
}
