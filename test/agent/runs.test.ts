import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Device, given, type Agent } from './client.ts';
import { activate, pack, stage } from './release.ts';

const put = (agent: Agent, content: string): Promise<null> => agent.ok('write', { path: 'a', content, step: '1' });

test('a run that a later one superseded changes nothing any more, but looks', async () => {
  const device = new Device();
  const first = device.session({ run: 'first' });
  await put(first, 'first');
  await first.close();
  await put(device.session({ run: 'second' }), 'second');
  const again = device.session({ run: 'first' });
  const refusal = {
    reason: 'device-refused',
    code: 'superseded',
    detail: 'run second changed this device after run first did',
  };
  for (const [op, args] of [
    ['restore', { path: 'a', saved: '1' }],
    ['write', { path: 'a', content: 'x', step: '2' }],
    ['run', { argv: ['touch', 'b'] }],
    ['service.stop', { name: 'web' }],
    ['release.resume', { release: null }],
  ] as const) {
    expect(await again.fails(op, args), op).toEqual(refusal);
  }
  expect(await again.ok('read', { path: 'a' })).toEqual({ content: 'second' });
  await again.ok('lock', { name: 'deploy', client: 'x' });
  expect((await again.ok('release.status')).running).toEqual([]);
  expect(await again.ok('run.undoable', { saved: ['1', 'never'] })).toEqual({ missing: ['never'], later: 'second' });
  const second = device.session({ run: 'second' });
  expect(await second.ok('run.undoable', { saved: ['1'] })).toEqual({ missing: [], later: null });
  await second.ok('restore', { path: 'a', saved: '1' });
  expect(device.read('a')).toBe('first');
});

test('what another run only looks at, sends, runs, pauses or stops does not supersede', async () => {
  const device = new Device();
  const first = device.session({ run: 'first' });
  await put(first, 'old');
  const release = await stage(
    first,
    pack({ a: '' }, { services: [{ name: 'bot', argv: ['sleep', '60'], memoryMb: 1 }] }),
  );
  await first.close();
  const other = device.session({ run: 'other' });
  await other.ok('run', { argv: ['true'] });
  await stage(other, pack({ a: 'other' }));
  await other.ok('service.start', { name: 'bot', release });
  await other.ok('release.pause', { release });
  await other.ok('release.resume', { release });
  await other.ok('service.stop', { name: 'bot' });
  await other.ok('stop-all');
  await other.ok('restore', { path: 'a', saved: '1' });
  await device.session({ run: 'first' }).ok('restore', { path: 'a', saved: '1' });
  expect(await other.ok('read', { path: 'a' })).toBeNull();
});

test('a run that had only stopped something is superseded, too', async () => {
  const device = new Device();
  await device.session({ run: 'first' }).ok('service.stop', { name: 'web' });
  await activate(device.session({ run: 'second' }), pack({ a: '' }));
  expect(await device.session({ run: 'first' }).fails('service.start', { name: 'web', release: null })).toMatchObject({
    code: 'superseded',
  });
});

test('a session that is under way goes on, and what it changes last is its own to put back', async () => {
  const device = new Device();
  const [first, second] = [device.session({ run: 'first' }), device.session({ run: 'second' })];
  await put(first, 'first');
  await second.ok('write', { path: 'b', content: '', step: '1' });
  await first.ok('link', { path: 'current', target: 'releases/1', step: '2' });
  await first.close();
  await device.session({ run: 'first' }).ok('restore', { path: 'a', saved: '1' });
  expect(await device.session({ run: 'second' }).fails('restore', { path: 'b', saved: '1' })).toMatchObject({
    code: 'superseded',
  });
});

test('runs that begin at the same time are all recorded, the oldest of many forgotten', async () => {
  const device = new Device();
  const agents = Array.from({ length: 8 }, (_, index) => device.session({ run: `r${String(index)}` }));
  await Promise.all(
    agents.map((agent, index) => agent.ok('write', { path: `f${String(index)}`, content: '', step: '1' })),
  );
  type Runs = { readonly turn: number; readonly last: string; readonly runs: { readonly [run: string]: number } };
  const found = device.json<Runs>('state/runs.json');
  expect([found.turn, Object.keys(found.runs).length, found.runs[found.last]]).toEqual([8, 8, 8]);
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`old-${String(index)}`, 0]));
  writeFileSync(device.at('state/runs.json'), JSON.stringify({ ...found, runs: many }));
  await device.session({ run: 'late' }).ok('run', { argv: ['true'] });
  const names = Object.keys(device.json<Runs>('state/runs.json').runs);
  expect([names.length, names.at(-1), names.includes('old-100'), names.includes('old-101')]).toEqual([
    200,
    'late',
    false,
    true,
  ]);
});

test('runs.json that cannot be read is begun anew; one that cannot be written fails nothing', async () => {
  const device = new Device();
  await put(device.session({ run: 'first' }), 'x');
  writeFileSync(device.at('state/runs.json'), '["first"');
  await put(device.session({ run: 'second' }), 'y');
  expect(device.json('state/runs.json')).toEqual({ turn: 1, last: 'second', runs: { second: 1 } });
  const full =
    'import os as _os\n_real = _os.rename\ndef _rename(a, b):\n    if str(b).endswith("runs.json"):\n        raise OSError(28, "No space left on device")\n    return _real(a, b)\n_os.rename = _rename\n';
  const third = device.session({ run: 'third', before: full });
  await put(third, 'z');
  expect(third.output).toBe('the run could not be recorded: No space left on device\n');
});

/** Two releases that one run after the other confirmed, and a third run that goes back from the second. */
async function wentBack(device: Device): Promise<{ one: string; two: string; back: Agent }> {
  const one = await activate(device.session({ run: 'r1' }), pack({ a: '1' }));
  const two = await activate(device.session({ run: 'r2' }), pack({ a: '2' }));
  const back = device.session({ run: 'back' });
  await back.ok('link', { path: 'current', target: `releases/${one}`, step: 'back' });
  await back.ok('release.confirm', { release: one, withdraw: two });
  return { one, two, back };
}

test('a withdrawn release is not gone back to; unconfirm takes that back', async () => {
  const device = new Device();
  const { one, two, back } = await wentBack(device);
  expect(await back.ok('release.status')).toMatchObject({ current: one, base: one, previous: null });
  expect(await back.ok('release.known', { release: two })).toMatchObject({ present: true, confirmed: true });
  await back.ok('release.confirm', { release: one, withdraw: two });
  for (let call = 0; call < 2; call += 1) await back.ok('release.unconfirm', { release: one });
  expect(await back.ok('release.status')).toMatchObject({ current: one, base: one, previous: two });
  expect(device.record(one)).toMatchObject({ state: 'confirmed', order: 1 });
});

test('a withdrawn release that is confirmed again is gone back to; without that it stays withdrawn', async () => {
  const device = new Device();
  const { one, two } = await wentBack(device);
  const again = device.session({ run: 'again' });
  await again.ok('link', { path: 'current', target: `releases/${two}`, step: 'again' });
  await again.ok('release.confirm', { release: two, withdraw: null });
  expect(await again.ok('release.status')).toMatchObject({ current: two, previous: one });
  await again.ok('release.unconfirm', { release: two });
  await again.ok('restore', { path: 'current', saved: 'again' });
  expect(await again.ok('release.status')).toMatchObject({ current: one, base: one, previous: null });
  expect(device.record(two)).toMatchObject({ state: 'confirmed', withdrawn: 'back', order: 2 });
});

test('unconfirm leaves alone what another run withdrew; withdraw of itself does nothing', async () => {
  const device = new Device();
  const { one, two } = await wentBack(device);
  const other = device.session({ run: 'other' });
  await other.ok('release.unconfirm', { release: one });
  expect(device.record(two).withdrawn).toBe('back');
  await other.ok('release.confirm', { release: one, withdraw: one });
  expect(await other.ok('release.status')).toMatchObject({ current: one, state: 'confirmed', previous: null });
});

test('base is current once confirmed, otherwise the last confirmed release that is there', async () => {
  const device = new Device();
  const { one, two, back } = await wentBack(device);
  const three = await stage(back, pack({ a: '3' }));
  await back.ok('link', { path: 'current', target: `releases/${three}`, step: 'three' });
  expect(await back.ok('release.status')).toMatchObject({ current: three, state: 'staged', base: one, previous: one });
  await back.ok('link', { path: 'current', target: `releases/${one}`, step: 'four' });
  await back.ok('remove', { path: `releases/${one}`, step: 'gone' });
  expect(await back.ok('release.status')).toMatchObject({ current: one, base: two, previous: null });
  expect(await back.ok('device.room', { bytes: 1, files: 1 })).toMatchObject({ enough: true });
});

test('collect gives up withdrawn releases first', async () => {
  const device = new Device();
  const { one, two } = await wentBack(device);
  const agent = device.session({ run: 'next' });
  const three = await activate(agent, pack({ a: '3' }));
  expect(await agent.ok('release.collect', { keep: 1 })).toEqual({ removed: [two] });
  expect(given((await agent.ok('release.status')).previous)).toBe(one);
  expect((await agent.ok('release.status')).current).toBe(three);
});
