import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { until } from './device/poll.ts';
import { ROOT } from './hello.ts';
import { Stranger } from './strangers.ts';

/** What `make`, npm and `slipway` start with. */
export const LAUNCHER = join(ROOT, 'scripts/launch.cjs');

/** It says how it was loaded: only tsx has Node itself read source maps. */
export const TASKS = `import { main, task } from 'slipway';
import { where, word } from './parts/word.ts';

process.stderr.write(\`\${process.sourceMapsEnabled ? 'tsx' : 'bundle'} \${word} \${where}\\n\`);
const say = task('say', { summary: 'Says it.', steps: (p) => { p.run(['echo', word], { effect: 'reads' }); } });
const fail = task('fail', { summary: 'Fails.', steps: () => { throw new Error('on purpose'); } });
await main(import.meta, { tasks: [say, fail] });
`;
export const word = (text: string): string =>
  `const text: string = '${text}';\nexport const word = text;\nexport const where = import.meta.dirname;\n`;

interface Manifest {
  readonly bundle: string | null;
  readonly refused: string | null;
  readonly sources: readonly { readonly path: string }[];
}

/** A project that is started through the launcher. */
export class Launched extends Stranger {
  readonly folder = join(this.path, '.slipway/bundle', process.versions.node);

  constructor() {
    super();
    mkdirSync(join(this.path, 'parts'));
    this.write('package.json', JSON.stringify({ type: 'module' }));
    this.write(
      'tsconfig.json',
      `{ // with a comment\n "compilerOptions": { "module": "NodeNext", "paths": { "slipway": ["${ROOT}/lib/index.ts"] } }, }`,
    );
    symlinkSync(join(ROOT, 'node_modules'), join(this.path, 'node_modules'));
    this.write('tasks.ts', TASKS);
    this.write('parts/word.ts', word('one'));
  }

  /** How it was loaded and what it says, and what came of it. */
  async launch(args: readonly string[], env = {}): Promise<{ said: string; status: number | null; rest: string }> {
    const { status, stderr, stdout } = await this.run(process.execPath, [LAUNCHER, 'tasks.ts', ...args], env);
    const [said = '', ...rest] = stderr.split('\n');
    return { said: said.replace(` ${join(this.path, 'parts')}`, ''), status, rest: rest.join('\n') + stdout };
  }

  manifest(): Manifest {
    return JSON.parse(readFileSync(join(this.folder, 'manifest.json'), 'utf8')) as Manifest;
  }

  /** Performs, and waits for the bundle that is made after it. */
  async performed(): Promise<string> {
    const before = this.made();
    const { said, status } = await this.launch(['say']);
    expect(status).toBe(0);
    await until(
      'the bundle is made',
      () => this.made() !== before && !existsSync(join(this.folder, 'building')),
      60_000,
    );
    return said;
  }

  /** Takes it away, once nothing is made in it any more. */
  async close(): Promise<void> {
    await until('nothing is made any more', () => !existsSync(join(this.folder, 'building')), 60_000);
    this.remove();
  }

  made(): number | null {
    return statSync(join(this.folder, 'manifest.json'), { throwIfNoEntry: false })?.ino ?? null;
  }

  get bundle(): string {
    return join(this.folder, this.manifest().bundle ?? 'none');
  }

  /** Everything below the project with its times. */
  tree(): readonly string[] {
    const names = readdirSync(this.path, { recursive: true, encoding: 'utf8' }).sort();
    return names.map((name) => `${name} ${String(lstatSync(join(this.path, name)).mtimeMs)}`);
  }
}
