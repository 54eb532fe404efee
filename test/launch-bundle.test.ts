import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from './hello.ts';
import { Launched, TASKS, word } from './launched.ts';

let project: Launched;
beforeEach(() => {
  project = new Launched();
});
afterEach(() => project.close());

describe('what is named .js is what tsx takes for it, in a bundle and when it appears later', () => {
  test.each([
    ['js', 'ts'],
    ['mjs', 'mts'],
  ])('.%s, and .%s beside it', async (js, ts) => {
    const written = (text: string): string => word(text).replace(': string', '');
    project.write('tasks.ts', TASKS.replace('word.ts', `word.${js}`));
    project.write(`parts/word.${js}`, written('plain'));
    rmSync(join(project.path, 'parts/word.ts'));
    expect(await project.performed()).toBe('tsx plain');
    expect((await project.launch(['--list'])).said).toBe('bundle plain');
    project.write(`parts/word.${ts}`, word('typed'));
    expect(await project.performed()).toBe('tsx typed');
    expect((await project.launch(['--list'])).said).toBe('bundle typed');
  });

  test('also as a target of paths', async () => {
    const paths = { slipway: [`${ROOT}/lib/index.ts`], word: ['./parts/word.js'] };
    project.write('tsconfig.json', JSON.stringify({ compilerOptions: { paths } }));
    project.write('tasks.ts', TASKS.replace('./parts/word.ts', 'word'));
    project.write('parts/word.js', word('plain').replace(': string', ''));
    expect(await project.performed()).toBe('tsx one');
    expect((await project.launch(['--list'])).said).toBe('bundle one');
  });

  test('but what JavaScript imports is what Node takes', async () => {
    project.write('tasks.ts', TASKS.replace('word.ts', 'between.js'));
    project.write('parts/between.js', "export * from './word.js';\n");
    project.write('parts/word.js', word('plain').replace(': string', ''));
    expect(await project.performed()).toBe('tsx plain');
    expect((await project.launch(['--list'])).said).toBe('bundle plain');
  });
});

describe('TypeScript that a package loads, which only tsx can', () => {
  const CONF = "enum Kind { one = 'typed' }\nexport const conf: string = Kind.one;\n";
  beforeEach(() => {
    mkdirSync(join(project.path, 'parts/node_modules/loads'), { recursive: true });
    project.write('parts/node_modules/loads/package.json', '{ "name": "loads", "type": "module", "main": "main.js" }');
    project.write(
      'parts/node_modules/loads/main.js',
      `import { existsSync } from 'node:fs';
const at = new URL('../../conf.ts', import.meta.url);
export const conf = existsSync(at) ? (await import(at.href)).conf : 'none';\n`,
    );
    project.write(
      'parts/word.ts',
      "import { conf } from 'loads';\nexport const word: string = conf;\nexport const where = import.meta.dirname;\n",
    );
  });

  test('is seen by the run before, and nothing is bundled', async () => {
    project.write('parts/conf.ts', CONF);
    expect(await project.performed()).toBe('tsx typed');
    expect(project.manifest()).toMatchObject({
      bundle: null,
      refused: expect.stringContaining('parts/conf.ts') as string,
    });
    expect(await project.launch(['say'])).toMatchObject({ said: 'tsx typed', status: 0 });
  });

  test('and did not before: the bundle is given up, once and for all edits', async () => {
    expect(await project.performed()).toBe('tsx none');
    expect((await project.launch(['--list'])).said).toBe('bundle none');
    project.write('parts/conf.ts', CONF);
    const { said, rest, status } = await project.launch(['say']);
    expect(`${said}\n${rest}`).toMatch(/^slipway: [^]*\n {2}the bundle of this project cannot load it: run it again/);
    expect(status).toBe(2);
    for (const edit of ['', '// edited\n']) {
      project.write('tasks.ts', `${edit}${TASKS}`);
      expect(await project.launch(['say'])).toMatchObject({ said: 'tsx typed', status: 0 });
    }
    expect(project.manifest().bundle).toBeNull();
  });
});

test('what is required is loaded as tsx does it, and not bundled', async () => {
  project.write('parts/conf.cts', "enum Kind { one = 'typed' }\nexport const conf: string = Kind.one;\n");
  project.write(
    'parts/word.ts',
    `import { createRequire } from 'node:module';
export const { conf: word } = createRequire(import.meta.url)('./conf.cts') as { conf: string };
export const where = import.meta.dirname;\n`,
  );
  expect(await project.performed()).toBe('tsx typed');
  expect(await project.launch(['say'])).toMatchObject({ said: 'tsx typed', status: 0 });
  expect(project.manifest().refused).toContain('createRequire');
});

describe('of a package a bundle takes what Node takes', () => {
  const pack = (manifest: object, files: { readonly [name: string]: string }): void => {
    const folder = join(project.path, 'parts/node_modules/pk');
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'pk', type: 'module', ...manifest }));
  };
  const says = (from: string): void => {
    const where = 'export const where = import.meta.dirname;';
    project.write('parts/word.ts', `export { word } from '${from}';\n${where}\n`);
  };

  test.each(['module-sync', 'node-addons', 'node', 'module'])('where it has %s', async (condition) => {
    const files = { 'special.js': "export const word = 'special';", 'plain.js': "export const word = 'plain';" };
    pack({ exports: { [condition]: './special.js', default: './plain.js' } }, files);
    says('pk');
    const said = await project.performed();
    expect(project.manifest().refused).toBeNull();
    expect((await project.launch(['--list'])).said).toBe(said.replace('tsx', 'bundle'));
  });

  test('a folder in it, of which a further package.json says what it means, is not bundled', async () => {
    const main = JSON.stringify({ main: '../one.js' });
    pack({}, { 'one.js': "export const word = 'one';", 'sub/package.json': main });
    says('pk/sub');
    expect(await project.performed()).toBe('tsx one');
    expect(project.manifest().refused).toContain('pk/sub');
  });
});

test('modules that wait at their top do so side by side, and are not bundled', async () => {
  const wait = (name: string, ms: number): string =>
    `await new Promise((r) => setTimeout(r, ${String(ms)}));\n(globalThis as { said?: string }).said = '${name}';\nexport const where = import.meta.dirname;\n`;
  project.write('parts/slow.ts', wait('slow', 50));
  project.write('parts/quick.ts', wait('quick', 1));
  project.write(
    'tasks.ts',
    TASKS.replace('where, word', 'where')
      .replace('parts/word.ts', "parts/slow.ts';\nimport './parts/quick.ts")
      .replace('process.stderr', "const word = (globalThis as { said?: string }).said ?? '';\nprocess.stderr"),
  );
  expect(await project.performed()).toBe('tsx slow');
  expect(await project.launch(['say'])).toMatchObject({ said: 'tsx slow', status: 0 });
  expect(project.manifest().refused).toContain('awaits at its top');
});

test.each([
  ['the text of an opaque step', (text: string) => `${text}\nexport const opaque = 1;\n`],
  ['an import that is computed', (text: string) => `${text}\nexport const more = (name: string) => import(name);\n`],
  [
    'one that begins with a text',
    (text: string) => `${text}\nexport const more = (name: string) => import('./word' + name + '.ts');\n`,
  ],
  [
    'one that a comment stands before',
    (text: string) => `${text}\nexport const more = (name: string) => import/* it */('./word' + name + '.ts');\n`,
  ],
  ['import.meta.resolve', (text: string) => `${text}\nexport const at = () => import.meta.resolve('./x.ts');\n`],
])('what a bundle might do otherwise is not bundled, and not tried again: %s', async (_, edit) => {
  writeFileSync(join(project.path, 'parts/word.ts'), edit(word('one')));
  expect(await project.performed()).toBe('tsx one');
  expect(project.manifest()).toMatchObject({
    bundle: null,
    refused: expect.stringContaining('parts/word.ts') as string,
  });
  const made = project.made();
  // Young files are taken down again once; from then on nothing is made.
  expect(await project.launch(['--list'])).toMatchObject({ said: 'tsx one', status: 0 });
  expect(project.made()).toBe(made);
});
