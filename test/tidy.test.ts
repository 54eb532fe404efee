import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(ROOT, path)));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const code = files.filter((path) => path.endsWith('.ts') && !path.startsWith('examples/jetson/'));
const lib = code.filter((path) => path.startsWith('lib/'));

/** Relative imports of a file, static and dynamic, as paths from the root. */
function importsOf(path: string): string[] {
  const found = [...read(path).matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '');
  return found.map((to) => normalize(join(dirname(path), to)));
}

function packagesOf(path: string): string[] {
  const found = [...read(path).matchAll(/(?:from|import\()\s*'([^.'][^']*)'/g)].map((match) => match[1] ?? '');
  return found
    .filter((name) => !name.startsWith('node:'))
    .map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    );
}

/** Each row imports only rows below it; rows of one level do not import each other. */
const LEVELS: { readonly [row: string]: number } = {
  model: 0,
  ops: 1,
  engine: 2,
  config: 3,
  device: 3,
  host: 3,
  rehearsal: 4,
  report: 5,
  cli: 6,
};
const rowOf = (path: string): string => path.split('/')[1] ?? '';

describe('the layers of lib', () => {
  it('imports only what lies below', () => {
    const upward = lib
      .filter((path) => path !== 'lib/index.ts')
      .flatMap((path) => importsOf(path).map((to) => [path, to] as const))
      .filter(([path, to]) => rowOf(path) !== rowOf(to) && !((LEVELS[rowOf(to)] ?? 99) < (LEVELS[rowOf(path)] ?? -1)));
    expect(upward).toEqual([]);
  });

  it('has no import cycle', () => {
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (path: string, way: readonly string[]): void => {
      if (state.get(path) === 'done') return;
      if (state.get(path) === 'open') return void cycles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      state.set(path, 'open');
      for (const to of importsOf(path)) if (files.includes(to)) visit(to, [...way, path]);
      state.set(path, 'done');
    };
    for (const path of lib) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it('keeps each library behind one door', () => {
    const doors: { readonly [name: string]: readonly string[] } = {
      zx: ['host'],
      listr2: ['report'],
      'string-width': ['report'],
      cac: ['cli'],
      dotenv: ['config'],
      ssh2: ['device', 'rehearsal'],
      picomatch: ['host'],
      chokidar: ['host'],
    };
    const strays = lib
      .flatMap((path) => packagesOf(path).map((name) => [path, name] as const))
      .filter(([path, name]) => !(doors[name] ?? []).includes(rowOf(path)));
    expect(strays).toEqual([]);
  });

  it('keeps model, engine and ops free of Node', () => {
    const impure = lib.filter(
      (path) =>
        ['model', 'engine', 'ops'].includes(rowOf(path)) &&
        /'node:|\bprocess\.|\bDate\.now|Math\.random/.test(read(path)),
    );
    expect(impure).toEqual([]);
  });
});

describe('the files', () => {
  it('are short', () => {
    const most = (path: string): number => (path.startsWith('test/') ? 500 : 400);
    const long = code
      .map((path) => [path, read(path).split('\n').length] as const)
      .filter(([path, lines]) => lines > most(path));
    expect(long).toEqual([]);
  });

  it('hold no unfinished, focused or skipped work', () => {
    const marks = /TO[D]O|FIX[M]E|XX[X]\b|@ts-ignor[e]|\b(?:it|test|describe)\.(?:skip|only|todo)\b/;
    expect(code.filter((path) => marks.test(read(path)))).toEqual([]);
  });

  it('name no workplace, machine path or registry', () => {
    const banned = new RegExp(
      ['/wor[k]/', 'farm-(?:benc[h]|studi[o])', 'registry\\.npmj[s]', 'files\\.pythonhoste[d]', '/roo[t]/'].join('|'),
    );
    const text = files.filter((path) => !/\.(png|ico|woff2?)$/.test(path));
    expect(text.filter((path) => banned.test(read(path)))).toEqual([]);
  });

  it('lock without download addresses', () => {
    expect(
      files.filter((path) => path.endsWith('package-lock.json') && read(path).includes('"resolved": "http')),
    ).toEqual([]);
  });

  it('import dependencies that package.json names, and name none that nothing imports', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as {
      [kind: string]: { [name: string]: string };
    };
    const shipped = files.filter((path) => /^scripts\/launch.*\.[cm]js$/.test(path));
    const used = new Set([...lib, ...shipped].flatMap(packagesOf));
    expect([...used].filter((name) => dependencies?.[name] === undefined)).toEqual([]);
    expect(Object.keys(dependencies ?? {}).filter((name) => !used.has(name))).toEqual([]);
    expect(Object.keys(devDependencies ?? {})).toContain('vitest');
  });
});
