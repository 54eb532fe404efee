import type { RunEvent, TaskOutcome } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn } from '../model/step.ts';
import { paintWith, type Paint } from './colors.ts';
import { explainFailure, messageLines, tailOf } from './explain.ts';
import { Lines, neutral } from './neutral.ts';
import { progressWords } from './progress.ts';
import { quoteWord } from './quote.ts';

/** Lines of a task's output that are kept, to be shown again should it fail. */
const MAX_TAIL = 200;

/** Characters of one kept line. */
const MAX_KEPT_LINE = 2_000;

/** What a task came to so far. */
export interface TaskState {
  readonly task: string;
  state: 'running' | TaskOutcome;
  startedMs: number;
  durationMs: number;
  failure: Failure | null;
  /** The running step's line, or what it printed last. */
  doing: string;
  readonly tail: string[];
}

/** Follows the events of a run: the state that every report for people is made from. */
export class Outcomes {
  readonly tasks = new Map<string, TaskState>();
  readonly notPutBack: { readonly id: StepId; readonly failure: Failure }[] = [];
  readonly undone: string[] = [];
  /** What did not get through to somebody who was to be told: `slack: it answered 500`. */
  readonly untold = new Set<string>();
  readonly #taskOf = new Map<StepId, string>();
  readonly #telling = new Set<StepId>();
  readonly #ending = new Set<StepId>();
  readonly #lines = new Lines();
  readonly #color: boolean;
  finished: Extract<RunEvent, { readonly type: 'run-finished' }> | null = null;

  constructor(color: boolean) {
    this.#color = color;
  }

  /** Takes an event in; returns the lines of output that it completed, safe to print. */
  add(event: RunEvent, nowMs: number): readonly string[] {
    switch (event.type) {
      case 'task-started':
        this.tasks.set(event.task, {
          task: event.task,
          state: 'running',
          startedMs: nowMs,
          durationMs: 0,
          failure: null,
          doing: '',
          tail: [],
        });
        return [];
      case 'step-started': {
        this.#taskOf.set(event.id, event.task);
        if (event.effect === 'tells') this.#telling.add(event.id);
        const task = this.tasks.get(event.task);
        if (task) [task.doing, task.tail.length] = [event.line, 0];
        return [];
      }
      case 'step-output':
        return this.#output(event.id, this.#lines.add(`${event.stream} ${event.id}`, event.text));
      case 'step-progress': {
        const task = this.tasks.get(this.taskOf(event.id));
        if (task) task.doing = progressWords(event);
        return [];
      }
      case 'step-finished':
      case 'step-failed':
        if (event.type === 'step-finished') this.#told(event.id, event.value);
        return this.#output(
          event.id,
          ['stdout', 'stderr'].flatMap((stream) => this.#lines.end(`${stream} ${event.id}`)),
        );
      case 'undo-started':
        if (event.because.reason === 'no-longer-needed') this.#ending.add(event.id);
        return [];
      case 'step-undone':
        // The end of a service that did its work puts nothing back.
        if (!this.#ending.has(event.id.replace(/\.undo\..*$/, ''))) this.undone.push(event.line);
        return [];
      case 'undo-failed':
        this.notPutBack.push({ id: event.id, failure: event.failure });
        return [];
      case 'task-finished': {
        const task = this.tasks.get(event.task) ?? { task: event.task, startedMs: nowMs, doing: '', tail: [] };
        this.tasks.set(event.task, {
          ...task,
          state: event.outcome,
          durationMs: event.durationMs,
          failure: event.failure ?? null,
        });
        return [];
      }
      case 'run-finished':
        this.finished = event;
        return [];
      default:
        return [];
    }
  }

  /** The task that a step stands in. */
  taskOf(id: StepId): string {
    return this.#taskOf.get(id) ?? id.slice(0, Math.max(0, id.lastIndexOf('/')));
  }

  #told(id: StepId, value: Json): void {
    if (!this.#telling.has(id)) return;
    const { unsent } = value as { readonly unsent: readonly { readonly channel: string; readonly why: string }[] };
    for (const { channel, why } of unsent) this.untold.add(`${channel}: ${why}`);
  }

  #output(id: StepId, raw: readonly string[]): readonly string[] {
    const lines = raw.map((line) => neutral(line, this.#color));
    const task = this.tasks.get(this.taskOf(id));
    if (task === undefined || lines.length === 0) return lines;
    task.tail.push(...lines.map((line) => line.slice(0, MAX_KEPT_LINE)));
    if (task.tail.length > MAX_TAIL) task.tail.splice(0, task.tail.length - MAX_TAIL);
    task.doing = lines.findLast((line) => line.trim() !== '') ?? task.doing;
    return lines;
  }
}

/** What stands at the end of a report for people: failed tasks with their output last and whole, what is left, the sum. */
export function epilogue(
  outcomes: Outcomes,
  plan: Plan,
  options: { readonly color: boolean; readonly alreadyShown?: string | null },
): readonly string[] {
  const paint = paintWith(options.color);
  const failed = [...outcomes.tasks.values()].filter(({ failure, state }) => failure !== null && state === 'failed');
  const cancelled = [...outcomes.tasks.values()].find(
    ({ failure, state }) => failure !== null && state === 'cancelled',
  );
  return [
    ...failed.flatMap((task) => failedLines(task, plan, paint, task.task !== options.alreadyShown, options.color)),
    ...(failed.length === 0 && cancelled?.failure
      ? [`${paint('yellow', `${cancelled.task} stopped:`)} ${messageLines(cancelled.failure).join('; ')}`]
      : []),
    ...outcomes.notPutBack.map(
      ({ id, failure }) =>
        `${paint('red', `NOT PUT BACK: ${id}:`)} ${messageLines(failure).join('; ')}; finish it with: recover`,
    ),
    ...(outcomes.undone.length > 0 && outcomes.notPutBack.length === 0
      ? [`put back: ${String(outcomes.undone.length)} step${outcomes.undone.length === 1 ? '' : 's'}`]
      : []),
    ...[...outcomes.untold].map((what) => `${paint('yellow', 'not everybody was told:')} ${what}`),
    summary(outcomes, plan, paint),
  ];
}

function failedLines(
  { task, failure, tail }: TaskState,
  plan: Plan,
  paint: Paint,
  withOutput: boolean,
  color: boolean,
): string[] {
  if (failure === null) return [];
  const { next } = explainFailure(failure);
  const [message = '', ...more] = messageLines(failure);
  const output = tail.length > 0 ? tail : tailOf(failure).map((line) => neutral(line, color));
  return [
    ...(withOutput && output.length > 0
      ? [paint('dim', `── output of ${task} ──`), ...output, paint('dim', '──')]
      : []),
    `${paint('red', `${task} failed:`)} ${message}`,
    ...more.map((line) => `  ${line}`),
    `  ${neutral(next, false)}`,
    `  only this task again: ${rerun(task, plan)}`,
  ];
}

/** The command that runs one node of the plan again. */
function rerun(id: string, plan: Plan): string {
  const node = plan.nodes.find((one) => one.id === id);
  if (node === undefined) return `npm run task ${quoteWord(id.replace(/\(.*$/, ''))}`;
  // The id names the params that are not at their defaults.
  const params = Object.entries(node.params).filter(([name]) => new RegExp(`[(,]${name}=`).test(id));
  const flags = params.flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : [flag, typeof value === 'object' ? 'VALUE' : quoteWord(String(value))];
  });
  return ['npm run task', node.task, ...(flags.length === 0 ? [] : ['--', ...flags])].join(' ');
}

/** `3 done · 1 fresh · 1 failed · 2 not run · 4.2 s`. */
function summary(outcomes: Outcomes, plan: Plan, paint: Paint): string {
  const states = [...outcomes.tasks.values()].map(({ state }) => state);
  const count = (state: TaskState['state']): number => states.filter((one) => one === state).length;
  const notRun = plan.nodes.length - states.length;
  const parts = (['done', 'fresh', 'restored', 'failed', 'cancelled'] as const).flatMap((state) =>
    count(state) === 0 ? [] : [`${String(count(state))} ${state}`],
  );
  if (notRun > 0) parts.push(`${String(notRun)} not run`);
  if (outcomes.finished) parts.push(duration(outcomes.finished.durationMs));
  return paint(outcomes.finished?.outcome === 'done' ? 'green' : 'red', parts.join(' · '));
}

/** `0.3 s`, `12 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${String(seconds)} s` : `${String(Math.floor(seconds / 60))} min ${String(seconds % 60)} s`;
}

/** Whether a live view would stand in the way: a plan that keeps services up, or asks in the terminal. */
export function wantsWholeTerminal(plan: Plan): boolean {
  return plan.nodes.some(({ body }) => {
    for (const item of itemsIn(body)) {
      if (item.type === 'hold') return true;
      if (item.type === 'step' && (item.kind === 'run' || item.kind === 'shell') && item.args.stdin === 'terminal')
        return true;
    }
    return false;
  });
}
