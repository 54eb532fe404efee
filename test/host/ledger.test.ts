import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { NEVER } from '../../lib/engine/cancel.ts';
import { findProcess, ownIdentity } from '../../lib/host/identity.ts';
import { openLedger, reapLeftovers } from '../../lib/host/ledger.ts';
import { takeLock } from '../../lib/host/lock.ts';
import { enterScope } from '../../lib/host/scope.ts';
import { openTurns } from '../../lib/host/turns.ts';
import { helpersOf, lives, pidIn, rig, shell, tempDir, until } from './rig.ts';

/** What starts the commands. */
type By = 'runner' | 'helper';
const BOTH: readonly By[] = ['runner', 'helper'];

/** A runner that was killed, or kills itself, and what it left: a command's group, and what made itself a session. */
async function killedRunner(
  how: 'held' | 'gap',
  by: By = 'runner',
): Promise<{ dir: string; pids: number[]; daemon: number }> {
  const dir = tempDir();
  const runner = spawn(
    process.execPath,
    ['--import', 'tsx', new URL('./reaped-runner.ts', import.meta.url).pathname, dir, how, by],
    { stdio: 'ignore' },
  );
  const exit = once(runner, 'exit');
  const pids = [await pidIn(join(dir, 'pid')), await pidIn(join(dir, 'inner'))];
  const daemon = await pidIn(join(dir, 'daemon'));
  onTestFinished(() => [...pids, daemon].filter(lives).forEach((pid) => process.kill(pid, 'SIGKILL')));
  if (how === 'held') {
    await until('the pid in the ledger', () =>
      fs.readFileSync(join(dir, 'runs/r1/ledger.jsonl'), 'utf8').includes('"spawned"'),
    );
    expect(await reapLeftovers(dir, 100)).toEqual([]);
    const helpers = by === 'helper' ? helpersOf(runner.pid) : [];
    expect(helpers).toHaveLength(by === 'helper' ? 1 : 0);
    runner.kill('SIGKILL');
    await until('its helper is gone, too', () => !helpers.some(lives));
  }
  await exit;
  expect(pids.map(lives)).toEqual([true, true]);
  return { dir, pids, daemon };
}

test.each(BOTH)('the next run ends what a killed runner left: group, scratch, lock (%s)', async (by) => {
  const { dir, pids, daemon } = await killedRunner('held', by);
  expect(fs.readdirSync(join(dir, 'tmp/r1'))).toHaveLength(1);
  expect(await reapLeftovers(dir, 100)).toEqual([{ run: 'r1', pid: pids[0], command: 'sh' }]);
  expect([...pids, daemon].map(lives)).toEqual([false, false, true]);
  expect(fs.existsSync(join(dir, 'tmp/r1'))).toBe(false);
  expect(takeLock(dir, 'held', 'r2').ok).toBe(true);
  expect(await reapLeftovers(dir, 100)).toEqual([]);
});

test('who waits for outputs of a run that is killed waits for what it left, too', async () => {
  const { dir, pids } = await killedRunner('held');
  const leave = await openTurns(dir, 'r2', undefined, 100).take('mine', ['out/x'], NEVER, () => undefined);
  expect(pids.map(lives)).toEqual([false, false]);
  leave?.();
  expect(fs.readdirSync(join(dir, 'turns'))).toEqual([]);
});

test('so does who takes a lock that it held', async () => {
  const { dir, pids } = await killedRunner('held');
  const site = { slipwayDir: dir, run: 'r2', ledger: openLedger(dir, 'r2'), graceMs: 100 };
  expect(await enterScope({ kind: 'lock', place: 'here', name: 'held' }, site)).toMatchObject({ ok: true });
  expect(pids.map(lives)).toEqual([false, false]);
});

test.each(BOTH)('also what was started, but not yet written down, when it was killed (%s)', async (by) => {
  const { dir, pids, daemon } = await killedRunner('gap', by);
  const written = fs.readFileSync(join(dir, 'runs/r1/ledger.jsonl'), 'utf8');
  expect(written).not.toContain('"spawned"');
  // Killed in the very turn of the start, the runner wrote down nothing but itself.
  expect(written.includes('"spawning"')).toBe(by === 'helper');
  expect(await reapLeftovers(dir, 100)).toEqual([{ run: 'r1', pid: pids[0], command: 'sh' }]);
  expect([...pids, daemon].map(lives)).toEqual([false, false, true]);
});

test.each(BOTH)('also a group whose leader is gone (%s)', async (by) => {
  const { dir, pids } = await killedRunner('held', by);
  const [leader = 0] = pids;
  process.kill(leader, 'SIGKILL');
  await until('the leader is gone', () => !lives(leader));
  expect(await reapLeftovers(dir, 100)).toHaveLength(1);
  expect(pids.map(lives)).toEqual([false, false]);
});

test('a run of the same name in another checkout is left alone', async () => {
  const { dir, pids } = await killedRunner('gap');
  const here = await killedRunner('gap');
  expect(await reapLeftovers(here.dir, 100)).toHaveLength(1);
  expect([...pids, ...here.pids].map(lives)).toEqual([true, true, false, false]);
  expect(await reapLeftovers(dir, 100)).toHaveLength(1);
});

test('a pid that was used again is left alone', async () => {
  const dir = tempDir();
  const other = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  onTestFinished(() => void other.kill('SIGKILL'));
  const pid = other.pid ?? 0;
  const started = findProcess(pid)?.started ?? '';
  const lines = (leader: string, runner: object): string =>
    [
      { runner, token: 't' },
      { spawning: 1, command: 'x', own: true },
      { spawned: 1, pid, started: leader },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join('');
  const dead = { ...ownIdentity(), started: '1' };
  fs.mkdirSync(join(dir, 'runs/r1'), { recursive: true });
  const ledger = join(dir, 'runs/r1/ledger.jsonl');
  for (const [leader, runner] of [
    ['1', dead],
    [started, { ...dead, boot: 'earlier' }],
    [started, ownIdentity()],
    [started, { ...dead, space: 'pid:[1]' }],
  ] as const) {
    fs.writeFileSync(ledger, lines(leader, runner));
    expect(await reapLeftovers(dir, 100)).toEqual([]);
  }
  expect(lives(pid)).toBe(true);
  fs.writeFileSync(ledger, `${lines(started, dead)}{"spawning":2,"comm`);
  expect(await reapLeftovers(dir, 100)).toEqual([{ run: 'r1', pid, command: 'x' }]);
});

test('a run that ended everything leaves no ledger; one that goes on keeps the open entries', async () => {
  const r = rig();
  await r.host.perform(shell('true'), r.performing);
  const file = join(r.slipwayDir, 'runs/r1/ledger.jsonl');
  // That a command ended is written by the end of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  expect(fs.readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(4);
  await r.host.close();
  expect(fs.existsSync(file)).toBe(false);
  const first = openLedger(r.slipwayDir, 'r1');
  first.spawning('x', true);
  first.close();
  expect(openLedger(r.slipwayDir, 'r1').spawning('y', true).spawn).toBe(2);
});

test('a lock is held once, and free again when it was left or its holder died', () => {
  const dir = tempDir();
  const first = takeLock(dir, 'a/b', 'r1');
  expect(takeLock(dir, 'a/b', 'r2')).toEqual({ ok: false, holder: `run r1, process ${String(process.pid)}` });
  expect(takeLock(dir, 'other', 'r2').ok).toBe(true);
  if (first.ok) first.release();
  const second = takeLock(dir, 'a/b', 'r2');
  expect(second.ok).toBe(true);
  // Late, and no longer its own: it takes nothing away.
  if (first.ok) first.release();
  expect(takeLock(dir, 'a/b', 'r3').ok).toBe(false);
});

test.each(['', '\0\0\0', '{"run":"r0"'])('a lock whose file a power cut left as %j is free', (content) => {
  const dir = tempDir();
  fs.mkdirSync(join(dir, 'locks'));
  // So was the one that was held to take its place.
  for (const name of ['x.lock', 'x.lock.damaged']) fs.writeFileSync(join(dir, 'locks', name), content);
  expect(takeLock(dir, 'x', 'r1').ok).toBe(true);
  expect(takeLock(dir, 'x', 'r2').ok).toBe(false);
  expect(fs.readdirSync(join(dir, 'locks'))).toEqual(['x.lock']);
});

test('a lock that is held where nobody can tell whether its holder lives says what to do', () => {
  const dir = tempDir();
  const path = join(dir, 'locks/x.lock');
  fs.mkdirSync(join(dir, 'locks'));
  fs.writeFileSync(path, JSON.stringify({ ...ownIdentity(), pid: 7, space: 'pid:[1]', run: 'r0', turn: 't' }));
  expect(takeLock(dir, 'x', 'r1')).toEqual({
    ok: false,
    holder: `run r0, process 7 in another container; if that is surely gone, remove ${path}`,
  });
});

test.each(['dead', 'damaged'])(
  'of many that find a %s holder, one gets the lock',
  async (how) => {
    const dir = tempDir();
    fs.mkdirSync(join(dir, 'locks'));
    const dead = JSON.stringify({ ...ownIdentity(), started: '1', run: 'r0', turn: 'gone' });
    fs.writeFileSync(join(dir, 'locks/x.lock'), how === 'dead' ? dead : '');
    // One died while it took the dead one's place.
    fs.writeFileSync(join(dir, `locks/x.lock.${how === 'dead' ? 'gone' : 'damaged'}`), dead.replace('gone', 'gone2'));
    const script = `import { takeLock } from ${JSON.stringify(new URL('../../lib/host/lock.ts', import.meta.url).pathname)};
    process.stdin.on('data', () => { process.stdout.write(String(takeLock(${JSON.stringify(dir)}, 'x', 'r').ok) + '\\n'); });`;
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    onTestFinished(() => children.forEach((child) => child.kill('SIGKILL')));
    const answers = children.map(async (child) => String((await once(child.stdout, 'data'))[0]).trim());
    for (const child of children) child.stdin.write('go\n');
    expect((await Promise.all(answers)).sort()).toEqual(['false', 'false', 'false', 'false', 'false', 'true']);
  },
  30_000,
);
