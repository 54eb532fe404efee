import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { openFingerprints, type FileEntry } from '../../lib/host/fingerprint.ts';
import { sha256 } from '../../lib/host/hash.ts';
import { tempDir } from './rig.ts';

const LONG_AGO = new Date('2020-01-01');

function put(dir: string, path: string, content = '', mode = 0o644): void {
  fs.mkdirSync(dirname(join(dir, path)), { recursive: true });
  fs.writeFileSync(join(dir, path), content, { mode });
}

const expand = (dir: string, ...globs: string[]): readonly FileEntry[] =>
  openFingerprints(dir, join(dir, '.slipway')).expand(globs);
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

test('content, executable bit and link targets count', () => {
  const dir = tempDir();
  put(dir, 'a', 'A', 0o755);
  fs.symlinkSync('a', join(dir, 'l'));
  fs.symlinkSync('nowhere', join(dir, 'm'));
  fs.symlinkSync('o', join(dir, 'o'));
  const before = expand(dir, '*');
  expect(before.map(([path, kind, executable]) => [path, kind, executable])).toEqual([
    ['a', 'file', 1],
    ['l', 'link', 0],
  ]);
  expect(before[0]?.[3]).toBe(sha256('A'));
  put(dir, 'a', 'B');
  fs.chmodSync(join(dir, 'a'), 0o644);
  const after = expand(dir, '*');
  expect(after[0]?.slice(2)).toEqual([0, sha256('B')]);
  expect(after[1]?.[3]).not.toBe(before[1]?.[3]);
});

test('links to folders are followed, circles end', () => {
  const dir = tempDir();
  put(dir, 'real/a', 'A');
  fs.symlinkSync('real', join(dir, 'linked'));
  fs.symlinkSync('..', join(dir, 'real/up'));
  expect(expand(dir, 'linked/*')).toEqual([['linked/a', 'file', 0, sha256('A')]]);
  expect(paths(dir, '**')).toContain('real/a');
});

test('a hash is remembered while nothing that stat tells has changed, but not of a file just written', () => {
  const dir = tempDir();
  const slipwayDir = join(dir, '.slipway');
  const hashOf = (): string | undefined => {
    const prints = openFingerprints(dir, slipwayDir);
    const hash = prints.expand(['a'])[0]?.[3];
    prints.save();
    return hash;
  };
  const forge = (): void =>
    fs.writeFileSync(
      join(slipwayDir, 'stat.json'),
      fs.readFileSync(join(slipwayDir, 'stat.json'), 'utf8').replaceAll(sha256('A'), 'forged'),
    );
  put(dir, 'a', 'A');
  expect(hashOf()).toBe(sha256('A'));
  forge();
  expect(hashOf(), 'just written: never trusted').toBe(sha256('A'));
  fs.utimesSync(join(dir, 'a'), LONG_AGO, LONG_AGO);
  expect(hashOf()).toBe(sha256('A'));
  forge();
  expect(hashOf(), 'remembered').toBe('forged');
  fs.writeFileSync(join(dir, 'a'), 'B');
  fs.utimesSync(join(dir, 'a'), LONG_AGO, LONG_AGO);
  expect(hashOf(), 'same size and mtime, other ctime').toBe(sha256('B'));
  for (const broken of [
    '',
    '{"version":1,"files":{"a":[1]}}',
    '{"version":2}',
    'null',
    '{"version":1,"files":{"a":["1"',
  ]) {
    fs.writeFileSync(join(slipwayDir, 'stat.json'), broken);
    expect(hashOf()).toBe(sha256('B'));
  }
});
