import type { JournalLine } from '../../lib/engine/journal.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Step } from '../../lib/model/step.ts';
import type { ToldRun } from '../../lib/report/story.ts';

const BEGUN = Date.parse('2026-03-04T05:06:07.000Z');

/** A journal line `ms` after the run began. */
export const line = (ms: number, event: RunEvent): JournalLine => ({
  at: new Date(BEGUN + ms).toISOString(),
  ...event,
});

export const step = (id: string, argv: readonly string[]): Step => ({
  type: 'step',
  id,
  kind: 'run',
  place: 'here',
  effect: 'changes',
  args: { argv, output: 'none' },
  yields: { type: 'null' } as unknown as Step['yields'],
});

interface NodeSpec {
  readonly id: string;
  readonly needs?: readonly string[];
  readonly items?: readonly unknown[];
}

export function planOf(specs: readonly NodeSpec[], goals: readonly string[]): Plan {
  const nodes = specs.map(({ id, needs = [], items = [] }) => ({
    id,
    task: id.replace(/\(.*/s, ''),
    params: {},
    needs,
    inputs: null,
    outputs: null,
    env: [],
    resources: {},
    timeoutMs: null,
    retries: null,
    body: { items, result: null },
  }));
  return { version: 1, goals, nodes, digest: 'ab'.repeat(32) } as unknown as Plan;
}

export const toldRun = (plan: Plan, lines: readonly JournalLine[], more: Partial<ToldRun> = {}): ToldRun => ({
  run: '20260304-050607-abcd',
  at: new Date(BEGUN).toISOString(),
  who: 'ada@desk',
  commandLine: plan.goals.join(' '),
  commit: '0123456789abcdef0123456789abcdef01234567',
  targets: [],
  plan,
  lines,
  alive: false,
  ...more,
});

/** A task that runs from `fromMs` to `toMs`, with one step in the middle of it. */
export function ranTask(
  task: string,
  fromMs: number,
  toMs: number,
  text = `reads here: do ${task}`,
): readonly JournalLine[] {
  const id = `${task}/1`;
  return [
    line(fromMs, { type: 'task-started', task }),
    line(fromMs + 1, { type: 'step-started', id, task, place: 'here', effect: 'reads', line: text }),
    line(toMs - 1, { type: 'step-finished', id, value: null }),
    line(toMs, { type: 'task-finished', task, outcome: 'done', durationMs: toMs - fromMs }),
  ];
}
