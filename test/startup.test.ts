import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { must } from './strangers.ts';

const ROOT = join(import.meta.dirname, '..');
const HELLO = join(ROOT, 'examples/hello');

interface Loaded {
  /** Slipway's own modules, from the repository's root. */
  readonly own: readonly string[];
  readonly packages: ReadonlySet<string>;
}

/** What a command line loads, as V8's coverage tells: every script, however it was imported or required. */
async function loadedBy(...args: readonly string[]): Promise<Loaded> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-loaded-'));
  try {
    await must('node', ['--import', 'tsx', 'tasks.ts', ...args], HELLO, { NODE_V8_COVERAGE: folder });
    const reports = readdirSync(folder).map(
      (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] },
    );
    const urls = reports.flatMap(({ result }) => result.map(({ url }) => url)).filter((url) => url.startsWith('file:'));
    const paths = [...new Set(urls.map((url) => relative(ROOT, fileURLToPath(new URL(url.split('?')[0] ?? '')))))];
    const packages = paths.flatMap(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path)?.[1] ?? [],
    );
    return { own: paths.filter((path) => path.startsWith('lib/')), packages: new Set(packages) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** tsx brings esbuild; both are there before the first line of ours runs. */
const RUNTIME = ['esbuild', 'tsx'];

/** Command lines, the packages that they may load, and the most modules of our own. */
test.each([
  { args: [], packages: [], most: 26 },
  { args: ['--list'], packages: [], most: 26 },
  { args: ['--list', '--json'], packages: [], most: 26 },
  { args: ['--help'], packages: [], most: 26 },
  { args: ['--help', 'deploy'], packages: ['cac'], most: 26 },
  { args: ['--version'], packages: [], most: 27 },
  { args: ['history'], packages: ['cac'], most: 62 },
  // The inputs of `build` are globs.
  { args: ['deploy', '--dry-run'], packages: ['cac', 'picomatch'], most: 89 },
])('$args loads no more than it needs', async ({ args, packages, most }) => {
  const loaded = await loadedBy(...args);
  expect([...loaded.packages].filter((name) => !RUNTIME.includes(name)).sort()).toEqual(packages);
  expect(loaded.own.length, loaded.own.join('\n')).toBeLessThanOrEqual(most);
  // A test that counts nothing would pass as well.
  expect(loaded.own).toContain('lib/cli/main.ts');
  expect(loaded.packages).toContain('tsx');
});

test('a plan on paper loads nothing that could start a process, open a socket or act on a device', async () => {
  const { own } = await loadedBy('deploy', '--dry-run');
  expect(
    own.filter((path) =>
      /^lib\/(device\/(?!agent\.ts$)|host\/(process|performer|command|group|services|opaque)\.ts|cli\/(perform|places)\.ts)/.test(
        path,
      ),
    ),
  ).toEqual([]);
});
