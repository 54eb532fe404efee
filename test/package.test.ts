import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stranger, must } from './strangers.ts';

const ROOT = join(import.meta.dirname, '..');
const TSC = join(ROOT, 'node_modules/.bin/tsc');

/** A checkout as it may look when somebody packs: with state, settings and old output lying around. */
async function checkout(into: string): Promise<void> {
  const listed = await must('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], ROOT);
  for (const path of listed
    .split('\0')
    .filter((path) => path !== '' && path !== 'node_modules' && existsSync(join(ROOT, path)))) {
    mkdirSync(dirname(join(into, path)), { recursive: true });
    cpSync(join(ROOT, path), join(into, path));
  }
  for (const path of [
    '.slipway/key',
    '.env',
    'dist/removed.js',
    'test/left.js',
    'scripts/device/.slipway/key',
    'scripts/device/agent/__pycache__/00_head.pyc',
  ]) {
    mkdirSync(dirname(join(into, path)), { recursive: true });
    writeFileSync(join(into, path), 'must not be packed');
  }
  symlinkSync(join(ROOT, 'node_modules'), join(into, 'node_modules'));
}

/** A stranger's tasks: the first comes from the README's shape, the second shows what their compiler must catch. */
const TASKS = `import { choice, deployRelease, device, equals, main, packRelease, s, string, system, task, text } from 'slipway';

const hello = system({
  name: 'hello', boardMb: 1024, reservedMb: 256, keep: 3,
  services: [{ name: 'web', argv: ['python3', 'server.py', { port: 'web' }], listens: 'public', health: { path: '/', release: 'release' }, memoryMb: 64 }],
});

export const version = task('version', {
  summary: 'Ask for the version.',
  params: { kind: choice({ summary: 'which', choices: ['short', 'long'], default: 'short' }) },
  steps(p, { params }) {
    const kind: 'short' | 'long' = params.kind;
    const asked = p.run(['python3', '--version', kind], { effect: 'reads' });
    // @ts-expect-error there is no such kind
    void (params.kind === 'middle');
    return { asked };
  },
});

export const build = task('build', {
  summary: 'Pack the server.',
  inputs: ['server.py'],
  outputs: ['.slipway/build/**'],
  steps: (p) => packRelease(p, { into: '.slipway/build', include: [{ from: 'server.py', to: 'server.py' }], system: hello }),
});

const deploy = task('deploy', {
  summary: 'Ship it.',
  params: { to: device({ summary: 'target device' }), note: string({ summary: 'a note', default: '' }) },
  needs: { build: build() },
  steps(p, { params, needs }) {
    const note: string = params.note;
    deployRelease(p, { to: params.to, system: hello, tree: needs.build.tree, release: needs.build.release });
    // @ts-expect-error the output is called release
    void needs.build.relaese;
    // @ts-expect-error the need is called build
    void needs.biuld;
    return { note, same: equals(needs.build.release, 'x'), told: text\`release \${needs.build.release}\` };
  },
});

// @ts-expect-error the param is called kind
version({ knid: 'short' });
// @ts-expect-error it is one of two
version({ kind: 'middle' });
// @ts-expect-error a summary is required
task('nameless', {});
s.object({ port: s.number });

await main(import.meta, { tasks: [version, build, deploy], system: hello });
`;

const STRICT = {
  target: 'ES2023',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  verbatimModuleSyntax: true,
  types: [],
};
const config = (more: object, files: readonly string[]): string =>
  JSON.stringify({ compilerOptions: { ...STRICT, ...more }, files });

const stranger = new Stranger();
const LIST = ['  version  Ask for the version.', '  build    Pack the server.', '  deploy   Ship it.', ''].join('\n');

beforeAll(async () => {
  await checkout(join(stranger.path, 'checkout'));
  await must('npm', ['pack', '--silent', '--pack-destination', stranger.path], join(stranger.path, 'checkout'));
  stranger.write('package.json', JSON.stringify({ name: 'stranger', private: true, type: 'module' }));
  await stranger.must('npm', [
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    './slipway-0.1.0.tgz',
  ]);
  cpSync(join(ROOT, 'examples/hello/server.py'), join(stranger.path, 'server.py'));
  stranger.write('tasks.ts', TASKS);
}, 180_000);

afterAll(async () => {
  // Where a test failed half way, something may still run.
  await stranger.run('npx', ['--no-install', 'slipway', 'rehearsal', 'stop']);
  stranger.remove();
});

test('holds the compiled library, the agent, and nothing else', () => {
  const folder = join(stranger.path, 'node_modules/slipway');
  const packed = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const expected =
    /^(dist\/[\w/-]+\.(js|d\.ts)|scripts\/here\/\w+\.py|scripts\/device\/((agent\/)?\w+\.py|unit\.sh)|scripts\/launch(\.cjs|\/\w+\.mjs)|docs\/agent\.md|(CHANGELOG|README)\.md|LICENSE|package\.json)$/;
  expect(packed.filter((path) => !expected.test(path) || path.includes('removed'))).toEqual([]);
  expect(packed).toEqual(
    expect.arrayContaining([
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/bin.js',
      'scripts/device/agent/00_head.py',
      'scripts/device/bootstrap.py',
      'scripts/here/starter.py',
      'scripts/device/unit.sh',
      'LICENSE',
      'README.md',
    ]),
  );
});

describe('types', () => {
  // Without Node's types or the DOM's, to see that ours bring nothing along.
  test.each([
    ['NodeNext', { module: 'NodeNext', moduleResolution: 'NodeNext', lib: ['ES2023'] }],
    ['Bundler', { module: 'ESNext', moduleResolution: 'Bundler', lib: ['ES2023'] }],
    [
      'Bundler with the DOM, for ES2022',
      { module: 'ES2022', moduleResolution: 'Bundler', target: 'ES2022', exactOptionalPropertyTypes: false },
    ],
  ])('are exact for a strict project that resolves by %s', async (name, options) => {
    const file = `tsconfig.${name.split(' ').join('-')}.json`;
    stranger.write(file, config(options, ['tasks.ts']));
    expect(await stranger.run(TSC, ['-p', file])).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('the command', () => {
  const slipway = (...args: string[]) => stranger.run('npx', ['--no-install', 'slipway', ...args]);

  test('lists', async () => {
    expect(await slipway('--list')).toMatchObject({ status: 0, stdout: LIST });
    expect(await stranger.run('node', ['--import', 'tsx', 'tasks.ts', '--list'])).toEqual({
      status: 0,
      stdout: LIST,
      stderr: '',
    });
  });

  test('builds, deploys with the agent of the package, and stops what runs', async () => {
    expect(await slipway('build')).toMatchObject({ status: 0 });
    const deployed = await slipway('deploy');
    const address = /at (http:\S+)/.exec(deployed.stderr)?.[1];
    expect(deployed).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('REHEARSAL: nothing reached a real board') as string,
    });
    expect(await (await fetch(address ?? '')).json()).toMatchObject({ hello: 'world' });
    expect(await slipway('rehearsal', 'stop')).toMatchObject({ status: 0 });
    await expect(fetch(address ?? '')).rejects.toThrow();
  });

  test('finds tasks.ts from a folder below, and says so where there is none', async () => {
    mkdirSync(join(stranger.path, 'src'));
    const bin = join(stranger.path, 'node_modules/.bin/slipway');
    expect(await must(bin, ['--list'], join(stranger.path, 'src'))).toBe(LIST);
    const elsewhere = new Stranger();
    expect(await elsewhere.run(bin, ['--list'])).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'slipway: there is no tasks.ts in this folder or above it\n  go to your project, or write one: see the README\n',
    });
    elsewhere.remove();
  });
});

describe('a project that is no module', () => {
  const bin = join(stranger.path, 'node_modules/.bin/slipway');
  const folder = join(stranger.path, 'old');
  const elsewhere = (name: string): void => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "name": "old" }');
    writeFileSync(join(folder, name), TASKS);
  };

  test('is told what to write where', async () => {
    elsewhere('tasks.ts');
    await expect(must(bin, ['--list'], folder)).rejects.toThrow(
      `status 2\nslipway: ${folder}/tasks.ts is not a module\n  write "type": "module" into its package.json, or name it tasks.mts\n`,
    );
  });

  test('may name it tasks.mts', async () => {
    mkdirSync(join(folder, 'mts'), { recursive: true });
    writeFileSync(join(folder, 'mts/tasks.mts'), TASKS);
    expect(await must(bin, ['--list'], join(folder, 'mts'))).toBe(LIST);
  });
});

describe('plain JavaScript', () => {
  const NAMES = "[typeof task, typeof device, typeof main, device({ summary: 'x' }).type].join(' ')";
  test.each([
    ['imports it', 'plain.mjs', `import { task, device, main } from 'slipway'; console.log(${NAMES});`],
    ['requires it', 'plain.cjs', `const { task, device, main } = require('slipway'); console.log(${NAMES});`],
    [
      'has tasks without any compiler',
      'plain-tasks.mjs',
      "import { main, task } from 'slipway'; await main(import.meta, { tasks: [task('function', { summary: 'x' })] });",
    ],
  ])('%s', async (_, name, text) => {
    stranger.write(name, text);
    const { status, stdout } = await stranger.run('node', [name]);
    expect([status, stdout]).toEqual([
      0,
      name === 'plain-tasks.mjs' ? '  function  x\n' : 'function function function device\n',
    ]);
  });
});
