import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readEnvFile } from '../../lib/config/env-file.ts';
import { project, usageError } from './project.ts';

const read = async (content: string): Promise<unknown> =>
  Object.fromEntries((await readEnvFile(join(project({ '.env': content }), '.env'), '.env'))?.values ?? []);

test('the forms that dotenv knows', async () => {
  expect(
    await read('\uFEFFA=1\r\n\r\n# note\nexport B = "two words" # why\nC=\nD: four\nE=\'a\nb\'\nF="x\\ny"\n'),
  ).toEqual({ A: '1', B: 'two words', C: '', D: 'four', E: 'a\nb', F: 'x\ny' });
  expect(await readEnvFile(join(project(), '.env'), '.env')).toBeNull();
});

test.each([
  ['A=1\nB\n', 2],
  ['# a\n\nJETSON_HOST jetson.local\n', 3],
  ['A="two\nlines"\nnot this\nB=1', 3],
  ['=x', 1],
])('a line that would be skipped without a word is told by its number: %j', async (content, line) => {
  expect(await usageError(() => read(content))).toEqual({
    message: `.env line ${String(line)} is not KEY=value`,
    hint: `correct line ${String(line)} of .env, or begin it with #`,
  });
});

test('a file that may not be read, and a folder in its place', async () => {
  const folder = project({ '.env': 'A=1' });
  mkdirSync(join(folder, '.env.jetson'));
  expect(await usageError(() => readEnvFile(join(folder, '.env.jetson'), '.env.jetson'))).toEqual({
    message: '.env.jetson cannot be read (EISDIR)',
    hint: 'make .env.jetson a readable file, or remove it',
  });
});

test('a file without the right to read it', async () => {
  const folder = project({ '.env': 'A=1' });
  chmodSync(join(folder, '.env'), 0);
  const isRoot = process.geteuid?.() === 0;
  // Root reads everything: be somebody else for a moment.
  if (isRoot) process.seteuid?.(65_534);
  try {
    expect(await usageError(() => readEnvFile(join(folder, '.env'), '.env'))).toEqual({
      message: '.env cannot be read (EACCES)',
      hint: 'chmod u+r .env',
    });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});
