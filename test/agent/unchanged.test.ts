import { lstatSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Device, given, nth, type Agent } from './client.ts';
import { activate, begin, canonical, pack, send, sha256, stage, type Packed } from './release.ts';

/** A session whose releases no service can write, as under systemd: there it is so because they are root's. */
const sealing = (device: Device, run: string): Agent =>
  device.session({ run, edit: (source) => source.replace('seals = False', 'seals = True') });
const at = (device: Device, release: Packed, path: string) => lstatSync(device.at('releases', release.id, path));
const isShared = (device: Device, path: string, [one, two]: readonly [Packed, Packed]): boolean =>
  at(device, one, path).ino === at(device, two, path).ino;
const isWhole = async (agent: Agent, release: Packed): Promise<boolean> =>
  (await agent.ok('upload.begin', { release: release.id }, Buffer.from(canonical(release.manifest)))).path !== null;

const files = {
  'run.py': { content: 'print(1)\n', mode: 0o755 },
  'a/b': 'deep',
  writable: { content: 'by all', mode: 0o666 },
  moded: { content: 'mode', mode: 0o644 },
  changed: 'before',
};

test('an unchanged file is the very same one where no service can write it, with exactly its mode', async () => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const [first, second] = [
    pack(files),
    pack({ ...files, 'moved/b': 'deep', moded: { content: 'mode', mode: 0o755 }, changed: 'after' }),
  ] as const;
  await stage(agent, first);
  expect(await send(agent, second)).toEqual([sha256('after')]);
  await agent.ok('upload.stage', { release: second.id });
  const shared = ['run.py', 'a/b', 'writable', 'moded', 'changed'].filter((path) =>
    isShared(device, path, [first, second]),
  );
  expect(shared).toEqual(['run.py', 'a/b']);
  const modes = (release: Packed): number[] =>
    ['run.py', 'a/b', 'writable', 'moded'].map((path) => at(device, release, path).mode & 0o7777);
  expect(modes(first)).toEqual([0o755, 0o644, 0o666, 0o644]);
  expect(modes(second)).toEqual([0o755, 0o644, 0o666, 0o755]);
  expect(device.read('releases', second.id, 'moved/b')).toBe('deep');
});

test('one release goes, and the other stays whole: collected, discarded, or mended', async () => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const [first, second, third] = [pack(files), pack({ ...files, changed: '2' }), pack({ ...files, changed: '3' })];
  await activate(agent, first);
  await activate(agent, second);
  await stage(agent, third);
  await agent.ok('release.discard', { release: third.id });
  expect((await agent.ok('release.status')).intact).toBe(true);
  expect((await agent.ok('release.collect', { keep: 0 })).removed).toEqual([first.id]);
  expect((await agent.ok('release.status')).intact).toBe(true);
  expect(device.read('releases', second.id, 'a/b')).toBe('deep');
  // Mended from another: the damaged tree goes, and what it shared stays.
  await stage(agent, third);
  writeFileSync(device.at('releases', second.id, 'changed'), 'longer than before');
  expect(await send(agent, second)).toEqual([]);
  expect(await agent.fails('upload.stage', { release: second.id })).toMatchObject({ reason: 'checksum-mismatch' });
  await stage(agent, second);
  expect([await isWhole(agent, second), await isWhole(agent, third)]).toEqual([true, true]);
});

test('a file that was written in place since its release was built is noticed, and not shared', async () => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const [first, second] = [pack(files), pack({ ...files, changed: 'after' })] as const;
  await stage(agent, first);
  writeFileSync(device.at('releases', first.id, 'run.py'), 'print(2)\n');
  writeFileSync(device.at('releases', first.id, 'moded'), 'none of the same length');
  await send(agent, second);
  expect(await agent.fails('upload.stage', { release: second.id })).toMatchObject({ reason: 'checksum-mismatch' });
  expect(await send(agent, second)).toEqual([sha256('mode'), sha256('print(1)\n')]);
  await agent.ok('upload.stage', { release: second.id });
  expect([device.read('releases', second.id, 'run.py'), at(device, second, 'run.py').nlink]).toEqual(['print(1)\n', 1]);
  expect(isShared(device, 'a/b', [first, second])).toBe(true);
});

test('what is known to be damaged is never shared', async () => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const [first, second] = [pack(files), pack({ ...files, changed: 'after' })] as const;
  await stage(agent, first);
  writeFileSync(device.at('state/damaged.json'), JSON.stringify([sha256('deep')]));
  expect(await send(agent, second)).toEqual([sha256('deep'), sha256('after')]);
  await agent.ok('upload.stage', { release: second.id });
  expect([isShared(device, 'a/b', [first, second]), isShared(device, 'run.py', [first, second])]).toEqual([
    false,
    true,
  ]);
});

test('where services run as the owner nothing is shared, neither with what was built there', async () => {
  const device = new Device();
  const [first, second, third] = [pack(files), pack({ ...files, changed: '2' }), pack({ ...files, changed: '3' })];
  const plain = device.session({ run: 'plain' });
  await stage(plain, first);
  await stage(plain, second);
  await stage(sealing(device, 'sealing'), third);
  const counts = [first, second, third].flatMap((release) =>
    ['run.py', 'a/b', 'moded'].map((path) => at(device, release, path).nlink),
  );
  expect(new Set(counts)).toEqual(new Set([1]));
  expect(at(device, second, 'run.py').mode & 0o7777).toBe(0o755);
});

test('where services run as the owner, a forged date does not hide what was written', async () => {
  const device = new Device();
  const agent = device.session();
  const [first, second] = [pack(files), pack({ ...files, changed: 'after' })];
  await stage(agent, first);
  const before = at(device, first, 'a/b');
  writeFileSync(device.at('releases', first.id, 'a/b'), 'DEEP');
  utimesSync(device.at('releases', first.id, 'a/b'), before.atime, new Date(0));
  await send(agent, second);
  expect(await agent.fails('upload.stage', { release: second.id })).toMatchObject({ reason: 'checksum-mismatch' });
});

test('a release of the future was built by a wrong clock: what it has is verified', async () => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const [first, second] = [pack(files), pack({ ...files, changed: 'after' })];
  await stage(agent, first);
  const record = device.json<object>('state/releases', `${first.id}.json`);
  const text = JSON.stringify({ ...record, built: 0 }).replace('"built":0', `"built":${'9'.repeat(19)}`);
  writeFileSync(device.at('state/releases', `${first.id}.json`), text);
  writeFileSync(device.at('releases', first.id, 'a/b'), 'DEEP');
  await send(agent, second);
  expect(await agent.fails('upload.stage', { release: second.id })).toMatchObject({ reason: 'checksum-mismatch' });
});

test('of a tree that was left half-made, nothing that a release has is used: a blob is changed, this must not be', async () => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const first = pack(files);
  await stage(agent, first);
  const second = pack({ ...files, 'run.py': { content: 'print(1)\n', mode: 0o700 }, changed: 'after' });
  await send(agent, second);
  await agent.kill();
  const next = sealing(device, 'two');
  expect(await begin(next, second)).toEqual([]);
  // What was copied for another mode may be among them; what was linked may not.
  const blobs = readdirSync(device.at('blobs'));
  expect([blobs.includes(sha256('after')), blobs.includes(sha256('deep'))]).toEqual([true, false]);
  await next.ok('upload.stage', { release: second.id });
  expect(at(device, first, 'run.py').mode & 0o7777).toBe(0o755);
  expect(at(device, second, 'run.py').mode & 0o7777).toBe(0o700);
});

test.each([
  ['a file that was replaced by another of the same date', 'run.py', 'print(2)\n'],
  ['a folder that was exchanged for one with files of the same size and age', 'a/b', 'DEEP'],
] as const)('%s is noticed', async (_, path, content) => {
  const device = new Device();
  const agent = sealing(device, 'one');
  const [old, first, second] = [
    pack({ 'run.py': 'print(2)\n', 'a/b': 'DEEP' }),
    pack(files),
    pack({ ...files, changed: 'after' }),
  ] as const;
  await stage(agent, old);
  await stage(agent, first);
  const [from, to] = [old, first].map((release) => device.at('releases', release.id, nth(path.split('/'), 0)));
  rmSync(given(to), { recursive: true });
  renameSync(given(from), given(to));
  expect(device.read('releases', first.id, path)).toBe(content);
  await send(agent, second);
  expect(await agent.fails('upload.stage', { release: second.id })).toMatchObject({
    reason: 'checksum-mismatch',
    path,
  });
});
