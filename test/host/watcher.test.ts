import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
