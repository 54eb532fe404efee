import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Problem } from './problem.ts';

/** What a command left behind. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run; `input` is all of its standard input. */
export interface Running {
  readonly input?: string | Buffer;
  readonly env?: { readonly [name: string]: string };
  /** Where the command is shown as it is: standard input, output and error are this process's own. */
  readonly attached?: boolean;
}

/** The search path, and where administrators' commands are for people who are none. */
const PATH = `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;

/** Runs a command to its end; rejects only when it cannot be started. */
export function run(argv: readonly string[], { input, env, attached = false }: Running = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const [command = '', ...args] = argv;
    const child = spawn(command, args, {
      stdio: attached ? 'inherit' : 'pipe',
      env: { ...process.env, PATH, LC_ALL: 'C', ...env },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin?.on('error', () => undefined); // it ended without having read all
    child.stdin?.end(input);
    child.once('error', reject).once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Standard output of a command that must succeed, without blanks around it; otherwise `command-failed`. */
export async function must(argv: readonly string[], running: Running = {}): Promise<string> {
  const { status, stdout, stderr } = await run(argv, running);
  if (status !== 0) throw new Problem({ reason: 'command-failed', argv, status, said: (stderr + stdout).trim() });
  return stdout.trim();
}

/** Whether a command can be found. */
export function isInstalled(command: string): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
