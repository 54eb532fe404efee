import type { JournalLine } from '../engine/journal.ts';
import { passingOf } from '../engine/follow.ts';
import type { TaskOutcome } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import { itemsIn, type Step } from '../model/step.ts';
import { paintWith, type Paint } from './colors.ts';
import { messageLines, tailOf } from './explain.ts';
import type { Summary } from './history.ts';
import { neutral } from './neutral.ts';
import { duration } from './outcome.ts';
import { quoteWord } from './quote.ts';

/** Where a step's output is kept whole, and how much of it there is. */
export interface StepLog {
  readonly path: string;
  readonly bytes: number;
}

/** What has begun and not ended: as long as its runner lives, it may. */
type Unfinished = 'running' | 'cut off';

/** One performed step of a run that is looked back at, or one that put something back. */
export interface ToldStep {
  readonly id: string;
  readonly line: string;
  readonly outcome: 'done' | 'failed' | Unfinished | 'put back' | 'not put back';
  /** `null` for what puts back, and for what never ended. */
  readonly durationMs: number | null;
  /** Of a command; `null` where several count as success and nobody noted which it was. */
  readonly exitCode: number | null;
  readonly failure: Failure | null;
  readonly log: StepLog | null;
}

/** One task of it. */
export interface ToldTask {
  readonly task: string;
  readonly outcome: TaskOutcome | Unfinished;
  readonly durationMs: number | null;
  readonly steps: readonly ToldStep[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type OpenTask = Mutable<Omit<ToldTask, 'steps'>> & { readonly steps: Mutable<ToldStep>[] };

/** What a journal tells of each task, in the order in which they began. */
export function toldTasks(
  plan: Plan,
  lines: readonly JournalLine[],
  logOf: (id: string) => StepLog | null,
  unfinished: Unfinished,
): readonly ToldTask[] {
  const tasks = new Map<string, OpenTask>();
  const open = new Map<string, { readonly step: Mutable<ToldStep>; readonly atMs: number }>();
  const steps = stepsOf(plan);
  const taskOf = (id: string): OpenTask => {
    const task = [...tasks.values()].find((one) => id.startsWith(`${one.task}/`));
    return task ?? begin(id.slice(0, id.lastIndexOf('/')));
  };
  const begin = (task: string): OpenTask => {
    const begun = tasks.get(task) ?? { task, outcome: unfinished, durationMs: null, steps: [] };
    tasks.set(task, begun);
    return begun;
  };
  const put = (
    id: string,
    line: string,
    outcome: ToldStep['outcome'],
    failure: Failure | null = null,
  ): Mutable<ToldStep> => {
    const step = { id, line, outcome, durationMs: null, exitCode: null, failure, log: logOf(id) };
    taskOf(id).steps.push(step);
    return step;
  };
  for (const line of lines) {
    switch (line.type) {
      case 'task-started':
        begin(line.task);
        break;
      case 'step-started':
        open.set(passingOf(line.id, line.iteration), {
          step: put(line.id, line.line, unfinished),
          atMs: Date.parse(line.at),
        });
        break;
      case 'step-finished':
      case 'step-failed': {
        const found = open.get(passingOf(line.id, line.iteration));
        if (found === undefined) break;
        const { step, atMs } = found;
        step.durationMs = Math.max(0, Date.parse(line.at) - atMs);
        step.outcome = line.type === 'step-failed' ? 'failed' : 'done';
        step.failure = line.type === 'step-failed' ? line.failure : null;
        step.exitCode = exitCodeOf(steps.get(line.id), step.failure);
        break;
      }
      case 'step-undone':
        put(line.id, line.line, 'put back');
        break;
      case 'undo-failed':
        put(line.id, 'undo', 'not put back', line.failure);
        break;
      case 'task-finished':
        Object.assign(begin(line.task), { outcome: line.outcome, durationMs: line.durationMs });
        break;
      default:
    }
  }
  return [...tasks.values()];
}

function stepsOf(plan: Plan): ReadonlyMap<string, Step> {
  const items = plan.nodes.flatMap(({ body }) => [...itemsIn(body)]);
  return new Map(items.flatMap((item) => (item.type === 'step' ? [[item.id, item] as const] : [])));
}

function exitCodeOf(step: Step | undefined, failure: Failure | null): number | null {
  if (failure !== null) return failure.reason === 'exit-non-zero' ? failure.exitCode : null;
  if (step?.kind !== 'run' && step?.kind !== 'shell') return null;
  const { okExits = [0] } = step.args;
  return okExits.length === 1 ? (okExits[0] ?? null) : null;
}

const MARKS = { done: '✓', failed: '✗', running: '…', 'cut off': '…', 'put back': '↩', 'not put back': '✗' } as const;
const STYLES = {
  done: 'green',
  failed: 'red',
  running: 'cyan',
  'cut off': 'yellow',
  'put back': 'yellow',
  'not put back': 'red',
} as const;
/** Columns of a duration: `59 min 59 s`. */
const TIME_WIDTH = 8;

/** Tasks and their steps for people; `output`: what a step printed, where it is to be shown whole. */
export function toldLines(
  tasks: readonly ToldTask[],
  color: boolean,
  output: (step: ToldStep) => readonly string[],
): readonly string[] {
  const paint = paintWith(color);
  return tasks.flatMap(({ task, outcome, durationMs, steps }) => [
    '',
    `${paint('bold', task)} ${paint('dim', `${outcome}${durationMs === null ? '' : ` · ${duration(durationMs)}`}`)}`,
    ...steps.flatMap((step) => [
      ...stepLines(step, paint),
      ...output(step).map((line) => `             │ ${neutral(line, color)}`),
    ]),
  ]);
}

function stepLines({ outcome, durationMs, line, failure, log, id }: ToldStep, paint: Paint): readonly string[] {
  const time = (durationMs === null ? '' : duration(durationMs)).padStart(TIME_WIDTH);
  const why =
    failure === null ? [] : [...messageLines(failure), ...tailOf(failure).map((text) => `│ ${neutral(text, false)}`)];
  const where = log === null ? [] : [`whole output: ${log.path} (${String(log.bytes)} bytes)`];
  return [
    `${paint(STYLES[outcome], MARKS[outcome])} ${time}  ${neutral(line, false)} ${paint('dim', id)}`,
    ...why.map((text) => `             ${paint('red', text)}`),
    ...(failure === null ? [] : where).map((text) => `             ${paint('dim', text)}`),
  ];
}

/** What stands above the steps of a run. */
export function summaryLines(one: Summary, logs: string): readonly string[] {
  const { outcome, status, durationMs, undoes, undoneBy, targets } = one;
  const about: readonly (readonly [string, string | null])[] = [
    ['typed', one.commandLine],
    ['by', one.client ?? (one.who === '' ? null : one.who)],
    ['begun', `${one.at.slice(0, 19).replace('T', ' ')} UTC`],
    ['commit', one.commit],
    ['on', targets.length === 0 ? null : targets.join(', ')],
    ['puts back', undoes === null ? null : `run ${undoes}`],
    ['put back by', undoneBy === null ? null : `run ${undoneBy}`],
    ['output', quoteWord(logs)],
  ];
  const ended = [
    status === null ? '' : ` (status ${String(status)})`,
    durationMs === null ? '' : ` after ${duration(durationMs)}`,
  ];
  return [
    `run ${one.run}: ${outcome}${ended.join('')}`,
    ...about.flatMap(([name, text]) => (text === null ? [] : [neutral(`  ${name.padEnd(11)}  ${text}`, false)])),
  ];
}
