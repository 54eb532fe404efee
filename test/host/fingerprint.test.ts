import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { globSync } from 'tinyglobby';
import { expect, test } from 'vitest';
import { openFingerprints } from '../../lib/host/fingerprint.ts';
import { globMatcher } from '../../lib/host/glob.ts';
import { sha256 } from '../../lib/host/hash.ts';
import type { FileEntry } from '../../lib/model/check.ts';
import { StepFailed, type Failure } from '../../lib/model/failure.ts';
import { tempDir } from './rig.ts';

const LONG_AGO = new Date('2020-01-01');

function put(dir: string, path: string, content = '', mode = 0o644): void {
  fs.mkdirSync(dirname(join(dir, path)), { recursive: true });
  fs.writeFileSync(join(dir, path), content, { mode });
}

const expand = (dir: string, ...globs: string[]): readonly FileEntry[] =>
  openFingerprints(dir, join(dir, '.slipway')).inputs(globs).entries;
const paths = (dir: string, ...globs: string[]): readonly string[] => expand(dir, ...globs).map(([path]) => path);

test('globs match files of the project, sorted, dot files too; some folders only when named', () => {
  const dir = tempDir();
  for (const path of [
    'src/b.ts',
    'src/a.ts',
    'src/.hidden',
    'src/node_modules/x/i.js',
    'node_modules/y.js',
    '.git/HEAD',
    '.slipway/build/o',
    'src/é',
    'top',
    '[odd]',
  ])
    put(dir, path);
  expect(paths(dir, 'src')).toEqual(['src/.hidden', 'src/a.ts', 'src/b.ts', 'src/é']);
  expect(paths(dir, '**')).toEqual(['[odd]', 'src/.hidden', 'src/a.ts', 'src/b.ts', 'src/é', 'top']);
  expect(paths(dir, '.git/HEAD', 'top', '.slipway/build/**')).toEqual(['.git/HEAD', '.slipway/build/o', 'top']);
  expect(paths(dir, '{node_modules,other}/*.js')).toEqual(['node_modules/y.js']);
  expect(paths(dir, 'src/!(node_modules)/**').join()).not.toContain('node_modules');
  expect(paths(dir, 'node_modules/*.js', 'src/node_modules/**', 'src/**', '!**/b.ts')).toEqual([
    'node_modules/y.js',
    'src/.hidden',
    'src/a.ts',
    'src/node_modules/x/i.js',
    'src/é',
  ]);
  expect(paths(dir, 'nothing')).toEqual([]);
  for (const glob of ['../x', '/etc/passwd', 'a/../../x', '!../x']) expect(() => paths(dir, glob)).toThrow('refused');
});

test('of lists of globs each leaves out of its own', () => {
  const dir = tempDir();
  for (const path of ['app/main', 'app/tests/t', 'app/tests/odd/t', 'app/own/o', 'else']) put(dir, path);
  const of = (...lists: readonly (readonly string[])[]): readonly string[] =>
    openFingerprints(dir, join(dir, '.slipway'))
      .inputs(...lists)
      .entries.map(([path]) => path);
  const service = ['app/**', '!app/tests/**'];
  expect(of(service)).toEqual(['app/main', 'app/own/o']);
  expect(of(['app/tests/**', '!**/odd/**'], service)).toEqual(['app/main', 'app/own/o', 'app/tests/t']);
  expect(of(service, ['app/tests/**', '!**/o'])).toEqual(['app/main', 'app/own/o', 'app/tests/odd/t', 'app/tests/t']);
  expect(of(service, ['app/**', '!app/own/**', '!app/tests/**'])).toEqual(['app/main', 'app/own/o']);
  expect(of([], service)).toEqual(of(service));
  expect(of([], [])).toEqual([]);
  const matches = globMatcher(['app/tests/**', '!**/odd/**'], service);
  expect(['app/main', 'app/tests/t', 'app/tests/odd/t', 'else'].map(matches)).toEqual([true, true, false, false]);
  const { unmatched } = openFingerprints(dir, join(dir, '.slipway')).inputs(['app/tests/**', '!**/t'], service);
  expect(unmatched).toEqual(['app/tests/**']);
});

test('content, executable bit and link targets count', () => {
  const dir = tempDir();
  put(dir, 'a', 'A', 0o755);
  fs.symlinkSync('a', join(dir, 'l'));
  fs.symlinkSync('nowhere', join(dir, 'm'));
  fs.symlinkSync('o', join(dir, 'o'));
  const before = expand(dir, '*');
  expect(before.map(([path, kind, executable]) => [path, kind, executable])).toEqual([
    ['a', 'file', 1],
    ['l', 'link', 1],
  ]);
  expect(before[0]?.[3]).toBe(sha256('A'));
  put(dir, 'a', 'B');
  fs.chmodSync(join(dir, 'a'), 0o644);
  const after = expand(dir, '*');
  expect(after[0]?.slice(2)).toEqual([0, sha256('B')]);
  expect(after[1]?.[3]).not.toBe(before[1]?.[3]);
  expect(after[1]?.[2]).toBe(0);
});

test('folders that link to each other in too many ways are told, not walked for ever', () => {
  const dir = tempDir();
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  for (const name of names) fs.mkdirSync(join(dir, name));
  for (const from of names)
    for (const to of names.filter((name) => name !== from)) fs.symlinkSync(`../${to}`, join(dir, from, to));
  expect(() => expand(dir, '**')).toThrow('file-system');
});

test.skipIf(process.platform === 'darwin')('a name that is no UTF-8 is refused where globs match it', () => {
  const dir = tempDir();
  put(dir, 'a', 'A');
  fs.writeFileSync(Buffer.concat([Buffer.from(`${dir}/caf`), Buffer.from([0xe9])]), 'x');
  const failed = (): unknown => {
    try {
      return expand(dir, '*');
    } catch (error) {
      return error;
    }
  };
  expect(failed()).toMatchObject({ failure: { reason: 'file-system', code: 'EILSEQ', operation: 'name' } });
  expect(expand(dir, '*.ts')).toEqual([]);
  fs.mkdirSync(Buffer.concat([Buffer.from(`${dir}/d`), Buffer.from([0xe9])]));
  expect(() => expand(dir, '**/*.ts')).toThrow('file-system');
});

test('links to folders are followed, circles end', () => {
  const dir = tempDir();
  put(dir, 'real/a', 'A');
  fs.symlinkSync('real', join(dir, 'linked'));
  fs.symlinkSync('..', join(dir, 'real/up'));
  expect(expand(dir, 'linked/*')).toEqual([['linked/a', 'file', 0, sha256('A')]]);
  expect(paths(dir, '**')).toContain('real/a');
});

/** A project whose clock the test sets; `hashed` is how many files the last look hashed. */
class Looker {
  readonly dir = tempDir();
  readonly file = join(this.dir, '.slipway', 'stat.bin');
  laterMs = 10_000;
  hashed = 0;

  look(...globs: string[]): readonly FileEntry[] {
    const prints = openFingerprints(this.dir, join(this.dir, '.slipway'), () => Date.now() + this.laterMs);
    const { entries } = prints.inputs(globs);
    this.hashed = prints.hashed;
    prints.save();
    return entries;
  }

  digest(path = 'a'): string | undefined {
    return this.look(path)[0]?.[3];
  }
}

test('a file is hashed once, and again only when something that stat tells has changed', () => {
  const project = new Looker();
  const { dir } = project;
  for (const name of ['a', 'b', 'c']) put(dir, name, name);
  project.look('*');
  expect(project.hashed).toBe(3);
  expect([project.digest(), project.hashed]).toEqual([sha256('a'), 0]);
  put(dir, 'b', 'B');
  expect(project.look('*')[1]).toEqual(['b', 'file', 0, sha256('B')]);
  expect(project.hashed).toBe(1);
  fs.utimesSync(join(dir, 'a'), LONG_AGO, LONG_AGO);
  expect([project.digest(), project.hashed], 'only its time changed').toEqual([sha256('a'), 1]);
  put(dir, 'x', 'X');
  fs.utimesSync(join(dir, 'x'), LONG_AGO, LONG_AGO);
  fs.renameSync(join(dir, 'x'), join(dir, 'a'));
  expect(project.digest(), 'an older file of the same size and time').toBe(sha256('X'));
  fs.rmSync(join(dir, 'b'));
  expect(project.look('*').map(([path]) => path)).toEqual(['a', 'c']);
  put(dir, 'b', 'B');
  project.look('*');
  expect(project.hashed, 'one that came back').toBe(1);
});

test('of fifty thousand files one that was touched is hashed', { timeout: 120_000 }, () => {
  const project = new Looker();
  for (let folder = 0; folder < 500; folder++) {
    fs.mkdirSync(join(project.dir, 'src', String(folder)), { recursive: true });
    for (let file = 0; file < 100; file++) fs.writeFileSync(join(project.dir, 'src', String(folder), String(file)), '');
  }
  expect(project.look('src/**')).toHaveLength(50_000);
  expect(project.hashed).toBe(50_000);
  fs.utimesSync(join(project.dir, 'src/250/50'), new Date(), new Date());
  project.look('src/**');
  expect(project.hashed).toBe(1);
  put(project.dir, 'src/250/50x', 'new');
  project.look('src/**');
  expect(project.hashed).toBe(1);
});

test('what was hashed within one tick of its last change is never trusted', () => {
  const project = new Looker();
  project.laterMs = 0;
  put(project.dir, 'a', 'A');
  const before = fs.statSync(join(project.dir, 'a'), { bigint: true });
  expect(project.digest()).toBe(sha256('A'));
  const fd = fs.openSync(join(project.dir, 'a'), 'r+');
  fs.writeSync(fd, 'B');
  fs.closeSync(fd);
  const after = fs.statSync(join(project.dir, 'a'), { bigint: true });
  expect([after.size, after.ino]).toEqual([before.size, before.ino]);
  // Whether or not the kernel gave it another time.
  forgeTimes(project.file, before, after);
  expect(project.digest()).toBe(sha256('B'));
});

/** Has the cache say of a file what `stat` says of it now. */
function forgeTimes(file: string, before: fs.BigIntStats, after: fs.BigIntStats): void {
  const bytes = fs.readFileSync(file);
  for (const name of ['mtimeNs', 'ctimeNs'] as const) {
    const at = bytes.indexOf(int64(before[name]));
    if (at !== -1) int64(after[name]).copy(bytes, at);
  }
  fs.writeFileSync(file, bytes);
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

test('the forged times are what an entry is trusted by, when it was hashed well after the last change', () => {
  const project = new Looker();
  put(project.dir, 'a', 'A');
  const before = fs.statSync(join(project.dir, 'a'), { bigint: true });
  project.digest();
  fs.writeFileSync(join(project.dir, 'a'), 'B');
  forgeTimes(project.file, before, fs.statSync(join(project.dir, 'a'), { bigint: true }));
  expect(project.digest()).toBe(sha256('A'));
});

test('a clock that jumped back trusts nothing that changed after now', () => {
  const project = new Looker();
  put(project.dir, 'a', 'A');
  project.laterMs = -3_600_000;
  for (let time = 0; time < 2; time++) expect([project.digest(), project.hashed]).toEqual([sha256('A'), 1]);
  project.laterMs = 10_000;
  project.digest();
  expect([project.digest(), project.hashed]).toEqual([sha256('A'), 0]);
});

test('a cache that is damaged or cut short remembers nothing, or nothing wrong', () => {
  const project = new Looker();
  for (const name of ['a', 'b', 'c']) put(project.dir, name, name);
  const right = project.look('*');
  const whole = fs.readFileSync(project.file);
  for (let length = 0; length < whole.length; length += 7) {
    fs.writeFileSync(project.file, whole.subarray(0, length));
    expect(project.look('*'), `cut to ${String(length)}`).toEqual(right);
    expect(project.hashed).toBe(3);
  }
  for (const junk of ['', 'x'.repeat(300), whole.toString('latin1').replace('-01', '-02')]) {
    fs.writeFileSync(project.file, junk, 'latin1');
    expect(project.look('*')).toEqual(right);
  }
});

test('an input that goes while it is hashed is a clear failure', () => {
  const dir = tempDir();
  for (const name of ['a', 'b']) put(dir, name, name);
  // The clock is asked right before a file is read.
  const prints = openFingerprints(dir, join(dir, '.slipway'), () => {
    fs.rmSync(join(dir, 'b'), { force: true });
    return Date.now();
  });
  let failure: Failure | undefined;
  try {
    prints.inputs(['b']);
  } catch (error) {
    if (error instanceof StepFailed) failure = error.failure;
  }
  expect(failure).toEqual({ reason: 'file-system', code: 'ENOENT', path: join(dir, 'b'), operation: 'hash' });
});

test('outputs keep their links as links, and folders with nothing in them count', () => {
  const dir = tempDir();
  put(dir, 'outside/x', 'X');
  put(dir, 'out/a', 'A');
  fs.mkdirSync(join(dir, 'out/empty/inner'), { recursive: true });
  fs.symlinkSync('../outside', join(dir, 'out/folder'));
  fs.symlinkSync('/nowhere', join(dir, 'out/lost'));
  const { entries } = openFingerprints(dir, join(dir, '.slipway')).outputs(['out/**']);
  expect(entries).toEqual([
    ['out/a', 'file', 0, sha256('A')],
    ['out/empty/inner', 'folder', 0, ''],
    ['out/folder', 'link', 0, '../outside'],
    ['out/lost', 'link', 0, '/nowhere'],
  ]);
});

test('globs mean what tinyglobby makes of them', () => {
  const dir = tempDir();
  for (const path of [
    'a.ts',
    'src/a.ts',
    'src/b.js',
    'src/x/c.ts',
    'src/x/y/d.json',
    'src/.dot/e.ts',
    'lib/src/f.ts',
    'src/(g)/h.ts',
    'src/x/node_modules/i.ts',
  ])
    put(dir, path);
  for (const globs of [
    ['**/*.ts'],
    ['src/*.{ts,js}'],
    ['src/*'],
    ['*/src/**'],
    ['src/x'],
    ['src/**/*.json', 'a.ts'],
    ['**', '!src/**'],
    ['src/**', '!**/*.ts'],
    ['src/?.ts'],
    ['s*/x'],
    ['src/[ab].*'],
    ['**/x/**'],
    ['./src/x/'],
    ['src/**/node_modules/*.ts'],
  ]) {
    const theirs = globSync(globs, {
      cwd: dir,
      dot: true,
      ignore: globs.join().includes('node_modules') ? [] : ['**/node_modules'],
    });
    expect([...paths(dir, ...globs)].sort(), globs.join()).toEqual(theirs.sort());
  }
});
