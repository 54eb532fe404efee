import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Hello, ROOT } from './hello.ts';
import { ended, must } from './strangers.ts';

/** The majors beside the one that runs these tests. */
const MAJORS = [22, 24, 26];

/** npm's packages of Node's binaries; they are what the package `node` installs by a script. */
const PACKAGE = `node${process.platform === 'darwin' && process.arch === 'arm64' ? '-bin' : ''}-${process.platform}-${process.arch}`;
const CACHE = join(tmpdir(), 'slipway-nodes');

/** What the Node itself can make a difference to. Boards, the platform and the matrix run the same code once more. */
const SELECTED = [
  ...['model', 'engine', 'config', 'ops', 'host', 'cache', 'report', 'cli'].map((row) => `test/${row}/`),
  ...['cache', 'deploy', 'mistakes', 'output', 'pages', 'services', 'shuffle', 'signals', 'undo', 'watch'].map(
    (name) => `test/e2e/${name}.test.ts`,
  ),
  'test/launch.test.ts',
  'test/launch-bundle.test.ts',
];
const SELECTED_MS = 900_000;

/** What vitest says as JSON. */
interface Told {
  readonly success: boolean;
  readonly numTotalTests: number;
  readonly numPassedTests: number;
}

/** The Node of a major version, installed once per machine. Fails with the version's name. */
async function nodeOf(major: number): Promise<string> {
  const folder = join(CACHE, String(major));
  const node = join(folder, 'node_modules', PACKAGE, 'bin/node');
  if (!existsSync(node)) {
    mkdirSync(CACHE, { recursive: true });
    const fresh = mkdtempSync(join(CACHE, 'new-'));
    const args = [
      'install',
      '--prefix',
      fresh,
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      `${PACKAGE}@${String(major)}`,
    ];
    const { status, stderr } = await ended('npm', args, fresh);
    if (status !== 0) throw new Error(`Node ${String(major)} could not be installed:\n${stderr}`);
    // Whole or not at all: another test run may be about to do the same.
    if (!existsSync(folder)) renameSync(fresh, folder);
    else rmSync(fresh, { recursive: true, force: true });
  }
  const version = await must(node, ['--version'], CACHE);
  if (!version.startsWith(`v${String(major)}.`)) throw new Error(`Node ${String(major)} says that it is ${version}`);
  return node;
}

describe.each(MAJORS)('Node %i', (major) => {
  const hello = new Hello();
  let node = '';
  beforeAll(async () => {
    node = await nodeOf(major);
  }, 120_000);
  afterAll(async () => {
    await hello.slipway(['rehearsal', 'stop']);
    hello.remove();
  });

  test('lists and plans as this one does', async () => {
    for (const args of [
      ['--list', '--json'],
      ['deploy', '--dry-run'],
    ]) {
      const here = await hello.slipway(args);
      expect(here.status).toBe(0);
      expect(await hello.slipway(args, node)).toEqual(here);
    }
  });

  test('builds, deploys to the rehearsal device, and finds the build fresh', async () => {
    expect(await hello.slipway(['deploy'], node)).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(
        /^rehearsal: release [0-9a-f]{16} is current \(confirmed\), web running at /m,
      ) as string,
    });
    expect(await hello.slipway(['build'], node)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^build │ fresh$/m) as string,
    });
    expect(await hello.slipway(['rehearsal', 'stop'], node)).toMatchObject({ status: 0 });
  });

  test(
    'passes the tests',
    async () => {
      const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
      const PATH = `${dirname(node)}:${process.env['PATH'] ?? ''}`;
      const file = join(hello.path, 'told.json');
      const reporters = ['--reporter', 'default', '--reporter', 'json', '--outputFile.json', file];
      const { stdout, stderr } = await ended(node, [vitest, 'run', ...reporters, ...SELECTED], ROOT, {
        PATH,
        CI: 'true',
      });
      const told = JSON.parse(readFileSync(file, 'utf8')) as Told;
      // Where all of it is done once more, the second time alone would be seen; only vitest's own words name a failed hook.
      if (!told.success) console.log(`FAILED under Node ${String(major)}\n${stdout}${stderr}`);
      expect(told.success).toBe(true);
      expect(told.numPassedTests).toBe(told.numTotalTests);
      expect(told.numTotalTests).toBeGreaterThan(500);
    },
    SELECTED_MS,
  );

  test('strips the types of the sources itself', async () => {
    const under = await must(process.execPath, ['--import', 'tsx', 'tasks.ts', '--list'], ROOT);
    expect(await must(node, ['tasks.ts', '--list'], ROOT)).toBe(under);
  });
});
