import { appendFileSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type Agent, Device, PYTHON, textWith, until } from './client.ts';
import { activate, pack, stage } from './release.ts';

const HEAD_BYTES = 16;
const LEASE_MS = 60_000;

/** A switch that three changes were made under, whose client and keeper are dead. */
async function left(device: Device, run = 'switching'): Promise<{ readonly old: string; readonly fresh: string }> {
  const agent = device.session({ run });
  const old = await activate(agent, pack({ a: 'old' }));
  const fresh = await stage(agent, pack({ a: 'fresh' }));
  await agent.ok('lock', { name: 'deploy' });
  await agent.ok('switch.arm', { release: fresh, from: old, leaseMs: LEASE_MS });
  process.kill(Number(/"pid":(\d+)/.exec(switchOf(device).toString())?.[1]), 'SIGKILL');
  await wrote(agent, 'first');
  await agent.changing('link', { path: 'current', target: `releases/${fresh}`, step: 'point' }, [
    { op: 'link', args: { path: 'current', target: `releases/${old}`, step: 'back' } },
  ]);
  await wrote(agent, 'last');
  await agent.kill();
  return { old, fresh };
}

const wrote = (agent: Agent, path: string): Promise<unknown> =>
  agent.changing('write', { path, content: 'new', step: path }, [
    { op: 'remove', args: { path, step: `${path}-back` } },
  ]);
const switchOf = (device: Device): Buffer => readFileSync(device.at('state/switch'));
const current = (device: Device): string => readlinkSync(device.at('current')).replace('releases/', '');
const isThere = (device: Device, path: string): boolean => {
  try {
    return device.read(path) !== '';
  } catch {
    return false;
  }
};

/** Flips one bit in the middle of the record that holds a text. */
function flip(device: Device, text: string): void {
  const content = switchOf(device);
  const at = content.indexOf(text, HEAD_BYTES);
  expect(at).toBeGreaterThan(0);
  content.writeUInt8(content.readUInt8(at) ^ 1, at);
  writeFileSync(device.at('state/switch'), content);
}

/** Lets the lease end now. */
function expire(device: Device): void {
  const content = switchOf(device);
  content.writeDoubleLE(0, 0);
  writeFileSync(device.at('state/switch'), content);
}

test('cut short: what is whole is put back', async () => {
  const device = new Device();
  const { old } = await left(device);
  truncateSync(device.at('state/switch'), switchOf(device).lastIndexOf('"last"'));
  expire(device);
  await device.session({ run: 'other' }).ok('lock', { name: 'deploy' });
  expect([current(device), isThere(device, 'first'), isThere(device, 'last')]).toEqual([old, false, true]);
});

test('a flipped bit in one change: the others are put back, and that it was damaged is said', async () => {
  const device = new Device();
  await left(device);
  flip(device, 'releases/');
  expire(device);
  const other = device.session({ run: 'other' });
  await other.ok('lock', { name: 'deploy' });
  expect([isThere(device, 'first'), isThere(device, 'last')]).toEqual([false, false]);
  expect((await other.ok('release.status')) as object).toMatchObject({
    switch: { state: 'taken-back', why: textWith('1 records of it are damaged') },
  });
});

test('a flipped bit in its first record or in its lease: it is put back all the same', async () => {
  for (const damage of ['record', 'lease']) {
    const device = new Device();
    const { old } = await left(device);
    if (damage === 'record') {
      flip(device, '"armed"');
      expire(device);
    } else {
      const content = switchOf(device);
      content.writeUInt8(content.readUInt8(7) ^ 0x10, 7);
      writeFileSync(device.at('state/switch'), content);
    }
    await device.session({ run: 'other' }).ok('lock', { name: 'deploy' });
    expect([damage, current(device), isThere(device, 'first')]).toEqual([damage, old, false]);
  }
});

test('a flipped bit before the decision: what was confirmed stays confirmed', async () => {
  const device = new Device();
  const agent = device.session({ run: 'switching' });
  const old = await activate(agent, pack({ a: 'old' }));
  const fresh = await stage(agent, pack({ a: 'fresh' }));
  await agent.ok('lock', { name: 'deploy' });
  await agent.ok('switch.arm', { release: fresh, from: old, leaseMs: LEASE_MS });
  await agent.changing('link', { path: 'current', target: `releases/${fresh}`, step: 'point' }, [
    { op: 'link', args: { path: 'current', target: `releases/${old}`, step: 'back' } },
  ]);
  await agent.ok('release.confirm', { release: fresh, withdraw: null });
  flip(device, 'releases/');
  expire(device);
  await agent.close();
  const other = device.session({ run: 'other' });
  await other.ok('lock', { name: 'deploy' });
  expect(current(device)).toBe(fresh);
  expect((await other.ok('release.status')) as object).toMatchObject({ switch: { state: 'confirmed' } });
});

test('the keeper was tampered with: it does nothing, and the next session puts back with its own agent', async () => {
  const device = new Device();
  const { old, fresh } = await left(device);
  appendFileSync(device.at('state/keeper.py'), 'raise SystemExit(0)\n');
  expire(device);
  const loader = /KEEPER_LOADER = '''([\s\S]*?)'''/.exec(device.read('state/keeper.py'))?.[1] ?? '';
  const argv = ['-c', loader, device.at('state/keeper.py'), '0'.repeat(64), device.root];
  const kept = spawnSync(PYTHON, argv, { encoding: 'utf8' });
  expect([kept.status, kept.stderr]).toEqual([1, textWith('is not what was armed')]);
  expect(current(device)).toBe(fresh);
  await device.session({ run: 'other' }).ok('lock', { name: 'deploy' });
  expect(current(device)).toBe(old);
});

test('a run that was killed after its confirmation hears of it when another run has switched since', async () => {
  const device = new Device();
  const agent = device.session({ run: 'switching' });
  const fresh = await stage(agent, pack({ a: 'fresh' }));
  await agent.ok('lock', { name: 'deploy' });
  await agent.ok('switch.arm', { release: fresh, from: null, leaseMs: LEASE_MS });
  await agent.ok('link', { path: 'current', target: `releases/${fresh}`, step: 'point' });
  await agent.ok('release.confirm', { release: fresh, withdraw: null });
  await agent.kill();
  const other = device.session({ run: 'other' });
  const next = await stage(other, pack({ a: 'next' }));
  await until('the lock is free', async () => (await other.ask('lock', { name: 'deploy' })).ok);
  await other.ok('switch.arm', { release: next, from: fresh, leaseMs: LEASE_MS });
  await other.ok('switch.take-back', {});
  await other.ok('link', { path: 'current', target: `releases/${fresh}`, step: 'again' });
  await other.close();
  const again = device.session({ run: 'switching' });
  expect((await again.ask('switch.take-back')).value).toMatchObject({ state: 'confirmed' });
});
