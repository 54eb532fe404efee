import { chmodSync, existsSync, lstatSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { aText, Device, nth, textWith, until } from './client.ts';
import { activate, blobs, pack, send, sha256, stage } from './release.ts';

const files = {
  'run.py': { content: 'print(1)\n', mode: 0o755 },
  'a/b/deep.txt': 'deep',
  'a/link': { link: '../run.py' },
  empty: { folder: 0o750 },
  zero: '',
  '-rf': 'dash',
  'a\nb': 'newline',
  "it\"s 'q'": 'quotes',
  'grün 日': 'umlaut',
};

test('a release is built from what was sent, exactly', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack(files);
  expect((await send(agent, release)).length).toBe(release.contents.size);
  expect(await agent.ok('upload.stage', { release: release.id, manifest: release.manifest })).toEqual({
    path: `releases/${release.id}`,
  });
  const tree = (path: string): string => device.at('releases', release.id, path);
  expect(device.read('releases', release.id, 'a\nb')).toBe('newline');
  expect([statSync(tree('run.py')).mode & 0o777, statSync(tree('a/b/deep.txt')).mode & 0o777]).toEqual([0o755, 0o644]);
  expect([statSync(tree('empty')).mode & 0o777, statSync(tree('a')).mode & 0o777]).toEqual([0o750, 0o755]);
  expect(readlinkSync(tree('a/link'))).toBe('../run.py');
  expect(device.json('state/releases', `${release.id}.json`)).toMatchObject({
    id: release.id,
    state: 'staged',
    manifest: release.manifest,
  });
  expect(readdirSync(device.at('incoming'))).toEqual([]);
  expect(await agent.ok('upload.missing', { blobs: blobs([...release.contents.values()]).list })).toEqual({
    missing: [],
  });
  expect(existsSync(device.at('blobs', sha256('deep').slice(0, 2), sha256('deep')))).toBe(false);
});

test('the next release takes what is there by copy, not by hard link, and only asks for the rest', async () => {
  const device = new Device();
  const agent = device.session();
  const first = pack(files);
  await stage(agent, first);
  const second = pack({ ...files, 'a/b/deep.txt': 'changed' });
  expect(await send(agent, second)).toEqual([sha256('changed')]);
  await agent.ok('upload.stage', { release: second.id, manifest: second.manifest });
  expect(lstatSync(device.at('releases', second.id, 'run.py')).nlink).toBe(1);
});

test('a damaged file of an older release is noticed, and asked for again', async () => {
  const device = new Device();
  const agent = device.session();
  const first = pack({ a: 'content' });
  await stage(agent, first);
  writeFileSync(device.at('releases', first.id, 'a'), 'CONTENT');
  const second = pack({ a: 'content', b: 'x' });
  expect(await send(agent, second)).toEqual([sha256('x')]);
  expect(await agent.fails('upload.stage', { release: second.id, manifest: second.manifest })).toMatchObject({
    reason: 'checksum-mismatch',
    path: 'a',
    expected: sha256('content'),
  });
  expect(await send(agent, second)).toEqual([sha256('content')]);
  await agent.ok('upload.stage', { release: second.id, manifest: second.manifest });
  expect(device.read('releases', second.id, 'a')).toBe('content');
});

test('staging again does nothing to a whole tree, and mends a damaged one', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack(files);
  await stage(agent, release);
  const inode = statSync(device.at('releases', release.id)).ino;
  await stage(agent, release);
  expect(statSync(device.at('releases', release.id)).ino).toBe(inode);
  rmSync(device.at('releases', release.id, 'a/b'), { recursive: true });
  await stage(agent, release);
  expect(device.read('releases', release.id, 'a/b/deep.txt')).toBe('deep');
  expect(readdirSync(device.at('incoming'))).toEqual([]);
});

test('a blob that is not what it says is refused, those before it count, and the session goes on', async () => {
  const device = new Device();
  const agent = device.session();
  const [good, bad] = [Buffer.from('good'), Buffer.from('bad!')];
  const list = [
    [sha256(good), 4],
    [sha256('other'), 4],
    [sha256('never'), 5],
  ];
  const failure = await agent.fails('upload.put', { blobs: list }, Buffer.concat([good, bad, Buffer.from('never')]));
  expect(failure).toEqual({
    reason: 'checksum-mismatch',
    path: textWith(sha256('other')),
    expected: sha256('other'),
    actual: sha256(bad),
  });
  expect(await agent.ok('upload.missing', { blobs: list })).toEqual({ missing: [sha256('other'), sha256('never')] });
  expect(await agent.fails('upload.put', { blobs: [[sha256(good), 3]] }, good)).toMatchObject({ code: 'bad-request' });
  expect(await agent.fails('upload.put', { blobs: [['../../x', 4]] }, good)).toMatchObject({ code: 'bad-request' });
});

test('an upload that was cut off resumes with what is missing', async () => {
  const device = new Device();
  const agent = device.session();
  const contents = [1, 2, 3].map((index) => Buffer.alloc(300_000, index));
  const { list, body } = blobs(contents);
  const line = { id: 99, op: 'upload.put', args: { blobs: list }, bytes: body.length };
  await agent.hello;
  agent.child.stdin.write(`${JSON.stringify(line)}\n`);
  agent.child.stdin.write(body.subarray(0, 700_000));
  await until(
    'two blobs arrived',
    async () => (await device.session().ok('upload.missing', { blobs: list })).missing.length === 1,
  );
  await agent.kill();
  const next = device.session();
  const release = pack({ a: nth(contents, 0), b: nth(contents, 1), c: nth(contents, 2) });
  expect(await send(next, release)).toEqual([sha256(nth(contents, 2))]);
  await next.ok('upload.stage', { release: release.id, manifest: release.manifest });
  expect(readdirSync(device.at('blobs')).flatMap((name) => readdirSync(device.at('blobs', name)))).toEqual([]);
});

test('a manifest with another digest, or a content that never came, is refused and leaves nothing', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack(files);
  expect(await agent.fails('upload.stage', { release: '0'.repeat(16), manifest: release.manifest })).toMatchObject({
    reason: 'checksum-mismatch',
    path: 'manifest',
  });
  expect(await agent.fails('upload.stage', { release: release.id, manifest: release.manifest })).toMatchObject({
    code: 'blob-missing',
  });
  expect(readdirSync(device.at('incoming'))).toEqual([]);
  expect(existsSync(device.at('releases', release.id))).toBe(false);
});

test.each([
  ['../out', 'bad-manifest'],
  ['/etc/x', 'bad-manifest'],
  ['a//b', 'bad-manifest'],
  ['./a', 'bad-manifest'],
  ['.env', 'forbidden-path'],
  ['a/.env.local', 'forbidden-path'],
  ['.git/config', 'forbidden-path'],
  ['x/.slipway/y', 'forbidden-path'],
])('the path %s is refused', async (path, code) => {
  const agent = new Device().session();
  const release = pack({ [path]: 'x' });
  expect(await agent.fails('upload.stage', { release: release.id, manifest: release.manifest })).toMatchObject({
    reason: 'device-refused',
    code,
  });
});

test.each([
  [{ 'a/x': { link: '../../x' } }],
  [{ x: { link: '/etc/passwd' } }],
  [{ x: { link: '..' } }],
  [{ 'a/f': '', 'p/q/x': { link: '../../a' }, 'p/q/y': { link: 'x/../..' } }],
])('a link that leaves the tree is refused: %j', async (given) => {
  const agent = new Device().session();
  const release = pack(given);
  await send(agent, release);
  expect(await agent.fails('upload.stage', { release: release.id, manifest: release.manifest })).toMatchObject({
    code: 'link-leaves-tree',
  });
});

test('a file below a link, a path listed twice and an unknown kind are refused', async () => {
  const agent = new Device().session();
  const below = pack({ a: { link: 'b' }, 'a/c': 'x', 'b/d': '' });
  expect(await agent.fails('upload.stage', { release: below.id, manifest: below.manifest })).toMatchObject({
    code: 'bad-manifest',
  });
  const { manifest } = pack({ a: 'x' });
  for (const entries of [[...manifest.entries, ...manifest.entries], [{ path: 'p', kind: 'fifo' }]]) {
    expect(await agent.fails('upload.stage', { release: below.id, manifest: { ...manifest, entries } })).toMatchObject({
      code: 'bad-manifest',
    });
  }
});

test('discard takes an unconfirmed release away, not a confirmed or the current one', async () => {
  const device = new Device();
  const agent = device.session();
  const [one, two] = [pack({ a: '1' }), pack({ a: '2', sub: { folder: 0o500 } })];
  await activate(agent, one);
  await stage(agent, two);
  chmodSync(device.at('releases', two.id, 'sub'), 0o000);
  for (const { id } of [one, two, two]) await agent.ok('release.discard', { release: id });
  expect(readdirSync(device.at('releases'))).toEqual([one.id]);
  expect((await agent.ok('release.status')).releases).toEqual([
    { id: one.id, state: 'confirmed', at: aText },
    { id: two.id, state: 'failed', at: aText },
  ]);
  await stage(agent, two);
  expect(await agent.ok('release.known', { release: two.id })).toEqual({
    present: true,
    confirmed: false,
    services: [],
  });
  await agent.ok('release.discard', { release: 'f'.repeat(16) });
});
