import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { expect, test } from 'vitest';
import { aText, Device } from './client.ts';

const mode = (path: string): number => statSync(path).mode & 0o7777;

test('write replaces a file whole, with its mode, and restore puts the old one back', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'a', content: 'one', mode: 0o755, step: 't/1' });
  await agent.ok('write', { path: 'a', content: 'two\né', mode: 0o600, step: 't/2' });
  await agent.ok('write', { path: 'a', content: 'three', mode: 0o600, step: 't/2' });
  expect([device.read('a'), mode(device.at('a'))]).toEqual(['three', 0o600]);
  expect(await agent.ok('read', { path: 'a' })).toEqual({ content: 'three' });
  for (let call = 0; call < 2; call += 1) await agent.ok('restore', { path: 'a', saved: 't/2' });
  expect([device.read('a'), mode(device.at('a'))]).toEqual(['one', 0o755]);
  for (let call = 0; call < 2; call += 1) await agent.ok('restore', { path: 'a', saved: 't/1' });
  expect(existsSync(device.at('a'))).toBe(false);
  expect(readdirSync(device.root)).toEqual(['state']);
});

test('folders that a write needs are made, and taken away by its restore', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'shared/secrets.env', content: 'A=1\n', mode: 0o600, step: '1' });
  expect([mode(device.at('shared')), mode(device.at('shared/secrets.env'))]).toEqual([0o700, 0o600]);
  expect(await agent.ok('secrets.same', { content: 'A=1\n' })).toEqual({ same: true });
  expect(await agent.ok('secrets.same', { content: 'A=2\n' })).toEqual({ same: false });
  await agent.ok('restore', { path: 'shared/secrets.env', saved: '1' });
  expect(existsSync(device.at('shared'))).toBe(false);
  expect(await agent.ok('secrets.same', { content: '' })).toEqual({ same: false });
});

test('saves are closed to others, also for odd step ids', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'a', content: 'secret', mode: 0o600, step: '../..' });
  await agent.ok('write', { path: 'a', content: 'other', mode: 0o600, step: '..' });
  expect(readdirSync(device.at('state/saved/run-1')).sort()).toEqual(['%2E.', '%2E.%2F..']);
  expect(mode(device.at('state/saved/run-1/%2E.'))).toBe(0o700);
  expect(mode(device.at('state/saved/run-1/%2E./content'))).toBe(0o600);
  await agent.ok('restore', { path: 'a', saved: '..' });
  expect(device.read('a')).toBe('secret');
});

test('another session of the same run restores; of another run it finds no save', async () => {
  const device = new Device();
  await device.session({ run: 'r1' }).ok('write', { path: 'a', content: 'x', step: '1' });
  await device.session({ run: 'r2' }).ok('restore', { path: 'a', saved: '1' });
  expect(device.read('a')).toBe('x');
  await device.session({ run: 'r1' }).ok('restore', { path: 'a', saved: '1' });
  expect(existsSync(device.at('a'))).toBe(false);
});

test('link switches by rename, removes with null, and is put back', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('link', { path: 'current', target: 'releases/1', step: '1' });
  await agent.ok('link', { path: 'current', target: 'releases/2', step: '2' });
  expect(readlinkSync(device.at('current'))).toBe('releases/2');
  await agent.ok('link', { path: 'current', target: null, step: '3' });
  await agent.ok('link', { path: 'current', target: null, step: '3' });
  expect(existsSync(device.at('current'))).toBe(false);
  await agent.ok('restore', { path: 'current', saved: '3' });
  expect(readlinkSync(device.at('current'))).toBe('releases/2');
  await agent.ok('restore', { path: 'current', saved: '2' });
  expect(readlinkSync(device.at('current'))).toBe('releases/1');
  await agent.ok('restore', { path: 'current', saved: '1' });
  expect(readdirSync(device.root)).toEqual(['state']);
});

test('link refuses a real folder or file, and a write a folder', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.hello;
  mkdirSync(device.at('current'));
  writeFileSync(device.at('current/kept'), 'kept');
  for (const target of ['releases/1', null])
    expect(await agent.fails('link', { path: 'current', target, step: '1' })).toMatchObject({ code: 'not-a-link' });
  expect(await agent.fails('link', { path: 'current/kept', target: 'x', step: '2' })).toMatchObject({
    code: 'not-a-link',
  });
  expect(await agent.fails('write', { path: 'current', content: '', step: '3' })).toMatchObject({ code: 'not-a-file' });
  expect(device.read('current/kept')).toBe('kept');
});

test('a removed tree comes back whole, links and modes included', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.hello;
  mkdirSync(device.at('tree/sub'), { recursive: true, mode: 0o750 });
  writeFileSync(device.at('tree/sub/file'), 'x', { mode: 0o640 });
  symlinkSync('/etc/passwd', device.at('tree/link'));
  for (let call = 0; call < 2; call += 1) await agent.ok('remove', { path: 'tree', step: '1' });
  expect(existsSync(device.at('tree'))).toBe(false);
  for (let call = 0; call < 2; call += 1) await agent.ok('restore', { path: 'tree', saved: '1' });
  expect([device.read('tree/sub/file'), mode(device.at('tree/sub/file')), mode(device.at('tree/sub'))]).toEqual([
    'x',
    0o640,
    0o750,
  ]);
  expect(readlinkSync(device.at('tree/link'))).toBe('/etc/passwd');
  await agent.ok('remove', { path: 'tree/link', step: '2' });
  expect(readFileSync('/etc/passwd', 'utf8')).toContain('root');
  await agent.ok('remove', { path: 'nothing/here', step: '3' });
  await agent.ok('restore', { path: 'nothing/here', saved: '3' });
});

test('a write replaces a link and does not follow it', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.hello;
  writeFileSync(device.at('target'), 'kept');
  symlinkSync('target', device.at('link'));
  await agent.ok('write', { path: 'link', content: 'new', step: '1' });
  expect([device.read('target'), device.read('link'), lstatSync(device.at('link')).isSymbolicLink()]).toEqual([
    'kept',
    'new',
    false,
  ]);
  await agent.ok('restore', { path: 'link', saved: '1' });
  expect(readlinkSync(device.at('link'))).toBe('target');
});

test('paths that leave the root are refused', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.hello;
  symlinkSync('/tmp', device.at('out'));
  symlinkSync('/etc/passwd', device.at('passwd'));
  for (const path of ['/etc/passwd', '../x', 'a/../../x', 'out/x', '', '.', './', 'a/..', 'a\0b', 7]) {
    expect(await agent.fails('write', { path, content: 'x', step: '1' }), String(path)).toMatchObject({
      reason: 'device-refused',
      code: 'outside-root',
    });
  }
  for (const path of ['passwd', 'out/x'])
    expect(await agent.fails('read', { path })).toMatchObject({ code: 'outside-root' });
  for (const op of ['remove', 'link'])
    expect(await agent.fails(op, { path: '../root', target: 'x', step: '1' })).toMatchObject({ code: 'outside-root' });
  expect(await agent.fails('restore', { path: 'out/x', saved: '1' })).toMatchObject({ code: 'outside-root' });
  expect(await agent.fails('run', { argv: ['pwd'], cwd: 'out' })).toMatchObject({ code: 'outside-root' });
});

test('file names with a newline, quotes, a leading dash and umlauts', async () => {
  const device = new Device();
  const agent = device.session();
  for (const [index, path] of ['-rf', 'a\nb', `q"'\`$x`, 'grün/ñ 日', ' '].entries()) {
    await agent.ok('write', { path, content: path, step: String(index) });
    expect(device.read(path)).toBe(path);
    await agent.ok('remove', { path, step: `r${String(index)}` });
    expect(existsSync(device.at(path))).toBe(false);
  }
});

test('failures of the file system are translated', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'file', content: '', step: '1' });
  expect(await agent.fails('write', { path: 'file/below', content: '', step: '2' })).toEqual({
    reason: 'file-system',
    code: 'ENOTDIR',
    path: aText,
    operation: 'write',
  });
  expect(await agent.fails('read', { path: '.' })).toMatchObject({
    reason: 'file-system',
    code: 'EISDIR',
    operation: 'read',
  });
  writeFileSync(device.at('large'), 'x'.repeat(1024 * 1024 + 1));
  expect(await agent.fails('read', { path: 'large' })).toMatchObject({ code: 'too-large' });
});
