import { expect, test } from 'vitest';
import type { RunEvent } from '../../lib/model/event.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { epilogue } from '../../lib/report/epilogue.ts';
import { Outcomes } from '../../lib/report/outcome.ts';
import type { Around } from '../../lib/report/reporter.ts';
import { rerun } from '../../lib/report/rerun.ts';
import { around, begin, ends, fails, failure, node, over, planOf, prints } from './around.ts';

/** What a task that keeps services up is made of, as far as reports look at it. */
const HOLDS = { items: [{ type: 'hold' as const, id: 'h' }], result: null };

function ending(plan: Plan, events: readonly RunEvent[], more: Partial<Around> = {}): readonly string[] {
  const outcomes = new Outcomes();
  for (const event of events) outcomes.add(event, 0);
  return epilogue(outcomes, plan, { color: false, around: { ...around, ...more } });
}

const fresh = (task: string, durationMs = 10): RunEvent[] => [
  { type: 'task-started', task },
  { type: 'task-finished', task, outcome: 'fresh', durationMs },
];

test('the critical path is the longest chain by time, not by count', () => {
  const plan = planOf([
    node('install'),
    node('gen', { needs: ['install'] }),
    node('lint', { needs: ['gen'] }),
    node('pack', { needs: ['lint'] }),
    node('build', { needs: ['install'] }),
    node('test', { needs: ['build', 'pack'] }),
  ]);
  const events = [
    ['install', 2000],
    ['gen', 100],
    ['lint', 100],
    ['pack', 100],
    ['build', 61_000],
    ['test', 3000],
  ] as const;
  expect(
    ending(plan, [...events.flatMap(([task, ms]) => [...begin(task), ...ends(task, ms)]), over('done', 66_000)]),
  ).toEqual(['critical path 1 min 6 s: install 2.0 s → build 1 min 1 s → test 3.0 s', '6 done · 1 min 6 s']);
});

test('services are up at the same time, as long as they are needed: the critical path is never longer than the run', () => {
  const plan = planOf([
    node('setup'),
    node('database', { needs: ['setup'] }),
    node('exchange', { needs: ['setup'], body: HOLDS }),
    node('backend', { needs: ['database', 'exchange'], body: HOLDS }),
    node('test', { needs: ['backend'] }),
  ]);
  const events = [
    ['setup', 2000],
    ['database', 1000],
    ['exchange', 25_000],
    ['backend', 25_000],
    ['test', 24_000],
  ] as const;
  expect(
    ending(plan, [...events.flatMap(([task, ms]) => [...begin(task), ...ends(task, ms)]), over('done', 28_000)]),
  ).toEqual(['critical path 27 s: setup 2.0 s → database 1.0 s → test 24 s', '5 done · 28 s']);
});

test('of a long path the longest tasks are named; two tasks need no path', () => {
  const ids = Array.from({ length: 20 }, (_, at) => `t${String(at)}`);
  const plan = planOf(ids.map((id, at) => node(id, { needs: at === 0 ? [] : [`t${String(at - 1)}`] })));
  const events = ids.flatMap((id, at) => [...begin(id), ...ends(id, at % 4 === 0 ? 2000 : 100)]);
  expect(ending(plan, [...events, over('done')])[0]).toBe(
    'critical path 12 s: t0 2.0 s → t1 0.1 s → … → t4 2.0 s → … → t8 2.0 s → … → t12 2.0 s → … → t16 2.0 s → …',
  );
  const two = planOf([node('a'), node('b', { needs: ['a'] })]);
  expect(ending(two, [...begin('a'), ...ends('a'), ...begin('b'), ...ends('b'), over('done')])).toEqual([
    '2 done · 1.0 s',
  ]);
});

test('what the cache saved: what fresh and restored tasks took when they last ran, devices aside', () => {
  const cached = { inputs: ['a'], outputs: ['b'] };
  const plan = planOf([node('a', cached), node('b', cached), node('new', cached), node('deploy')]);
  const events: RunEvent[] = [
    ...fresh('a', 500),
    { type: 'task-started', task: 'b' },
    { type: 'task-finished', task: 'b', outcome: 'restored', durationMs: 1000 },
    ...fresh('new'),
    ...fresh('deploy'),
    over('done', 1600),
  ];
  const lastMs = (task: string): number | undefined => ({ a: 30_500, b: 13_000, deploy: 99_000 })[task];
  expect(ending(plan, events, { lastMs })).toEqual(['3 fresh · 1 restored · 1.6 s · 42 s saved by the cache']);
});

test('a failure: each output is its own step’s, the whole is named, what did not run is named', () => {
  const plan = planOf([node('a'), ...Array.from({ length: 11 }, (_, at) => node(`n${String(at)}`))]);
  const numbers = Array.from({ length: 3_000 }, (_, at) => `line ${String(at)}`);
  const lines = ending(plan, [
    ...begin('a'),
    { type: 'step-started', id: 'a/2', task: 'a', place: 'here', effect: 'derives', line: 'derives here: other' },
    prints('a/1', `${numbers.join('\n')}\n${'y'.repeat(10_000_000)}`),
    prints('a/2', 'of the other step\n'),
    ...fails('a'),
    over('failed'),
  ]);
  expect(lines.slice(0, 3)).toEqual(['── output of a ──', '… 2001 lines before …', 'line 2001']);
  expect(lines.at(1000)).toBe('line 2999');
  expect(lines.at(1001)).toBe(`${'y'.repeat(4096)}…`);
  expect(lines.slice(1002)).toEqual([
    '──',
    'a failed: make ended with status 2',
    '  its output above says why',
    '  whole output of a/1: logs/a/1',
    '  only this task again: npm run task a',
    'not run: n0, n1, n2, n3, n4, n5, n6, n7 and 3 more',
    '1 failed · 11 not run · 1.0 s',
  ]);
});

test('what was stopped: why once, and where the output of each is', () => {
  const cancelled = { reason: 'cancelled', signal: 'SIGINT' } as const;
  const stopped = (task: string): RunEvent[] => [
    { type: 'step-failed', id: `${task}/1`, failure: cancelled },
    { type: 'task-finished', task, outcome: 'cancelled', durationMs: 1, failure: cancelled },
  ];
  const plan = planOf([node('a'), node('b')]);
  expect(
    ending(plan, [
      ...begin('a'),
      ...begin('b'),
      prints('a/1', 'half'),
      prints('b/1', 'x\n'),
      ...stopped('a'),
      ...stopped('b'),
      over('cancelled'),
    ]),
  ).toEqual([
    'a stopped: stopped by SIGINT',
    'whole output of a/1: logs/a/1',
    'whole output of b/1: logs/b/1',
    '2 cancelled · 1.0 s',
  ]);
});

test('the last words of a service that died stand once, with the service, and a signal is no fault of its output', () => {
  const died = { reason: 'service-ended', service: 'api', exitCode: null, signal: 'SIGKILL', tail: ['bye'] } as const;
  const lost = (task: string): RunEvent => ({
    type: 'task-finished',
    task,
    outcome: 'failed',
    durationMs: 1,
    failure: died,
  });
  const plan = planOf([node('api', { body: HOLDS }), node('e2e', { needs: ['api'] })]);
  // The task that needs it began first.
  const lines = ending(plan, [
    { type: 'task-started', task: 'e2e' },
    { type: 'task-started', task: 'api' },
    lost('e2e'),
    lost('api'),
    over('failed'),
  ]);
  expect(lines.filter((line) => line === 'bye')).toHaveLength(1);
  expect(lines).toContain('── output of api ──');
  expect(lines.join('\n')).not.toContain('its output above says why');
});

test('a failure inside of a guard does not hide the one that counts', () => {
  const first = { ...failure, exitCode: 9 };
  const lines = ending(planOf([node('a')]), [
    ...begin('a'),
    prints('a/1', 'counts\n'),
    { type: 'step-failed', id: 'a/1', failure },
    { type: 'step-started', id: 'a/2', task: 'a', place: 'here', effect: 'derives', line: '' },
    prints('a/2', 'does not\n'),
    { type: 'step-failed', id: 'a/2', failure: first },
    { type: 'task-finished', task: 'a', outcome: 'failed', durationMs: 1, failure },
    over('failed'),
  ]);
  expect(lines.slice(0, 3)).toEqual(['── output of a ──', 'counts', '──']);
});

test('the command that runs one task again: only what is not at its default, quoted, and what followed --', () => {
  const id = 'x(to=jetson,maxAge=-3,why="it\'s",token=***,fast=true)';
  const params = { to: deviceName('jetson'), maxAge: -3, why: "it's", token: '***', fast: true, kept: 'default' };
  const plan = planOf([node(id, { params }), node('y')], [id]);
  expect(rerun(id, plan, { ...around, rest: ['-k', 'a b'] })).toBe(
    "npm run task x -- --to jetson --max-age=-3 --why 'it'\\''s' --token '‹secret›' --fast -- -k 'a b'",
  );
  expect(rerun('y', plan, { ...around, rest: ['-k'] })).toBe('npm run task y');
  expect(rerun('y', plan, { ...around, program: () => 'npx slipway' })).toBe('npx slipway y');
});
