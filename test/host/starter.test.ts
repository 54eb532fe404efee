import * as fs from 'node:fs';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { listProcesses } from '../../lib/host/identity.ts';
import { Helper, openStarter } from '../../lib/host/starter.ts';
import { s } from '../../lib/model/schema.ts';
import { helpersOf, lives, pidIn, rig, run, shell, startAllBy, until } from './rig.ts';

// What holds of commands that the runner starts itself holds of these: the same tests.
const helper = new Helper();
await helper.begin();
let started = 0;
startAllBy({
  start(...args) {
    const child = helper.start(...args);
    if (child) started += 1;
    return child;
  },
});
await import('./process.test.ts');
await import('./output.test.ts');
await import('./environment.test.ts');

afterAll(() => {
  expect(started).toBeGreaterThan(30);
  helper.close();
});

/** A helper that may be killed. */
async function ownHelper(python?: string): Promise<{ readonly helper: Helper; readonly pid: number }> {
  const before = new Set(helpersOf(process.pid));
  const own = new Helper(python);
  await own.begin();
  onTestFinished(() => own.close());
  const [pid = 0] = helpersOf(process.pid).filter((one) => !before.has(one));
  return { helper: own, pid };
}

/** Signals 32 and 33 are the C library's own, which ignores them in what it starts, be that a helper's or make's. */
const withoutLibrarys = (ignored: string): string => (BigInt(`0x${ignored}`) & ~0x180000000n).toString(16);

/** What a process finds around itself, whoever started it. */
const AROUND = [
  'grep -E "^(Sig(Blk|Ign)|ShdPnd|Umask|Seccomp|CapEff)" /proc/self/status',
  'test "$(cut -d" " -f5 /proc/$$/stat)" = $$ && test "$(cut -d" " -f6 /proc/$$/stat)" = $$ && echo leads group and session',
  'cut -d" " -f7,19 /proc/$$/stat',
  'readlink /proc/$$/fd/0; ls /proc/$$/fd; cat /proc/$$/cgroup /proc/$$/oom_score_adj; pwd; ulimit -a',
].join('\n');

test('a command finds around itself what it would find if the runner had started it', async () => {
  const around = async (by: Helper | undefined): Promise<unknown> => {
    const r = rig({ starter: by });
    const performed = await r.host.perform(shell(AROUND, { output: 'text' }, { yields: s.string }), r.performing);
    return JSON.stringify(performed)
      .replaceAll(r.dir, '.')
      .replace(/(?<=SigIgn:\\t)\w+/, withoutLibrarys);
  };
  const byRunner = await around(undefined);
  expect(byRunner).toContain('leads group and session');
  expect(await around(helper)).toBe(byRunner);
});

test('what the helper cannot start is left to the runner, which says why', async () => {
  const r = rig();
  fs.writeFileSync(r.path('plain'), 'echo no interpreter named; echo $1', { mode: 0o755 });
  const step = run([r.path('plain'), 'x'], { output: 'lines' }, { yields: s.list(s.string) });
  expect(await r.host.perform(step, r.performing)).toMatchObject({
    fact: { value: ['no interpreter named', 'x'] },
  });
  fs.mkdirSync(r.path('closed'), { mode: 0o755 });
  expect(await r.host.perform(run(['./nothing'], { cwd: 'closed' }), r.performing)).toMatchObject({
    failure: { reason: 'command-not-found' },
  });
});

test('what the helper began to open for a command that it cannot start, it closes', async () => {
  const r = rig();
  // One of the two pipes fits.
  fs.writeFileSync(r.path('python'), '#!/bin/sh\nulimit -n 9; exec python3 "$@"', { mode: 0o755 });
  const own = await ownHelper(r.path('python'));
  const open = (): readonly string[] => fs.readdirSync(`/proc/${String(own.pid)}/fd`);
  const before = open();
  for (let times = 0; times < 2; times++)
    expect(await own.helper.start({ argv: ['true'], cwd: '/', env: {} }, () => undefined)).toBe(null);
  expect(open()).toEqual(before);
});

test('when the helper is killed, what it had started is ended, group and all, and the runner goes on by itself', async () => {
  const own = await ownHelper();
  const r = rig({ starter: own.helper, graceMs: 200 });
  const script =
    'trap "" TERM; sh -c "trap \'\' TERM; echo \\$\\$ > inner; while :; do sleep 0.1; done" & echo $$ > outer; while :; do sleep 0.1; done';
  const performed = r.host.perform(shell(script), r.performing);
  const pids = [await pidIn(r.path('outer')), await pidIn(r.path('inner'))];
  process.kill(own.pid, 'SIGKILL');
  expect(await performed).toMatchObject({ ok: false, failure: { reason: 'broken' } });
  expect(pids.map(lives)).toEqual([false, false]);
  expect(own.helper.start({ argv: ['true'], cwd: '/', env: {} }, () => undefined)).toBe(null);
  expect(await r.host.perform(run(['true']), r.performing)).toMatchObject({ ok: true });
});

test('also what it had started without having said so', async () => {
  const own = await ownHelper();
  const r = rig({ starter: own.helper, graceMs: 200 });
  // Stopped right after the start: what it would say is not said.
  const script = `kill -STOP ${String(own.pid)}; echo $$ > pid; while :; do sleep 0.1; done`;
  const performed = r.host.perform(shell(script), r.performing);
  const pid = await pidIn(r.path('pid'));
  process.kill(own.pid, 'SIGKILL');
  expect(await performed).toMatchObject({ ok: false, failure: { reason: 'broken' } });
  await until('it is gone', () => !lives(pid));
});

test('the helper ends with its runner, and lets go of nothing before', async () => {
  const own = await ownHelper();
  expect(lives(own.pid)).toBe(true);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(own.pid, signal);
  const r = rig({ starter: own.helper });
  expect(await r.host.perform(run(['true']), r.performing)).toMatchObject({ ok: true });
  own.helper.close();
  await until('the helper is gone', () => !listProcesses().some(({ pid }) => pid === own.pid));
});

test('where no helper can be, the runner starts everything itself', async () => {
  const none = new Helper('/no/such/python3');
  await none.begin();
  const r = rig({ starter: none });
  expect(await r.host.perform(run(['true']), r.performing)).toMatchObject({ ok: true });
});

test('a run of many commands has a helper, one of few has none', () => {
  expect(openStarter(32)).toBeInstanceOf(Helper);
  expect(openStarter(31)).toBeUndefined();
});
