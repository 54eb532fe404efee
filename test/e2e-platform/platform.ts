import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Patience } from '../../lib/ops/release.ts';
import { Board } from './board.ts';
import { TSX, copyBase, environment } from './base.ts';
import { runToEnd, type Ended } from './command.ts';

/** What a test waits for instead of the real minute. */
const QUICK: Partial<Patience> = { healthyTimes: 2, healthyTimeoutMs: 4_000, quiesceTimeoutMs: 4_000 };

export interface PlatformOptions {
  /** Where the releases go; the rehearsal device unless a test has one of its own. */
  readonly root?: string;
  /** Null: the tasks as they are, for a test that deploys nothing. */
  readonly patience?: Partial<Patience> | null;
}

/** A checkout of the project of a test's own, and the device that it deploys to. */
export class Platform {
  readonly dir: string;
  readonly board: Board;

  private constructor(dir: string, root: string) {
    this.dir = dir;
    this.board = new Board(root);
  }

  static async create({ root, patience = QUICK }: PlatformOptions = {}): Promise<Platform> {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-platform-')));
    const platform = new Platform(dir, root ?? join(dir, '.slipway/rehearsal/rehearsal'));
    await copyBase(dir);
    if (patience === null) return platform;
    for (const file of ['tasks/deploy.ts', 'tasks/rollback.ts'])
      platform.edit(file, / \}\);\n/, `, patience: ${JSON.stringify(patience)} });\n`);
    return platform;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  write(name: string, content: string): void {
    writeFileSync(this.path(name), content);
  }

  remove(name: string): void {
    rmSync(this.path(name));
  }

  /** Replaces a part that must be there; returns what takes that back. */
  edit(name: string, part: string | RegExp, by: string): () => void {
    const before = this.read(name);
    const after = before.replace(part, () => by);
    if (after === before) throw new Error(`${name} holds no ${String(part)}`);
    this.write(name, after);
    return () => this.write(name, before);
  }

  /** Runs it as npm and make do, to its end. */
  run(...args: readonly string[]): Promise<Ended> {
    return runToEnd(this.command(...args), { cwd: this.dir, env: environment(this.dir) });
  }

  command(...args: readonly string[]): readonly string[] {
    return [process.execPath, this.path('scripts/launch.cjs'), 'tasks.ts', ...args];
  }

  /** The same with a module loaded before `tasks.ts`, and what that reads from the environment. */
  runWith(
    { preload, env }: { readonly preload: string; readonly env: { readonly [name: string]: string } },
    ...args: readonly string[]
  ): Promise<Ended> {
    const command = [process.execPath, '--import', TSX, '--import', preload, 'tasks.ts', ...args];
    return runToEnd(command, { cwd: this.dir, env: { ...environment(this.dir), ...env } });
  }

  /** The release that was packed last for a device: the digest of its manifest. */
  packed(device: string): string {
    const manifest = this.read(`.slipway/build/${device}/release/manifest.json`);
    return createHash('sha256').update(manifest).digest('hex').slice(0, 16);
  }

  /** The platform's own command line, on the device and as the current release. */
  async onBoard(...args: readonly string[]): Promise<Ended> {
    const { root } = this.board;
    const env = {
      PATH: process.env['PATH'],
      PLATFORM_ENV: 'production',
      PLATFORM_DATA_DIR: join(root, 'shared/data'),
      PLATFORM_SECRETS_FILE: join(root, 'shared/secrets.env'),
      EXCHANGE_URL: `http://127.0.0.1:${String(this.board.ports()['exchange'])}`,
    };
    return runToEnd(['python3', 'run.py', ...args], { cwd: join(root, 'current'), env });
  }

  /** Stops what the device runs, proves that nothing is left, and removes the project. */
  async stop(): Promise<void> {
    const stopped = await this.run('rehearsal', 'stop');
    if (stopped.status !== 0) throw new Error(`rehearsal stop: ${JSON.stringify(stopped)}`);
    const left = this.board.processes();
    if (left.length > 0) throw new Error(`still running: ${JSON.stringify(left)}`);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
