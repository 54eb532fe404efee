import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Json } from '../../lib/model/json.ts';
import type { StepKind } from '../../lib/model/step.ts';
import { rig, step, type Rig } from './rig.ts';

/** Performs a file step; its failure, or null. */
async function act(
  r: Rig,
  kind: StepKind,
  args: { readonly [key: string]: Json },
  more: object = {},
): Promise<unknown> {
  const performed = await r.host.perform(step(kind, args, more), r.performing);
  return performed.ok ? null : performed.failure;
}

const write = (path: string, content = 'new', mode = 0o640): { [key: string]: Json } => ({ path, content, mode });
const restore = (r: Rig, path: string): Promise<unknown> =>
  act(r, 'restore', { path, saved: 't/1' }, { id: 't/1.undo.1' });

/** Everything below a folder but `.slipway`: kind, mode, content. */
function snapshot(dir: string, at = ''): Record<string, string> {
  const all = fs.readdirSync(join(dir, at), { withFileTypes: true }).flatMap((entry) => {
    const path = join(at, entry.name);
    if (path === '.slipway') return [];
    const stat = fs.lstatSync(join(dir, path));
    if (stat.isSymbolicLink()) return [[path, `link ${fs.readlinkSync(join(dir, path))}`]];
    if (stat.isDirectory()) return [[path, 'folder'], ...Object.entries(snapshot(dir, path))];
    return [
      [
        path,
        `${(stat.mode & 0o777).toString(8)} ${String(Math.floor(stat.mtimeMs))} ${fs.readFileSync(join(dir, path), 'utf8')}`,
      ],
    ];
  });
  return Object.fromEntries(all) as Record<string, string>;
}

function project(): Rig {
  const r = rig();
  fs.mkdirSync(r.path('tree/deep'), { recursive: true });
  fs.writeFileSync(r.path('file'), 'old', { mode: 0o600 });
  fs.writeFileSync(r.path('tree/deep/x'), 'x');
  fs.symlinkSync('file', r.path('link'));
  fs.symlinkSync('nowhere', r.path('tree/dangling'));
  return r;
}

test('write, link and remove do it, and restore puts everything back, once or twice', async () => {
  const cases: [StepKind, { readonly [key: string]: Json }, (r: Rig) => unknown, unknown][] = [
    ['write', write('file'), (r) => fs.readFileSync(r.path('file'), 'utf8'), 'new'],
    ['write', write('a/b/new'), (r) => fs.lstatSync(r.path('a/b/new')).mode & 0o777, 0o640],
    ['write', write('link'), (r) => fs.lstatSync(r.path('link')).isFile(), true],
    ['link', { path: 'link', target: 'tree' }, (r) => fs.readlinkSync(r.path('link')), 'tree'],
    ['link', { path: 'c/link', target: '../tree' }, (r) => fs.readlinkSync(r.path('c/link')), '../tree'],
    ['link', { path: 'link', target: null }, (r) => fs.existsSync(r.path('link')), false],
    ['remove', { path: 'file' }, (r) => fs.existsSync(r.path('file')), false],
    ['remove', { path: 'link' }, (r) => fs.readFileSync(r.path('file'), 'utf8'), 'old'],
    ['remove', { path: 'tree' }, (r) => fs.existsSync(r.path('tree')), false],
    ['remove', { path: 'not/there' }, (r) => fs.existsSync(r.path('not')), false],
  ];
  for (const [kind, args, look, expected] of cases) {
    const r = project();
    const before = snapshot(r.dir);
    const path = args['path'] as string;
    expect(await restore(r, path), `undo of ${kind} that did not happen`).toBe(null);
    expect(snapshot(r.dir)).toEqual(before);
    // Twice: a second call of the same step keeps what the first one saved.
    for (const time of [1, 2]) expect(await act(r, kind, args), String(time)).toBe(null);
    expect(look(r)).toEqual(expected);
    for (const time of [1, 2]) {
      expect(await restore(r, path), String(time)).toBe(null);
      expect(snapshot(r.dir), `${kind} ${path}`).toEqual(before);
    }
  }
});

test('what was put back and altered since is what another attempt puts back', async () => {
  const r = project();
  for (const content of ['old', 'altered', 'again']) {
    fs.writeFileSync(r.path('file'), content);
    expect(await act(r, 'write', write('file'))).toBe(null);
    expect(await restore(r, 'file')).toBe(null);
    expect(fs.readFileSync(r.path('file'), 'utf8')).toBe(content);
  }
  fs.writeFileSync(r.path('file'), 'after');
  expect(await restore(r, 'file')).toBe(null);
  expect(fs.readFileSync(r.path('file'), 'utf8')).toBe('after');
});

test('a remove cut short between its save and its move is finished by the next call, and undone by the next undo', async () => {
  const r = project();
  const before = snapshot(r.dir);
  await act(r, 'remove', { path: 'tree' });
  await restore(r, 'tree');
  expect(await act(r, 'remove', { path: 'tree' })).toBe(null);
  expect(fs.existsSync(r.path('tree'))).toBe(false);
  await restore(r, 'tree');
  expect(snapshot(r.dir)).toEqual(before);
});

test('restore keeps what others put into a folder that the write made', async () => {
  const r = project();
  await act(r, 'write', write('a/b/new'));
  fs.writeFileSync(r.path('a/other'), '');
  await restore(r, 'a/b/new');
  expect(fs.readdirSync(r.path('a'))).toEqual(['other']);
});

test('a repeated step keeps each path on its own', async () => {
  const r = project();
  fs.writeFileSync(r.path('file2'), 'old2');
  for (const path of ['file', 'file2']) await act(r, 'write', write(path));
  for (const path of ['file2', 'file']) await restore(r, path);
  expect([fs.readFileSync(r.path('file'), 'utf8'), fs.readFileSync(r.path('file2'), 'utf8')]).toEqual(['old', 'old2']);
});

test('what is saved is private, and only a change saves', async () => {
  const r = project();
  await act(r, 'write', write('file', 'derived'), { effect: 'derives' });
  expect(fs.existsSync(r.path('.slipway/saved'))).toBe(false);
  await act(r, 'write', write('file'));
  const modes = fs.readdirSync(r.path('.slipway/saved'), { recursive: true, withFileTypes: true }).map((entry) => {
    return [entry.isDirectory(), fs.lstatSync(join(entry.parentPath, entry.name)).mode & 0o777];
  });
  expect(modes.filter(([folder]) => folder === true).every(([, mode]) => mode === 0o700)).toBe(true);
  expect(modes.filter(([folder]) => folder === false).map(([, mode]) => mode)).toEqual([0o600, 0o600]);
  expect(fs.lstatSync(r.slipwayDir).mode & 0o777).toBe(0o700);
});

test('a path that leaves the project is refused, also through a link', async () => {
  const r = project();
  const outside = project();
  fs.symlinkSync(outside.dir, r.path('out'));
  fs.symlinkSync(join(outside.dir, 'not-yet'), r.path('hole'));
  fs.mkdirSync(r.path('sub'));
  fs.symlinkSync('..', r.path('sub/up'));
  const refused = { reason: 'refused', message: expect.stringContaining('is not inside the project') as unknown };
  for (const path of [
    '../x',
    '/etc/x',
    '.',
    '',
    'tree/../..',
    outside.path('file'),
    'out/file',
    'out/a/b',
    `${r.dir}-beside`,
  ]) {
    expect(await act(r, 'write', write(path)), path).toEqual(refused);
    expect(await act(r, 'remove', { path }), path).toEqual(refused);
  }
  expect(await act(r, 'write', write('hole/x'))).toMatchObject({ reason: 'file-system', code: 'ENOENT' });
  expect(await act(r, 'write', write('sub/up/in'))).toBe(null);
  expect(await act(r, 'write', write(r.path('absolute')))).toBe(null);
  expect(await act(r, 'remove', { path: 'out' })).toBe(null);
  expect(fs.readFileSync(outside.path('file'), 'utf8')).toBe('old');
});

test('what stands in the way is refused, or said by its code', async () => {
  const r = project();
  expect(await act(r, 'write', write('tree'))).toMatchObject({ reason: 'refused' });
  expect(await act(r, 'link', { path: 'file', target: 'x' })).toMatchObject({ reason: 'refused' });
  expect(await act(r, 'write', write('file/x'))).toEqual({
    reason: 'file-system',
    code: 'ENOTDIR',
    path: 'file/x',
    operation: 'write',
  });
  expect(fs.readdirSync(r.dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});
