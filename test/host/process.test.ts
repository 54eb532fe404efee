import * as fs from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { s } from '../../lib/model/schema.ts';
import { lives, nodeEval, pidIn, rig, run, shell, until } from './rig.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

test('argv goes over as it stands, lists flattened', async () => {
  const r = rig();
  const odd = ['-n', '', 'a b', '$HOME', '\'"\n', 'ü', '*'];
  const step = run(
    [...nodeEval('console.log(JSON.stringify(process.argv.slice(1)))'), '--', ['x', ['y']], ...odd],
    { output: 'json' },
    { yields: s.list(s.string) },
  );
  expect(await r.host.perform(step, r.performing)).toEqual({
    ok: true,
    fact: { known: true, value: ['x', 'y', ...odd] },
  });
});

test('each signal reaches the whole group', async () => {
  for (const signal of SIGNALS) {
    const r = rig();
    const name = signal.slice(3);
    // In the foreground: a shell makes its background commands ignore INT.
    const script = `trap 'echo inner >> got; exit' ${name}; echo $$ > inner; while :; do sleep 0.02; done`;
    const performed = r.host.perform(
      shell(`trap 'echo outer >> got; exit' ${name}; sh -c "$INNER"; sleep 9`, { env: { INNER: script } }),
      r.performing,
    );
    const inner = await pidIn(r.path('inner'));
    r.cancel.cancel({ reason: 'cancelled', signal });
    expect(await performed).toEqual({ ok: false, failure: { reason: 'cancelled', signal } });
    expect(fs.readFileSync(r.path('got'), 'utf8').split('\n').sort().join(' ').trim()).toBe('inner outer');
    expect(lives(inner)).toBe(false);
  }
});

test('a group that ignores every signal is killed after the grace period', async () => {
  for (const signal of SIGNALS) {
    const r = rig({ graceMs: 150 });
    const performed = r.host.perform(
      shell(
        "trap '' INT TERM HUP; sh -c 'echo $$ > inner; while :; do sleep 0.1; done' & echo $$ > outer; while :; do sleep 0.1; done",
      ),
      r.performing,
    );
    const pids = [await pidIn(r.path('outer')), await pidIn(r.path('inner'))];
    const since = performance.now();
    r.cancel.cancel({ reason: 'cancelled', signal });
    expect(await performed).toEqual({ ok: false, failure: { reason: 'cancelled', signal } });
    expect(performance.now() - since).toBeGreaterThan(140);
    expect(pids.map(lives)).toEqual([false, false]);
  }
});

test('a grandchild that its leader left behind is ended, and holds nothing up', async () => {
  const r = rig({ graceMs: 150 });
  const step = shell(
    'sh -c "trap \'\' TERM; echo \\$\\$ > inner; while :; do sleep 0.1; done" & while ! test -s inner; do sleep 0.01; done; echo done',
    { output: 'text' },
    { yields: s.string },
  );
  expect(await r.host.perform(step, r.performing)).toEqual({ ok: true, fact: { known: true, value: 'done' } });
  expect(lives(await pidIn(r.path('inner')))).toBe(false);
});

/** A shell with job control: one job in the background, one in the foreground, and a daemon that is meant to stay. */
const JOBS = `
setsid sh -c 'echo $$ > daemon; exec sleep 60' < /dev/null > daemon.log 2>&1 &
set -m
sh -c 'trap "" TERM; echo $$ > background; while :; do sleep 0.1; done' &
sh -c 'echo $$ > foreground; while :; do sleep 0.1; done'`;

test('jobs of a shell, each in a group of its own, end with it; what made itself a session stays', async () => {
  const r = rig({ graceMs: 150 });
  const performed = r.host.perform(run(['bash', '-c', JOBS]), r.performing);
  const pids = [await pidIn(r.path('background')), await pidIn(r.path('foreground'))];
  const daemon = await pidIn(r.path('daemon'));
  onTestFinished(() => [...pids, daemon].filter(lives).forEach((pid) => process.kill(pid, 'SIGKILL')));
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGTERM' });
  expect(await performed).toMatchObject({ failure: { reason: 'cancelled' } });
  expect([...pids, daemon].map(lives)).toEqual([false, false, true]);
});

test('what finishes its work right after its leader is let to', async () => {
  const r = rig();
  await r.host.perform(shell('(sleep 0.05; echo late) & echo early'), r.performing);
  expect(r.shown()).toBe('early\nlate\n');
});

test('a daemon outside the group that keeps the pipe open holds nothing up', async () => {
  const r = rig();
  const source =
    'import os,sys,time\nif os.fork()==0:\n os.setsid(); open("pid","w").write(f"{os.getpid()}\\n"); time.sleep(60)\nprint("started")';
  expect(await r.host.perform(run(['python3', '-c', source]), r.performing)).toMatchObject({ ok: true });
  const pid = await pidIn(r.path('pid'));
  expect(lives(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
});

/** Prints for ever, in a session of its own, while the command that started it ends. */
const CHATTY = `import os,time
open("leader","w").write(f"{os.getpid()}\\n")
if os.fork()==0:
  os.setsid(); open("pid","w").write(f"{os.getpid()}\\n")
  try:
    while True: os.write(1,b"x\\n"); time.sleep(0.02)
  except OSError: os._exit(0)
while not os.path.exists("pid"): time.sleep(0.01)`;

test('a daemon that prints on holds nothing up for long', async () => {
  const r = rig();
  expect(await r.host.perform(run(['python3', '-c', CHATTY]), r.performing)).toMatchObject({ ok: true });
  const daemon = await pidIn(r.path('pid'));
  await until('nobody listens to it', () => !lives(daemon));
});

test('nor, when the run is cancelled, for a moment', async () => {
  const r = rig();
  const performed = r.host.perform(run(['python3', '-c', CHATTY]), r.performing);
  const [leader, daemon] = [await pidIn(r.path('leader')), await pidIn(r.path('pid'))];
  await until('the command is over', () => !lives(leader));
  const since = performance.now();
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' });
  await performed;
  expect(performance.now() - since).toBeLessThan(1_500);
  await until('nobody listens to it', () => !lives(daemon));
});

test('failures say what happened', async () => {
  const r = rig({ secrets: { T: 'hunter22' } });
  const failure = async (step: ReturnType<typeof run>): Promise<unknown> => {
    const performed = await r.host.perform(step, r.performing);
    return performed.ok ? performed : performed.failure;
  };
  expect(await failure(shell('echo one; echo two >&2; exit 7'))).toEqual({
    reason: 'exit-non-zero',
    command: 'sh -c echo one; echo two >&2; exit 7',
    exitCode: 7,
    tail: expect.arrayContaining(['one', 'two']) as unknown,
  });
  expect(await failure(shell('exit 7', { okExits: [0, 7] }))).toMatchObject({ ok: true });
  expect(await failure(shell('kill -9 $$'))).toMatchObject({ reason: 'killed-by-signal', signal: 'SIGKILL' });
  expect(await failure(run(['no-such-command']))).toEqual({ reason: 'command-not-found', command: 'no-such-command' });
  expect(await failure(run(['true'], { cwd: 'nowhere' }))).toMatchObject({ reason: 'file-system', code: 'ENOENT' });
  expect(await failure(run(['true'], { cwd: '..' }))).toMatchObject({ reason: 'refused' });
  expect(await failure(run(['/etc/passwd']))).toMatchObject({ reason: 'file-system', code: 'EACCES' });
  expect(await failure(run(['echo', null]))).toMatchObject({
    reason: 'unexpected-value',
    expected: 'string',
    actual: 'null',
  });
  expect(await failure(run(['a\0b']))).toMatchObject({ reason: 'file-system', code: 'ERR_INVALID_ARG_VALUE' });
  expect(await failure(run(['sleep', '9'], {}, { timeoutMs: 60 }))).toEqual({
    reason: 'timed-out',
    what: 'sleep 9',
    timeoutMs: 60,
  });
  expect(await failure(shell('echo hunter22; exit 1; : hunter22'))).toEqual({
    reason: 'exit-non-zero',
    command: 'sh -c echo ***; exit 1; : ***',
    exitCode: 1,
    tail: ['***'],
  });
  expect(await failure(run(['printf', '{'], { output: 'json' }))).toMatchObject({
    reason: 'unexpected-value',
    expected: 'JSON',
  });
  expect(
    await failure(run(['printf', '{"a":1}'], { output: 'json' }, { yields: s.object({ a: s.string }) })),
  ).toMatchObject({ reason: 'unexpected-value', at: 'a', expected: 'string', actual: 'number' });
});

test('values: text, lines, json', async () => {
  const r = rig();
  const value = async (output: string, text: string, yields: unknown): Promise<unknown> => {
    const performed = await r.host.perform(run(['printf', '%s', text], { output }, { yields }), r.performing);
    return performed.ok ? performed.fact.value : performed.failure;
  };
  expect(await value('text', ' a\nb\n\n', s.string)).toBe(' a\nb');
  expect(await value('lines', 'a\r\nb\n', s.list(s.string))).toEqual(['a', 'b']);
  expect(await value('lines', '', s.list(s.string))).toEqual([]);
  expect(await value('json', ' {"a":[1]}\n', s.json)).toEqual({ a: [1] });
});

test('more output than may be kept as a value ends the command', async () => {
  const r = rig();
  expect(await r.host.perform(run(['yes'], { output: 'text' }, { yields: s.string }), r.performing)).toEqual({
    ok: false,
    failure: {
      reason: 'unexpected-value',
      what: 'yes',
      at: 'stdout',
      expected: 'at most 16777216 bytes',
      actual: 'more',
    },
  });
});

test('standard input is empty, and there is no terminal', async () => {
  const r = rig();
  await r.host.perform(shell('cat; (: < /dev/tty) 2>/dev/null || echo none'), r.performing);
  expect(r.shown()).toBe('none\n');
});

test('an undo is not cut short by a cancel, but by its own timeout', async () => {
  const r = rig({ undoing: true });
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' });
  expect(await r.host.perform(shell('echo put back'), r.performing)).toMatchObject({ ok: true });
  expect(await r.host.perform(run(['sleep', '9'], {}, { timeoutMs: 50 }), r.performing)).toMatchObject({
    failure: { reason: 'timed-out' },
  });
  expect(await r.host.perform(shell('echo no'), { ...r.performing, undoing: false })).toMatchObject({
    failure: { reason: 'cancelled' },
  });
});

test('retries: only reads and derives, and not after a cancel', async () => {
  const r = rig();
  const counted = 'echo x >> count; test $(wc -l < count) -ge 3';
  const retries = { times: 5, backoffMs: 5 };
  expect(await r.host.perform(shell(counted, {}, { effect: 'derives', retries }), r.performing)).toMatchObject({
    ok: true,
  });
  fs.rmSync(r.path('count'));
  expect(await r.host.perform(shell(counted, {}, { retries }), r.performing)).toMatchObject({
    failure: { reason: 'exit-non-zero' },
  });
  fs.rmSync(r.path('count'));
  const performed = r.host.perform(
    shell('echo x >> count; exit 1', {}, { effect: 'reads', retries: { times: 9, backoffMs: 60_000 } }),
    r.performing,
  );
  await until('the first attempt', () => fs.existsSync(r.path('count')));
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGTERM' });
  expect(await performed).toMatchObject({ failure: { reason: 'cancelled' } });
  expect(fs.readFileSync(r.path('count'), 'utf8')).toBe('x\n');
});
