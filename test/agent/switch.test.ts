import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Agent, Device, given, runs, textWith, until } from './client.ts';
import { activate, pack, stage } from './release.ts';

const LEASE_MS = 1000;

interface Outcome {
  readonly state: string;
  readonly why: string;
  readonly change: string | null;
}

interface Watched {
  readonly is: string;
  readonly pid?: number;
}

/** A device with release `old` confirmed and `fresh` staged, and the session that armed the switch between them. */
async function armed(leaseMs = LEASE_MS): Promise<{ device: Device; agent: Agent; old: string; fresh: string }> {
  const device = new Device();
  const agent = device.session({ run: 'switching', client: 'me@here' });
  const old = await activate(agent, pack({ a: 'old' }));
  const fresh = await stage(agent, pack({ a: 'fresh' }));
  await agent.ok('lock', { name: 'deploy', client: 'me@here' });
  await agent.ok('switch.arm', { release: fresh, from: old, leaseMs });
  return { device, agent, old, fresh };
}

const point = (agent: Agent, release: string, back: string) =>
  agent.changing('link', { path: 'current', target: `releases/${release}`, step: 'point' }, [
    { op: 'link', args: { path: 'current', target: `releases/${back}`, step: 'back' } },
  ]);

const current = (device: Device): string => readlinkSync(device.at('current')).replace('releases/', '');

/** The records of the device's switch. */
const records = (device: Device): Watched[] =>
  readFileSync(device.at('state/switch'))
    .subarray(16)
    .toString()
    .replace(/\0+$/, '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line.slice(9)) as Watched);

const keeper = (device: Device): number => given(records(device).find((one) => one.is === 'watched')?.pid);

test('armed means watched: a process of its own, a journal laid whole, room kept for putting back', async () => {
  const { device } = await armed();
  expect(runs(keeper(device))).toBe(true);
  expect(statSync(device.at('state/switch')).size).toBe(256 * 1024);
  expect(statSync(device.at('state/ballast')).size).toBe(1024 * 1024);
});

test('silence: the device puts back by itself, the latest change first, and says why', async () => {
  const { device, agent, old, fresh } = await armed();
  await agent.changing('write', { path: 'note', content: 'new', step: 'note' }, [
    { op: 'restore', args: { path: 'note', saved: 'note' } },
  ]);
  await point(agent, fresh, old);
  const pid = keeper(device);
  await agent.kill();
  expect(current(device)).toBe(fresh);
  await until('it is put back', () => current(device) === old && !existsSync(device.at('note')));
  await until('nothing is left that watches', () => !runs(pid) && !existsSync(device.at('state/ballast')));
  expect((await device.session({ run: 'later' }).ok('release.status')) as object).toMatchObject({
    current: old,
    lock: null,
    switch: { state: 'taken-back', why: 'nothing was heard of the client for 1 s', run: 'switching', deadline: null },
  });
});

test('an agent that holds the lock and hears nothing loses it, even in the middle of an operation', async () => {
  const { device, agent, old, fresh } = await armed();
  await point(agent, fresh, old);
  const hanging = agent.ask('run', { argv: ['sleep', '600'] });
  await until('it is put back', () => current(device) === old);
  expect((await hanging).ok).toBe(false);
  expect(await agent.exited).not.toBe(0);
});

test('heartbeats keep it armed; what is said too late is refused', async () => {
  const { device, agent, old, fresh } = await armed();
  await point(agent, fresh, old);
  const beat = setInterval(() => agent.child.stdin.write('{"beat": 1}\n'), 200);
  await agent.ok('run', { argv: ['sleep', '2.5'] });
  clearInterval(beat);
  expect(current(device)).toBe(fresh);
  expect(records(device).at(-1)?.is).toBe('change');
  await until('it is put back', () => current(device) === old);
  const late = device.session({ run: 'switching', client: 'me@here' });
  await until('its lock is free', async () => (await late.ask('lock', { name: 'deploy', client: 'me@here' })).ok);
  expect((await point(late, fresh, old)).failure).toMatchObject({ code: 'taken-back' });
  expect(await late.fails('release.confirm', { release: fresh })).toMatchObject({ code: 'not-current' });
  expect(current(device)).toBe(old);
});

test('confirmed over another session: decided once, read back, and never put back', async () => {
  const { device, agent, old, fresh } = await armed(60_000);
  await point(agent, fresh, old);
  const pid = keeper(device);
  const undo = [{ op: 'release.unconfirm', args: { release: fresh, withdraw: null } }];
  // Asked for again, over yet another one, it comes to the same.
  for (const other of [device.session({ run: 'switching' }), device.session({ run: 'switching' })])
    expect(await other.changing('release.confirm', { release: fresh, withdraw: null }, undo)).toMatchObject({
      ok: true,
    });
  expect(runs(pid)).toBe(false);
  expect((await agent.ok('switch.outcome')) as unknown as Outcome).toMatchObject({ state: 'confirmed' });
  expect((await agent.ok('switch.take-back')) as unknown as Outcome).toMatchObject({ state: 'confirmed' });
  expect(current(device)).toBe(fresh);
  expect(device.record(fresh).state).toBe('confirmed');
});

test('asked to, it is put back at once; one change that cannot be leaves the rest, and the next attempt goes on', async () => {
  const { device, agent, old, fresh } = await armed(60_000);
  await point(agent, fresh, old);
  await agent.changing('write', { path: 'sub/note', content: 'x', step: 'note' }, [
    { op: 'read', args: { path: '../x' } },
  ]);
  const stuck = (await agent.ok('switch.take-back', { why: 'it was not healthy' })) as unknown as Outcome;
  expect(stuck).toMatchObject({ state: 'stuck', why: 'it was not healthy', change: textWith('sub/note') });
  expect(current(device)).toBe(fresh);
  await agent.close();
  const other = device.session({ run: 'other' });
  expect(await other.fails('lock', { name: 'deploy' })).toMatchObject({ code: 'switch-stuck' });
  expect((await other.ok('release.status')) as object).toMatchObject({ switch: { state: 'stuck' } });
});

test('armed and unconfirmed counts as the lock held, with the deadline; once that is over, another run puts back first', async () => {
  const { device, agent, old, fresh } = await armed(3000);
  await point(agent, fresh, old);
  process.kill(keeper(device), 'SIGKILL');
  await agent.kill();
  const other = device.session({ run: 'other', client: 'you@there' });
  const held = await other.fails('lock', { name: 'deploy', client: 'you@there' });
  expect(held).toMatchObject({ reason: 'lock-held', name: 'deploy' });
  expect(JSON.parse(given(held.holder)) as object).toMatchObject({
    run: 'switching',
    client: 'me@here',
    deadline: textWith('T'),
  });
  await until('the lease is over', async () => (await other.ask('lock', { name: 'deploy' })).ok);
  expect(current(device)).toBe(old);
});

test('a change that is only put back while unfinished stays when it is finished', async () => {
  const { device, agent, old, fresh } = await armed(60_000);
  await agent.changing(
    'write',
    { path: 'kept', content: 'x', step: 'kept' },
    [{ op: 'remove', args: { path: 'kept', step: 'gone' } }],
    'unless-done',
  );
  await point(agent, fresh, old);
  await agent.ok('switch.take-back');
  expect([current(device), device.read('kept')]).toEqual([old, 'x']);
});

test('no change without a switch, no switch without the lock', async () => {
  const device = new Device();
  const agent = device.session();
  const id = await stage(agent, pack({ a: 'x' }));
  expect(await agent.fails('switch.arm', { release: id, from: null, leaseMs: LEASE_MS })).toMatchObject({
    code: 'bad-request',
  });
  expect((await point(agent, id, id)).failure).toMatchObject({ code: 'taken-back' });
  expect(existsSync(device.at('current'))).toBe(false);
});
