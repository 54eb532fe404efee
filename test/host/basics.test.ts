import * as fs from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Failure } from '../../lib/model/failure.ts';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { clientOf } from '../../lib/device/client.ts';
import { boundCancel } from '../../lib/host/cancel.ts';
import { clock, rest } from '../../lib/host/clock.ts';
import { sha256 } from '../../lib/host/hash.ts';
import { wasStarted } from '../../lib/host/identity.ts';
import { safeName } from '../../lib/host/names.ts';
import { openLineFile, readEnd, readLines, writeFileAtomic } from '../../lib/host/store.ts';
import { currentUser } from '../../lib/host/user.ts';
import { rig, tempDir } from './rig.ts';

const INT: Failure = { reason: 'cancelled', signal: 'SIGINT' };
const TERM: Failure = { reason: 'cancelled', signal: 'SIGTERM' };

test('whoever runs this has the name that the environment says, otherwise the one that the system knows', () => {
  expect(currentUser({ USER: 'u', LOGNAME: 'l' })).toBe('u');
  expect(currentUser({ LOGNAME: 'l' })).toBe('l');
  expect(currentUser({})).toBe(userInfo().username);
  expect(clientOf({})).toBe(`${userInfo().username}@${hostname()}`);
});

test('a cancel comes once, to all, and at once to late ones', () => {
  const cancel = new CancelSource();
  const got: unknown[] = [];
  const withdraw = cancel.onCancel(() => got.push('withdrawn'));
  cancel.onCancel((why) => got.push(why));
  withdraw();
  expect(cancel.cancelled).toBe(null);
  cancel.cancel(INT);
  cancel.cancel(TERM);
  cancel.onCancel((why) => got.push(why));
  expect(got).toEqual([INT, INT]);
  expect(cancel.cancelled).toEqual(INT);
});

test('a bounded cancel comes from its parent or its timer, whichever is first', async () => {
  const parent = new CancelSource();
  const bound = boundCancel(parent, 'x', 20);
  const other = boundCancel(parent, 'y', 60_000);
  await clock.sleep(60_000, bound);
  expect(bound.cancelled).toEqual({ reason: 'timed-out', what: 'x', timeoutMs: 20 });
  expect(other.cancelled).toBe(null);
  parent.cancel(INT);
  expect(other.cancelled).toEqual(INT);
  bound.release();
  other.release();
});

test('a sleep lasts, and ends early when cancelled', async () => {
  const cancel = new CancelSource();
  const since = clock.nowMs();
  await clock.sleep(30, cancel);
  expect(clock.nowMs() - since).toBeGreaterThan(28);
  const sleeping = clock.sleep(60_000, cancel);
  cancel.cancel(INT);
  await sleeping;
  await clock.sleep(60_000, cancel);
});

test('a sleep that is longer than a timer can be does not end at once', async () => {
  const cancel = new CancelSource();
  let over = false;
  const sleeping = clock.sleep(2 ** 40, cancel).then(() => (over = true));
  await rest(20);
  expect(over).toBe(false);
  cancel.cancel(INT);
  await sleeping;
});

test('the end of a file is its last whole lines, or the end of one that is longer', () => {
  const path = join(tempDir(), 'log');
  const end = (content: string): unknown => (fs.writeFileSync(path, content), readEnd(path, 8));
  expect(end('first\nlast\n')).toEqual({ text: 'last\n', leftOutBytes: 6 });
  expect(end('a line that is long\n')).toEqual({ text: 'is long\n', leftOutBytes: 12 });
  expect(end('a line that is long')).toEqual({ text: ' is long', leftOutBytes: 11 });
});

test('a line file keeps whole lines, and forgets one cut short', () => {
  const path = join(tempDir(), 'a', 'lines');
  expect(readLines(path)).toEqual({ lines: [], cutShort: null });
  const file = openLineFile(path);
  file.appendLine('ä', true);
  file.appendLine('', false);
  file.close();
  expect(() => file.appendLine('x\ny', false)).toThrow(TypeError);
  fs.appendFileSync(path, 'cut sh');
  expect(readLines(path)).toEqual({ lines: ['ä', ''], cutShort: 'cut sh' });
  const again = openLineFile(path);
  again.appendLine('next', false);
  again.close();
  expect(fs.readFileSync(path, 'utf8')).toBe('ä\n\nnext\n');
  fs.writeFileSync(path, 'x'.repeat(200_000));
  openLineFile(path).close();
  expect(fs.statSync(path).size).toBe(0);
  expect([fs.statSync(path).mode & 0o777, fs.statSync(join(path, '..')).mode & 0o777]).toEqual([0o600, 0o700]);
});

test('an atomic write has exactly its mode, or leaves what was there', () => {
  const dir = tempDir();
  writeFileAtomic(join(dir, 'f'), 'one', 0o666);
  expect(fs.statSync(join(dir, 'f')).mode & 0o777).toBe(0o666);
  fs.mkdirSync(join(dir, 'd/x'), { recursive: true });
  expect(() => writeFileAtomic(join(dir, 'd'), 'x', 0o600)).toThrow();
  expect(fs.readdirSync(dir).sort()).toEqual(['d', 'f']);
});

test('names are safe, readable and never the same for two texts', () => {
  expect(safeName('deploy(to=jetson)/1.2')).toBe('deploy(to=jetson)+1.2');
  const texts = ['..', '.', '', 'a/b', 'a+b', 'a~b', 'ä', 'a\nb', `${'x'.repeat(300)}1`, `${'x'.repeat(300)}2`, 'A'];
  const names = texts.map(safeName);
  expect(new Set(names).size).toBe(texts.length);
  for (const name of names) expect(name).toMatch(/^(?!\.{0,2}$)[A-Za-z0-9._=,()~+-]{1,200}$/);
  expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a scratch folder is empty, private, and gone afterwards', async () => {
  const r = rig();
  const entering = await r.host.enter({ kind: 'scratch', place: 'here', name: 'a/b' }, r.performing);
  if (!entering.ok) throw new Error('not entered');
  const { value } = entering.entered;
  expect(fs.readdirSync(value)).toEqual([]);
  expect(value.startsWith(join(r.slipwayDir, 'tmp', 'r1'))).toBe(true);
  fs.mkdirSync(join(value, 'ro'));
  fs.writeFileSync(join(value, 'ro/x'), '');
  fs.chmodSync(join(value, 'ro'), 0o500);
  await entering.entered.leave();
  await entering.entered.leave();
  expect(fs.existsSync(value)).toBe(false);
});

test('a lock is a scope that is refused while held', async () => {
  const r = rig();
  const lock = { kind: 'lock', place: 'here', name: 'deploy' } as const;
  const first = await r.host.enter(lock, r.performing);
  expect(await r.host.enter(lock, r.performing)).toMatchObject({
    ok: false,
    failure: { reason: 'lock-held', place: 'here', name: 'deploy' },
  });
  if (first.ok) await first.entered.leave();
  expect(await r.host.enter(lock, r.performing)).toMatchObject({ ok: true });
});

test('secrets are known by name; steps of devices have no meaning here', async () => {
  const r = rig({ secrets: { A: 'x' } });
  expect([r.host.secret('A'), r.host.secret('B')]).toEqual(['x', undefined]);
  const probe = {
    type: 'step',
    id: 't/1',
    kind: 'probe',
    place: 'here',
    effect: 'reads',
    args: { ask: 'x', args: {} },
    yields: { type: 'null' },
  } as const;
  expect(await r.host.perform(probe, r.performing)).toMatchObject({ failure: { reason: 'broken' } });
});

test('a line that is appended soon is there after the turn, before the next one, and when the file is closed', async () => {
  const path = join(tempDir(), 'lines');
  const file = openLineFile(path);
  file.appendSoon('a');
  expect(fs.readFileSync(path, 'utf8')).toBe('');
  file.appendLine('b', false);
  expect(fs.readFileSync(path, 'utf8')).toBe('a\nb\n');
  file.appendSoon('c');
  file.appendSoon('d');
  await new Promise((resolve) => setImmediate(resolve));
  expect(fs.readFileSync(path, 'utf8')).toBe('a\nb\nc\nd\n');
  file.appendSoon('e');
  expect(() => file.appendSoon('f\ng')).toThrow(TypeError);
  file.close();
  expect(fs.readFileSync(path, 'utf8')).toBe('a\nb\nc\nd\ne\n');
});

test('a line that cannot be written is what the next one says', async () => {
  const file = openLineFile('/dev/full', false);
  file.appendSoon('lost');
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => file.appendSoon('next')).toThrow('ENOSPC');
  expect(() => file.appendLine('next', false)).toThrow('ENOSPC');
  file.close();
});

test.runIf(process.platform === 'linux')('a process is known by the moment of its start, or by two around it', () => {
  const row = { pid: 1, group: 1, session: 1, started: '150', name: 'x' };
  const is = (started: string): boolean => wasStarted(row, started);
  expect(['150', '150 150', '149 151', '150 151'].map(is)).toEqual([true, true, true, true]);
  expect(['', '15', '151', '151 152', '148 149'].map(is)).toEqual([false, false, false, false, false]);
  expect(wasStarted(null, '150')).toBe(false);
});
