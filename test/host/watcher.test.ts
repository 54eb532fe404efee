import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { folderMatcher, openWatcher } from '../../lib/host/watcher.ts';
import { tempDir, until } from './rig.ts';

test('folders are looked into as far as they could hold a match', () => {
  const mayHold = folderMatcher(['a/src/**/*.ts', 'b/*.json', '!a/src/gen/**']);
  const folders = ['', 'a', 'a/src', 'a/src/deep', 'b', 'a/other', 'a/src/gen', 'a/src/node_modules', '.git', 'c'];
  expect(folders.filter((folder) => mayHold(folder))).toEqual(['', 'a', 'a/src', 'a/src/deep', 'b']);
});

test('tells of files that are changed, made, moved and removed, also in folders that came later, and of no others', async () => {
  const dir = tempDir();
  const path = (name: string): string => join(dir, name);
  mkdirSync(path('noise'));
  let rings = 0;
  const watcher = await openWatcher(dir, [['src/**/*.ts']], () => rings++);
  onTestFinished(() => watcher.close());
  await watcher.sound();
  const rung = async (what: string, act: () => void): Promise<void> => {
    const before = rings;
    act();
    await until(what, () => rings > before);
  };
  await rung('a folder', () => mkdirSync(path('src')));
  await rung('a file', () => writeFileSync(path('src/a.ts'), '1'));
  await rung('an edit', () => writeFileSync(path('src/a.ts'), '2'));
  await rung('a folder below', () => mkdirSync(path('src/deep/er'), { recursive: true }));
  await until('it is watched', () => (writeFileSync(path('src/deep/er/b.ts'), String(rings)), rings > 20));
  await rung('a move', () => renameSync(path('src/a.ts'), path('src/c.ts')));
  await rung('a removal', () => rmSync(path('src/c.ts')));
  await new Promise((resolve) => setImmediate(resolve));
  const before = rings;
  writeFileSync(path('noise/a.ts'), '1');
  writeFileSync(path('src/a.js'), '1');
  // What comes after them is told, so they would have been by then.
  await rung('an edit', () => writeFileSync(path('src/d.ts'), '1'));
  expect(rings - before).toBeLessThanOrEqual(4);
});

test('tells of files behind links, wherever they are, also when they or their folder are replaced', async () => {
  const [dir, elsewhere] = [tempDir(), tempDir()];
  const there = (name: string): string => join(elsewhere, name);
  mkdirSync(join(dir, 'src'));
  mkdirSync(there('shared/below'), { recursive: true });
  for (const file of ['shared/c.json', 'shared/other', 'new']) writeFileSync(there(file), '1');
  symlinkSync(there('shared/c.json'), join(dir, 'src/c.json'));
  symlinkSync('not-there', join(dir, 'src/nowhere'));
  symlinkSync('circle', join(dir, 'src/circle'));
  const links = ['src/c.json', 'src/nowhere', 'src/circle'];
  let rings = 0;
  const watcher = await openWatcher(dir, [['src/**']], () => rings++);
  onTestFinished(() => watcher.close());
  await watcher.sound();
  const rung = async (what: string, act: () => void): Promise<number> => {
    watcher.follow(links);
    const before = rings;
    act();
    await until(what, () => rings > before);
    return rings - before;
  };
  await rung('an edit', () => writeFileSync(there('shared/c.json'), '2'));
  await rung('another file in its place', () => renameSync(there('new'), there('shared/c.json')));
  await rung('another folder in its place', () => {
    renameSync(there('shared'), there('old'));
    mkdirSync(there('shared/below'), { recursive: true });
    writeFileSync(there('shared/c.json'), '3');
  });
  await rung('an edit there', () => writeFileSync(there('shared/c.json'), '4'));
  await rung('its removal', () => rmSync(there('shared/c.json')));
  writeFileSync(there('shared/c.json'), '5');
  watcher.follow(links);
  await new Promise((resolve) => setImmediate(resolve));
  // What comes after the noise is told, so that would have been by then.
  const times = await rung('an edit after noise', () => {
    for (const name of ['a', 'b', 'c', 'other', 'below/c.json']) writeFileSync(there(`shared/${name}`), 'noise');
    writeFileSync(there('shared/c.json'), '6');
  });
  expect(times).toBeLessThanOrEqual(4);
  await watcher.sound();
});
