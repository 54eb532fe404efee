import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a command left behind. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Settings of npm that decide where packages come from; all else that npm or make put into our environment is ours alone. */
const KEPT_OF_NPM = /^npm_config_(registry|cache|cafile|proxy|https_proxy|noproxy|userconfig|globalconfig)$/i;
const OURS = /^(npm_|MAKE|MFLAGS|VITEST|NODE_OPTIONS|NODE_ENV|FORCE_COLOR|DEPLOY_TO|BOARD_|CI$)/i;

/** The environment of somebody who never heard of this test run. */
export function strangersEnvironment(more: { readonly [name: string]: string } = {}): {
  readonly [name: string]: string | undefined;
} {
  const own = Object.entries(process.env).filter(([name]) => KEPT_OF_NPM.test(name) || !OURS.test(name));
  return { ...Object.fromEntries(own), NO_COLOR: '1', ...more };
}

/** A folder outside the repository in which commands run as a stranger's would. */
export class Stranger {
  readonly path = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-stranger-')));

  write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  remove(): void {
    // A bundle may still be written below it.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  run(command: string, args: readonly string[], env: { readonly [name: string]: string } = {}): Promise<Ended> {
    return ended(command, args, this.path, env);
  }

  /** Standard output of a command that must succeed. */
  async must(command: string, args: readonly string[], env: { readonly [name: string]: string } = {}): Promise<string> {
    return must(command, args, this.path, env);
  }
}

/** Runs a command to its end, its whole output kept. */
export function ended(
  command: string,
  args: readonly string[],
  cwd: string,
  env: { readonly [name: string]: string } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: strangersEnvironment(env), stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject).once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Standard output of a command that must succeed; otherwise an error that tells what it said. */
export async function must(
  command: string,
  args: readonly string[],
  cwd: string,
  env: { readonly [name: string]: string } = {},
): Promise<string> {
  const { status, stdout, stderr } = await ended(command, args, cwd, env);
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')}: status ${String(status)}\n${stdout}${stderr}`);
  return stdout;
}
