import type { RunEvent } from '../../lib/model/event.ts';
import type { Plan, PlanNode } from '../../lib/model/plan.ts';
import type { Around } from '../../lib/report/reporter.ts';

/** What reports of tests tell beyond the events. */
export const around: Around = {
  logOf: (step) => `logs/${step}`,
  program: () => 'npm run task',
  rest: [],
  lastMs: () => undefined,
};

/** A node of a plan, as far as reports look at it. */
export const node = (id: string, more: Partial<PlanNode> = {}): PlanNode => ({
  id,
  task: id.replace(/\(.*/, ''),
  params: {},
  needs: [],
  inputs: null,
  outputs: null,
  env: [],
  resources: {},
  timeoutMs: null,
  retries: null,
  body: { items: [], result: null },
  ...more,
});

export const planOf = (nodes: readonly PlanNode[], goals: readonly string[] = []): Plan => ({
  version: 1,
  goals,
  digest: 'd'.repeat(64),
  nodes,
});

export const begin = (task: string, step = `${task}/1`): RunEvent[] => [
  { type: 'task-started', task },
  { type: 'step-started', id: step, task, place: 'here', effect: 'derives', line: `derives here: make ${task}` },
];

export const prints = (id: string, text: string): RunEvent => ({ type: 'step-output', id, stream: 'stdout', text });

export const ends = (task: string, durationMs = 100): RunEvent[] => [
  { type: 'step-finished', id: `${task}/1`, value: null },
  { type: 'task-finished', task, outcome: 'done', durationMs },
];

export const failure = { reason: 'exit-non-zero', command: 'make', exitCode: 2, tail: ['its last line'] } as const;

export const fails = (task: string, durationMs = 100): RunEvent[] => [
  { type: 'step-failed', id: `${task}/1`, failure },
  { type: 'task-finished', task, outcome: 'failed', durationMs, failure },
];

export const over = (outcome: 'done' | 'failed' | 'cancelled', durationMs = 1000): RunEvent => ({
  type: 'run-finished',
  run: 'r',
  outcome,
  status: outcome === 'done' ? 0 : 1,
  durationMs,
});
