import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { spawnSync } from 'node:child_process';
import { deflateSync } from 'node:zlib';
import { aText, Device, framed, nth, textWith, until, type Frame } from './client.ts';
import { activate, begin, blobs, canonical, pack, refused, send, sha256, stage } from './release.ts';

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
  ['x'.repeat(255)]: 'as long as a name can be',
  same: 'deep',
};

test('a release is built from what was sent, exactly', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack(files);
  expect((await send(agent, release)).length).toBe(release.contents.size);
  expect(await agent.ok('upload.stage', { release: release.id })).toEqual({
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
  expect(readdirSync(device.at('blobs'))).toEqual([]);
  expect([lstatSync(tree('same')).nlink, lstatSync(tree('a/b/deep.txt')).nlink]).toEqual([1, 1]);
  const again = await agent.ok('upload.begin', { release: release.id }, Buffer.from(canonical(release.manifest)));
  expect(again).toEqual({ path: `releases/${release.id}`, missing: [], codecs: [] });
});

test('the next release takes what is there by copy, not by hard link, and only asks for the rest', async () => {
  const device = new Device();
  const agent = device.session();
  const first = pack(files);
  await stage(agent, first);
  const second = pack({ ...files, 'a/b/deep.txt': 'changed' });
  expect(await send(agent, second)).toEqual([sha256('changed')]);
  await agent.ok('upload.stage', { release: second.id });
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
  expect(await agent.fails('upload.stage', { release: second.id })).toMatchObject({
    reason: 'checksum-mismatch',
    path: 'a',
    expected: sha256('content'),
  });
  expect(await send(agent, second)).toEqual([sha256('content')]);
  await agent.ok('upload.stage', { release: second.id });
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
  expect(readdirSync(device.at('blobs'))).toEqual([sha256(good)]);
  expect(await agent.fails('upload.put', { blobs: [] }, good)).toMatchObject({ code: 'bad-request' });
  expect(await agent.fails('upload.put', { blobs: [[sha256('x'), 5]] }, good)).toMatchObject({ code: 'bad-request' });
  expect(await agent.fails('upload.put', { blobs: [['../../x', 4]] }, good)).toMatchObject({ code: 'bad-request' });
  expect(readdirSync(device.at('blobs'))).toEqual([sha256(good)]);
});

test('an upload that was cut off resumes with what is missing', async () => {
  const device = new Device();
  const agent = device.session();
  const contents = [1, 2, 3].map((index) => Buffer.alloc(index < 3 ? 300_000 : 700_000, index));
  const { list, body } = blobs(contents);
  await agent.hello;
  agent.child.stdin.write(`${JSON.stringify({ id: 99, op: 'upload.put', args: { blobs: list }, frames: true })}\n`);
  agent.child.stdin.write(framed(body).subarray(0, 1_000_000));
  const there = (): readonly string[] => (existsSync(device.at('blobs')) ? readdirSync(device.at('blobs')) : []);
  await until('two blobs arrived, and the third in part', () => there().length === 3);
  await agent.kill();
  const next = device.session();
  const release = pack({ a: nth(contents, 0), b: nth(contents, 1), c: nth(contents, 2) });
  expect(await send(next, release)).toEqual([sha256(nth(contents, 2))]);
  await next.ok('upload.stage', { release: release.id });
  expect(readdirSync(device.at('blobs'))).toEqual([]);
});

test('a manifest with another digest, or a content that never came, is refused and leaves nothing', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack(files);
  const text = Buffer.from(canonical(release.manifest));
  expect(await agent.fails('upload.begin', { release: '0'.repeat(16) }, text)).toMatchObject({
    reason: 'checksum-mismatch',
    path: 'manifest',
  });
  expect(await agent.fails('upload.begin', { release: release.id }, Buffer.from('{'))).toMatchObject({
    code: 'bad-manifest',
  });
  expect(await agent.fails('upload.stage', { release: release.id })).toMatchObject({ code: 'not-begun' });
  await begin(agent, release);
  expect(await agent.fails('upload.stage', { release: release.id })).toMatchObject({ code: 'blob-missing' });
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
  expect(await refused(agent, release)).toMatchObject({ reason: 'device-refused', code });
});

test.each([
  [{ 'a/x': { link: '../../x' } }],
  [{ x: { link: '/etc/passwd' } }],
  [{ x: { link: '..' } }],
  [{ 'a/f': '', 'p/q/x': { link: '../../a' }, 'p/q/y': { link: 'x/../..' } }],
])('a link that leaves the tree is refused: %j', async (given) => {
  const agent = new Device().session();
  const release = pack(given);
  expect(await refused(agent, release)).toMatchObject({ code: 'link-leaves-tree' });
});

test('a file below a link, a path listed twice and an unknown kind are refused', async () => {
  const agent = new Device().session();
  const below = pack({ a: { link: 'b' }, 'a/c': 'x', 'b/d': '' });
  expect(await refused(agent, below)).toMatchObject({ code: 'bad-manifest' });
  const { manifest } = pack({ a: 'x' });
  for (const entries of [[...manifest.entries, ...manifest.entries], [{ path: 'p', kind: 'fifo' }]]) {
    expect(await refused(agent, { ...below, manifest: { ...manifest, entries } })).toMatchObject({
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

const packed = (codec: 1 | 2, content: Buffer, wire: Buffer, size = content.length): Frame => ({ codec, wire, size });

test('frames of either kind may follow one another, and what came of the first is told after each', async () => {
  const device = new Device();
  const agent = device.session();
  const contents = [Buffer.from('one'), Buffer.alloc(900_000, 'two'), Buffer.from('three')];
  const { list, body } = blobs(contents);
  const cuts = [0, 100, 400_000, body.length];
  const frames = cuts.slice(1).map((end, at): Frame => {
    const part = body.subarray(cuts[at], end);
    return at === 1 ? { codec: 0, wire: part, size: part.length } : packed(1, part, deflateSync(part, { level: 1 }));
  });
  await agent.ok('upload.put', { blobs: list }, frames);
  expect(readdirSync(device.at('blobs')).sort()).toEqual(list.map(([digest]) => digest).sort());
  expect(agent.told).toMatchObject(cuts.slice(1).map((received) => ({ received })));
});

test('what came of many frames is told now and then', async () => {
  const device = new Device();
  const agent = device.session();
  const { list, body } = blobs([Buffer.alloc(12_000_000, 'many')]);
  const frames = Array.from({ length: 2_000 }, (_, at): Frame => {
    const wire = body.subarray(at * 6_000, (at + 1) * 6_000);
    return { codec: 0, wire, size: wire.length };
  });
  await agent.ok('upload.put', { blobs: list }, frames);
  const told = agent.told.map((message) => ('received' in message ? message.received : 0));
  expect(told.slice(0, 16)).toEqual(Array.from({ length: 16 }, (_, at) => (at + 1) * 6_000));
  // By bytes twice; by the clock as often as this machine is slow, but never after each.
  expect(told.length).toBeGreaterThanOrEqual(18);
  expect(told.length).toBeLessThan(1_000);
});

test('zstd is offered where it can be undone, and undone then', async (context) => {
  const device = new Device();
  const agent = device.session();
  const release = pack({ a: 'a' });
  const { codecs } = await agent.ok('upload.begin', { release: release.id }, Buffer.from(canonical(release.manifest)));
  expect(codecs).toContain('zlib');
  const content = Buffer.alloc(400_000, 'zstd ');
  const { stdout, status } = spawnSync('zstd', ['-c'], { input: content });
  if (status !== 0) return context.skip('needs zstd (apt-get install zstd)');
  expect(codecs).toContain('zstd');
  await agent.ok('upload.put', { blobs: blobs([content]).list }, [packed(2, content, stdout)]);
  expect(
    await agent.fails('upload.put', { blobs: [[sha256('x'), 10]] }, [packed(2, content, stdout, 10)]),
  ).toMatchObject({
    code: 'bad-request',
  });
});

test('without zstd it is not offered, and refused', async () => {
  const device = new Device();
  const agent = device.session({
    before: 'import os, sys\nos.environ["PATH"] = ""\nsys.modules["compression"] = None\n',
  });
  const release = pack({ a: 'a' });
  expect(
    await agent.ok('upload.begin', { release: release.id }, Buffer.from(canonical(release.manifest))),
  ).toMatchObject({ codecs: ['zlib'] });
  const frame = packed(2, Buffer.from('x'), Buffer.from('x'));
  expect(await agent.fails('upload.put', { blobs: [[sha256('x'), 1]] }, [frame])).toMatchObject({
    code: 'bad-request',
  });
});

test.each([
  ['unpacks to more than it says', packed(1, Buffer.alloc(0), deflateSync(Buffer.alloc(50_000_000)), 1000)],
  ['unpacks to less than it says', packed(1, Buffer.alloc(0), deflateSync(Buffer.alloc(10)), 1000)],
  ['says that it is larger than frames may be', packed(1, Buffer.alloc(0), deflateSync(Buffer.alloc(10)), 2 ** 31)],
  ['is no compressed data', packed(1, Buffer.alloc(0), Buffer.from('nonsense'), 1000)],
  ['is cut short', packed(1, Buffer.alloc(0), deflateSync(Buffer.alloc(1000)).subarray(0, -3), 1000)],
  ['is of a kind that nobody knows', { codec: 7 as 1, wire: Buffer.from('x'), size: 1 }],
])('a frame that %s is refused, bounded, and the session goes on', async (_what, frame) => {
  const device = new Device();
  const agent = device.session();
  const blob = Buffer.alloc(1000);
  await agent.hello;
  const wide = peakKb(agent.child.pid);
  expect(await agent.fails('upload.put', { blobs: blobs([blob]).list }, [frame])).toMatchObject({
    reason: 'device-refused',
    code: 'bad-request',
  });
  expect(agent.told).toEqual([{ id: 1, enough: true }]);
  expect(peakKb(agent.child.pid) - wide).toBeLessThan(10_000);
  expect(readdirSync(device.at('blobs'))).toEqual([]);
  await agent.ok('upload.put', { blobs: blobs([blob]).list }, blob);
});

/** The most memory that a process had so far; 0 where the system does not tell. */
function peakKb(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}

test('a frame too large to be read ends the session: where the next begins, nobody knows', async () => {
  const agent = new Device().session();
  const frame: Frame = { codec: 0, wire: Buffer.alloc(1024 * 1024 + 1), size: 1 };
  expect(await agent.ask('upload.put', { blobs: [] }, [frame])).toMatchObject({ ok: false });
  expect(await agent.exited).toBe(0);
});

test('a cancel while a release is put together leaves no half of it, and what arrived stays', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack(
    Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`f${String(at)}`, `c${String(at)}`])),
  );
  await send(agent, release);
  const staged = agent.ask('upload.stage', { release: release.id });
  agent.cancel(staged.id);
  const answer = await staged;
  if (answer.ok) return;
  expect(answer.failure).toMatchObject({ reason: 'cancelled' });
  expect(existsSync(device.at('releases', release.id))).toBe(false);
  // Blobs again, or still in the tree that was begun: nothing is asked for twice.
  expect(await send(agent, release)).toEqual([]);
  await agent.ok('upload.stage', { release: release.id });
  expect(readdirSync(device.at('incoming'))).toEqual([]);
});

test('what a killed agent had received is not asked for again', async () => {
  const device = new Device();
  const agent = device.session();
  const release = pack({ 'd/a': 'moved', b: 'damaged', c: 'arrived' });
  await send(agent, release);
  await agent.kill();
  const tree = device.at('incoming', nth(readdirSync(device.at('incoming')), 0));
  writeFileSync(join(tree, 'b'), 'DAMAGED');
  const next = device.session({ run: 'run-2' });
  expect(await send(next, release)).toEqual([]);
  expect(await next.fails('upload.stage', { release: release.id })).toMatchObject({
    reason: 'checksum-mismatch',
    path: 'b',
  });
  expect(await send(next, release)).toEqual([sha256('damaged')]);
  await next.ok('upload.stage', { release: release.id });
  expect(device.read('releases', release.id, 'd/a')).toBe('moved');
});

test('what a killed agent had received counts for another release, too, if it is right there', async () => {
  const device = new Device();
  const agent = device.session();
  await send(agent, pack({ a: 'arrived', b: 'another one', out: { link: 'd' }, d: { folder: 0o755 } }));
  await agent.kill();
  const next = device.session({ run: 'run-2' });
  const tree = device.at('incoming', nth(readdirSync(device.at('incoming')), 0));
  // As if it had been killed with a link that leaves the tree: nothing is taken from behind it.
  rmSync(join(tree, 'd'), { recursive: true });
  symlinkSync(device.at('outside'), join(tree, 'd'));
  mkdirSync(device.at('outside'));
  writeFileSync(device.at('outside/x'), 'elsewhere');
  const release = pack({ a: 'arrived', b: 'some change', 'd/x': 'elsewhere' });
  expect(await send(next, release)).toEqual([sha256('some change'), sha256('elsewhere')]);
  await next.ok('upload.stage', { release: release.id });
  expect(device.read('outside/x')).toBe('elsewhere');
  expect(device.read('releases', release.id, 'a')).toBe('arrived');
});

test('a change of something else ends what was begun', async () => {
  const agent = new Device().session();
  const release = pack({ a: 'a' });
  await send(agent, release);
  await agent.ok('release.status');
  await agent.ok('release.collect', { keep: 1 });
  expect(await agent.fails('upload.stage', { release: release.id })).toMatchObject({ code: 'not-begun' });
});
