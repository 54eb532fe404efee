import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { expect, test } from 'vitest';
import { type Agent, Device, nth } from './client.ts';
import { activate, pack, stage, web, webRelease } from './release.ts';

const numbered = (index: number): ReturnType<typeof pack> => pack({ file: String(index) });

test('an empty device', async () => {
  const device = new Device();
  expect(await device.session().ok('release.status')).toEqual({
    current: null,
    state: null,
    base: null,
    previous: null,
    intact: false,
    running: [],
    releases: [],
    services: [],
    lock: null,
    switch: null,
  });
  expect(readdirSync(device.root)).toEqual([]);
});

test('confirm is compare-and-set; previous is the last confirmed other release that is there', async () => {
  const device = new Device();
  const agent = device.session();
  const [one, two] = [numbered(1), numbered(2)];
  await activate(agent, one);
  await stage(agent, two);
  expect(await agent.fails('release.confirm', { release: two.id })).toMatchObject({ code: 'not-current' });
  expect(await agent.ok('release.known', { release: two.id })).toEqual({
    present: true,
    confirmed: false,
    services: [],
  });
  await activate(agent, two);
  await agent.ok('release.confirm', { release: two.id });
  expect(await agent.ok('release.status')).toMatchObject({
    current: two.id,
    state: 'confirmed',
    previous: one.id,
    intact: true,
  });
  expect(await agent.ok('release.known', { release: 'e'.repeat(16) })).toEqual({
    present: false,
    confirmed: false,
    services: [],
  });
  rmSync(device.at('releases', one.id), { recursive: true });
  expect((await agent.ok('release.status')).previous).toBeNull();
  expect(await agent.ok('release.known', { release: one.id })).toEqual({
    present: false,
    confirmed: true,
    services: [],
  });
});

test('unconfirm takes back what its own run confirmed, order included', async () => {
  const device = new Device();
  const [one, two] = [numbered(1), numbered(2)];
  const first = device.session({ run: 'first' });
  await activate(first, one);
  await activate(first, two);
  const back = device.session({ run: 'back' });
  await back.ok('release.unconfirm', { release: one.id, to: two.id });
  expect(device.record(one.id)).toMatchObject({ state: 'confirmed', order: 1 });
  await back.ok('link', { path: 'current', target: `releases/${one.id}`, step: '1' });
  await back.ok('release.confirm', { release: one.id });
  expect(device.record(one.id).order).toBe(3);
  for (let call = 0; call < 2; call += 1) await back.ok('release.unconfirm', { release: one.id, to: two.id });
  expect(device.record(one.id)).toMatchObject({ state: 'confirmed', order: 1 });
  await first.ok('release.unconfirm', { release: two.id, to: null });
  expect(device.record(two.id)).toMatchObject({ state: 'staged', order: null });
  await first.ok('release.discard', { release: two.id });
  expect(readdirSync(device.at('releases'))).toEqual([one.id]);
});

test('intact notices a changed tree, but not a bytecode cache', async () => {
  const device = new Device();
  const agent = device.session();
  const { id } = numbered(1);
  await activate(agent, numbered(1));
  mkdirSync(device.at('releases', id, '__pycache__'));
  writeFileSync(device.at('releases', id, '__pycache__/x.pyc'), 'x');
  expect((await agent.ok('release.status')).intact).toBe(true);
  writeFileSync(device.at('releases', id, 'new'), '');
  expect((await agent.ok('release.status')).intact).toBe(false);
  rmSync(device.at('releases', id, 'new'));
  writeFileSync(device.at('releases', id, 'file'), 'longer');
  expect((await agent.ok('release.status')).intact).toBe(false);
});

test('current that is a folder, or points elsewhere, is refused by name', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.hello;
  symlinkSync('/tmp', device.at('current'));
  expect(await agent.fails('release.status')).toMatchObject({ reason: 'device-refused', code: 'current-not-a-link' });
  unlinkSync(device.at('current'));
  mkdirSync(device.at('current'));
  expect(await agent.fails('release.status')).toMatchObject({ code: 'current-not-a-link' });
  expect(await agent.fails('release.collect', { keep: 3 })).toMatchObject({ code: 'current-not-a-link' });
  expect(await agent.fails('release.confirm', { release: numbered(1).id })).toMatchObject({
    code: 'current-not-a-link',
  });
  expect(await agent.ok('stop-all')).toEqual({ stopped: [] });
});

test('collect keeps current, the latest confirmed, pinned and running ones; failed records stay', async () => {
  const device = new Device();
  const agent = device.session();
  const all = [0, 1, 2, 3, 4, 5].map(numbered);
  const running = webRelease();
  await stage(agent, running);
  await agent.ok('service.start', { name: 'web', release: running.id });
  for (const release of all) await activate(agent, release);
  const [staged, failed] = [numbered(10), numbered(11)];
  await stage(agent, staged);
  await stage(agent, failed);
  await agent.ok('release.discard', { release: failed.id });
  const pinned = device.record(nth(all, 0).id);
  writeFileSync(device.at('state/releases', `${nth(all, 0).id}.json`), JSON.stringify({ ...pinned, pinned: true }));
  mkdirSync(device.at('releases/not-ours'));
  mkdirSync(device.at('incoming', `${staged.id}.other`), { recursive: true });
  const { removed } = await agent.ok('release.collect', { keep: 2 });
  expect(removed).toEqual([nth(all, 1).id, nth(all, 2).id, staged.id].sort());
  expect(readdirSync(device.at('releases')).sort()).toEqual(
    [nth(all, 0), nth(all, 3), nth(all, 4), nth(all, 5), running]
      .map(({ id }) => id)
      .concat('not-ours')
      .sort(),
  );
  const states = (await agent.ok('release.status')).releases.map((one) => `${one.state} ${one.id}`);
  expect(states).toContain(`failed ${failed.id}`);
  expect(states).toHaveLength(6);
  expect([existsSync(device.at('incoming')), existsSync(device.at('blobs'))]).toEqual([false, false]);
  expect(await agent.ok('release.collect', { keep: 2 })).toEqual({ removed: [] });
});

test('collect keeps the latest saves and copies', async () => {
  const device = new Device();
  const agent = device.session();
  for (let index = 0; index < 25; index += 1)
    mkdirSync(device.at(`state/saved/old-${String(index)}`), { recursive: true });
  for (let index = 0; index < 25; index += 1) utimesSync(device.at(`state/saved/old-${String(index)}`), index, index);
  mkdirSync(device.at('copies'));
  for (let index = 0; index < 5; index += 1) {
    for (const end of ['sqlite3', 'json']) {
      const path = device.at('copies', `${String(index).repeat(16)}.${end}`);
      writeFileSync(path, '');
      utimesSync(path, index, index);
    }
  }
  for (const name of ['.slipway-cut-off', `${'7'.repeat(16)}.r.sqlite3`]) writeFileSync(device.at('copies', name), '');
  for (const end of ['', '-wal']) writeFileSync(device.at(`copies/aside-1.sqlite3${end}`), '');
  await agent.ok('write', { path: 'a', content: '', step: '1' });
  await agent.ok('release.collect', { keep: 3 });
  const saved = readdirSync(device.at('state/saved'));
  expect([saved.length, saved.includes('run-1'), saved.includes('old-24'), saved.includes('old-5')]).toEqual([
    20,
    true,
    true,
    false,
  ]);
  expect(
    readdirSync(device.at('copies'))
      .map((name) => name[0])
      .sort(),
  ).toEqual(['2', '2', '3', '3', '4', '4', 'a', 'a']);
});

const flag = (content: string): string[] => ['sh', '-c', `echo ${content} $RELEASE_ID >> "$FLAG"`];

async function quiet(agent: Agent, safeToStop: readonly string[]): Promise<string> {
  const declared = { argv: ['sleep', '60'], memoryMb: 1, env: { FLAG: [{ path: 'data' }, '/flag'] } };
  const services = [
    { name: 'bot', ...declared, quiesce: { pause: flag('pause'), resume: flag('resume') }, safeToStop },
    web({ health: undefined }),
  ];
  return stage(agent, pack({ a: '' }, { services }));
}

test("pause and resume run what the release declares, with the service's environment", async () => {
  const device = new Device();
  const agent = device.session();
  const release = await quiet(agent, ['true']);
  await agent.ok('release.resume', { release });
  for (const op of ['release.pause', 'release.pause', 'release.resume', 'release.resume']) {
    await agent.ok(op, { release });
    await agent.ok(op, { release: null });
  }
  expect(device.read('shared/data/flag')).toBe(`pause ${release}\npause ${release}\nresume ${release}\n`);
  expect(existsSync(device.at('state/paused.json'))).toBe(false);
});

/** A release whose services pause by a file, say whether they are, and share nothing. */
function pausing(agent: Agent, note: string, names: readonly string[], says = 'exit 1'): Promise<string> {
  const services = names.map((name) => {
    const sh = (script: string): string[] => ['sh', '-c', script.replaceAll('FLAG', `../../shared/data/${name}`)];
    const quiesced = `if [ -e FLAG ]; then q=true; else q=false; fi; echo "{\\"safeToStop\\": false, \\"quiesced\\": $q}"; ${says}`;
    return {
      name,
      argv: ['sleep', '60'],
      memoryMb: 1,
      quiesce: { pause: sh('touch FLAG'), resume: sh('rm -f FLAG') },
      safeToStop: sh(quiesced),
    };
  });
  return stage(agent, pack({ note }, { services }));
}

const paused = (device: Device): string[] => readdirSync(device.at('shared/data')).sort();

test('what somebody else had paused stays paused, also by way of another release', async () => {
  const device = new Device();
  const agent = device.session();
  mkdirSync(device.at('shared/data'), { recursive: true });
  const [one, two] = [await pausing(agent, '1', ['a', 'b']), await pausing(agent, '2', ['a', 'b'])];
  writeFileSync(device.at('shared/data/b'), '');
  await agent.ok('release.pause', { release: one });
  expect([paused(device), device.json('state/paused.json')]).toEqual([['a', 'b'], { a: false, b: true }]);
  await agent.ok('release.pause', { release: two });
  await device.session().ok('release.resume', { release: two });
  expect([paused(device), existsSync(device.at('state/paused.json'))]).toEqual([['b'], false]);
});

test('a first deploy: nothing to pause before it, and what a failed one paused goes on after the next', async () => {
  const device = new Device();
  const agent = device.session();
  mkdirSync(device.at('shared/data'), { recursive: true });
  const release = await pausing(agent, '', ['a']);
  await agent.ok('release.pause', { release: null });
  expect(existsSync(device.at('state/paused.json'))).toBe(false);
  await agent.ok('release.pause', { release });
  for (const op of ['release.pause', 'release.resume']) await agent.ok(op, { release: null });
  expect(paused(device)).toEqual(['a']);
  await agent.ok('release.pause', { release });
  await agent.ok('release.resume', { release });
  expect(paused(device)).toEqual([]);
});

test('a service that only one of two releases has goes on when that one is resumed', async () => {
  const device = new Device();
  const agent = device.session();
  mkdirSync(device.at('shared/data'), { recursive: true });
  const [one, two] = [await pausing(agent, '1', ['a', 'old']), await pausing(agent, '2', ['a', 'new'])];
  await agent.ok('release.pause', { release: one });
  await agent.ok('release.pause', { release: two });
  await agent.ok('release.resume', { release: one });
  expect([paused(device), device.json('state/paused.json')]).toEqual([['new'], { new: false }]);
  await agent.ok('release.pause', { release: one });
  await agent.ok('release.pause', { release: two });
  await agent.ok('release.resume', { release: two });
  expect([paused(device), device.json('state/paused.json')]).toEqual([['old'], { old: false }]);
});

test('a service that cannot say whether it is paused counts as not paused', async () => {
  const device = new Device();
  const agent = device.session();
  mkdirSync(device.at('shared/data'), { recursive: true });
  const release = await pausing(agent, '', ['a'], 'exit 2');
  writeFileSync(device.at('shared/data/a'), '');
  await agent.ok('release.pause', { release });
  await agent.ok('release.resume', { release });
  expect(paused(device)).toEqual([]);
});

test.each([
  ['echo note; echo \'{"safeToStop": true, "open": []}\'', true, []],
  ['echo \'{"safeToStop": false, "open": ["order 7", {"id": 8}]}\'', false, ['order 7', '{"id": 8}']],
  ['echo \'{"safeToStop": false}\'', false, ['bot: not safe to stop']],
  ['echo yes', false, ['bot: gave no answer']],
  ['true', false, ['bot: gave no answer']],
  ['echo \'{"safeToStop": false, "open": ["order 7"]}\'; exit 1', false, ['order 7']],
  ['echo \'{"safeToStop": true}\'; exit 2', false, ['bot: cannot say (exit-non-zero)']],
  ['echo \'{"open": []}\'', false, ['bot: gave no answer']],
  ["echo '[true]'", false, ['bot: gave no answer']],
  ['exit 1', false, ['bot: gave no answer']],
])('safe to stop: %s', async (script, safe, open) => {
  const device = new Device();
  const agent = device.session();
  const release = await quiet(agent, ['sh', '-c', script]);
  expect(await agent.ok('release.safe-to-stop', { release })).toEqual({ safe: true, open: [] });
  await agent.ok('service.start', { name: 'bot', release });
  expect(await agent.ok('release.safe-to-stop', { release })).toEqual({ safe, open });
  expect(await agent.ok('release.safe-to-stop', { release: null })).toEqual({ safe: true, open: [] });
});

test('status of a large release is fast', async () => {
  const device = new Device();
  const agent = device.session();
  const files = Object.fromEntries(
    Array.from({ length: 1500 }, (_, index) => [`d${String(index % 30)}/f${String(index)}`, 'x']),
  );
  await activate(agent, pack(files));
  await agent.ok('release.status');
  const times: number[] = [];
  for (let call = 0; call < 5; call += 1) {
    const begin = performance.now();
    expect((await agent.ok('release.status')).intact).toBe(true);
    times.push(performance.now() - begin);
  }
  expect(Math.min(...times)).toBeLessThan(100);
  expect(
    execFileSync('find', [device.at('releases'), '-type', 'f'])
      .toString()
      .split('\n').length,
  ).toBe(1501);
});
