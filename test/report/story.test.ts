import { expect, test } from 'vitest';
import { profileJson } from '../../lib/report/profile.ts';
import { storyOf } from '../../lib/report/story.ts';
import { line, planOf, ranTask, step, toldRun } from './runs.ts';

const failure = { reason: 'exit-non-zero', command: 'x', exitCode: 7, tail: ['last words'] } as const;
const change = {
  type: 'change',
  id: 'ship/2',
  touches: [],
  do: { items: [step('ship/2.1', ['up', 'x']), step('ship/2.2', ['up', 'y'])], result: null },
  undo: { items: [step('ship/2.undo.1', ['down', 'x'])], result: null },
  undone: 'always',
};
const plan = planOf(
  [{ id: 'build' }, { id: 'ship', needs: ['build', 'build'], items: [change] }, { id: 'never', needs: ['ship'] }],
  ['never'],
);
const started = (id: string, more = {}): Parameters<typeof line>[1] => ({
  type: 'step-started',
  id,
  task: 'ship',
  place: 'here',
  effect: 'changes',
  line: `changes here: ${id}`,
  ...more,
});
const lines = [
  line(0, { type: 'run-started', run: 'r', digest: plan.digest, goals: plan.goals, pid: 1 }),
  ...ranTask('build', 1, 10),
  line(10, { type: 'task-started', task: 'ship' }),
  line(11, { type: 'change-started', id: 'ship/2' }),
  line(12, started('ship/2.1')),
  line(20, { type: 'step-finished', id: 'ship/2.1', value: null }),
  line(20, started('ship/2.2')),
  line(30, { type: 'step-failed', id: 'ship/2.2', failure }),
  line(31, { type: 'undo-started', id: 'ship/2', because: failure }),
  line(40, { type: 'step-undone', id: 'ship/2.undo.1', line: 'changes here: down x' }),
  line(41, { type: 'undo-finished', id: 'ship/2' }),
  line(42, { type: 'task-finished', task: 'ship', outcome: 'failed', durationMs: 32, failure }),
  line(43, { type: 'run-finished', run: 'r', outcome: 'failed', status: 1, durationMs: 43 }),
];

test('a story: tasks with their steps, failures, undos; what never ran', () => {
  const story = storyOf(toldRun(plan, lines));
  expect(story).toMatchObject({ outcome: 'failed', status: 1, durationMs: 43, goals: ['never'] });
  expect(story.tasks.map(({ task, outcome, needs, fromMs, toMs }) => [task, outcome, needs, fromMs, toMs])).toEqual([
    ['build', 'done', [], 1, 10],
    ['ship', 'failed', ['build'], 10, 42],
    ['never', 'not run', ['ship'], 0, 0],
  ]);
  const ship = story.tasks[1];
  expect(ship?.steps.map(({ id, outcome, fromMs, toMs, undo }) => [id, outcome, fromMs, toMs, undo])).toEqual([
    ['ship/2.1', 'done', 12, 20, []],
    ['ship/2.2', 'failed', 20, 30, ['changes here: down x']],
  ]);
  expect(ship?.undos).toEqual([
    { id: 'ship/2', fromMs: 31, toMs: 41, lines: ['changes here: down x'], failures: [], isDone: true },
  ]);
});

test('a run that was cut off lasts until its journal does; one under way says so', () => {
  const cut = lines.slice(
    0,
    lines.findIndex(({ type }) => type === 'step-failed'),
  );
  const story = storyOf(toldRun(plan, cut));
  expect(story).toMatchObject({ outcome: 'cut off', status: null, durationMs: 20 });
  expect(story.tasks[1]).toMatchObject({ outcome: 'unfinished', fromMs: 10, toMs: 20 });
  expect(story.tasks[1]?.steps[1]).toMatchObject({ outcome: 'unfinished', fromMs: 20, toMs: 20 });
  expect(storyOf(toldRun(plan, cut, { alive: true })).outcome).toBe('running');
});

test('a clock that was set back makes nothing last less than nothing', () => {
  const late = lines.map((one, at) =>
    at < 6 ? one : { ...one, at: new Date(Date.parse(one.at) - 3_600_000).toISOString() },
  );
  const { tasks, durationMs } = storyOf(toldRun(plan, late));
  for (const { fromMs, toMs, steps } of tasks)
    for (const span of [{ fromMs, toMs }, ...steps]) expect(span.toMs).toBeGreaterThanOrEqual(span.fromMs);
  expect(durationMs).toBeGreaterThanOrEqual(0);
});

test('passes of one step are kept apart', () => {
  const passes = [1, 2, 3].flatMap((pass) => [
    line(pass * 10, started('ship/2.1', { iteration: String(pass) })),
    line(pass * 10 + 5, { type: 'step-finished', id: 'ship/2.1', iteration: String(pass), value: null }),
  ]);
  const { tasks } = storyOf(toldRun(plan, [line(0, { type: 'task-started', task: 'ship' }), ...passes]));
  expect(tasks[1]?.steps.map(({ iteration, fromMs, toMs }) => [iteration, fromMs, toMs])).toEqual([
    ['1', 10, 15],
    ['2', 20, 25],
    ['3', 30, 35],
  ]);
});

interface Traced {
  readonly ph: string;
  readonly name: string;
  readonly cat?: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly [name: string]: string };
}
const traced = (text: string): readonly Traced[] => JSON.parse(text) as readonly Traced[];

/** In one lane events either follow each other or lie within each other: what trace viewers can draw. */
function expectNested(events: readonly Traced[]): void {
  const complete = events.filter(({ ph }) => ph === 'X');
  for (const a of complete)
    for (const b of complete) {
      if (a === b || a.tid !== b.tid) continue;
      const apart = a.ts + a.dur <= b.ts || b.ts + b.dur <= a.ts;
      const within = (a.ts <= b.ts && b.ts + b.dur <= a.ts + a.dur) || (b.ts <= a.ts && a.ts + a.dur <= b.ts + b.dur);
      expect(apart || within).toBe(true);
    }
}

test('a profile: tasks, steps and undos in µs, one lane for what came one after the other', () => {
  const events = traced(profileJson(storyOf(toldRun(plan, lines))));
  expect(events.filter(({ ph }) => ph === 'M').map(({ name, tid, args }) => [name, tid, args])).toEqual([
    ['process_name', 0, { name: 'slipway never' }],
    ['thread_name', 0, { name: 'slot 1' }],
    ['thread_sort_index', 0, { sort_index: 0 }],
  ]);
  expect(events.filter(({ ph }) => ph === 'X').map(({ name, cat, tid, ts, dur }) => [name, cat, tid, ts, dur])).toEqual(
    [
      ['build', 'task', 0, 1000, 9000],
      ['reads here: do build', 'reads', 0, 2000, 7000],
      ['ship', 'task', 0, 10_000, 32_000],
      ['changes here: ship/2.1', 'changes', 0, 12_000, 8000],
      ['changes here: ship/2.2', 'changes', 0, 20_000, 10_000],
      ['put back ship/2', 'undo', 0, 31_000, 10_000],
    ],
  );
  expect(events.find(({ name }) => name === 'ship')?.args).toEqual({
    outcome: 'failed',
    failure: 'x ended with status 7',
  });
});

test('a profile: as many lanes as tasks at once, and what overlaps within a task beside them', () => {
  const ids = Array.from({ length: 40 }, (_, at) => `t${String(at)}`);
  const many = planOf(
    ids.map((id) => ({ id })),
    ids,
  );
  const all = ids.flatMap((id, at) => ranTask(id, at * 7, at * 7 + 20 + ((at * 13) % 17)));
  const overlapping = [0, 1, 2].flatMap((at) => [
    line(2 + at, { ...started(`t0/p${String(at)}`), task: 't0' } as Parameters<typeof line>[1]),
    line(10 + at, { type: 'step-finished', id: `t0/p${String(at)}`, value: null }),
  ]);
  const sorted = [...all, ...overlapping].sort((a, b) => a.at.localeCompare(b.at));
  const events = traced(profileJson(storyOf(toldRun(many, sorted))));
  expectNested(events);
  const tasks = events.filter(({ cat }) => cat === 'task');
  const most = Math.max(...tasks.map(({ ts }) => tasks.filter((one) => one.ts <= ts && ts < one.ts + one.dur).length));
  expect(new Set(tasks.map(({ tid }) => tid)).size).toBe(most);
  const names = events.flatMap(({ name, args }) => (name === 'thread_name' ? [args['name']] : []));
  expect(names.filter((name) => name?.startsWith('slot'))).toHaveLength(most);
  expect(names.filter((name) => name?.startsWith('beside'))).toHaveLength(3);
});
