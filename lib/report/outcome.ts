import type { RunEvent, TaskOutcome } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import type { StepProgress } from '../model/ports.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn } from '../model/step.ts';
import { Kept } from './kept.ts';
import { Lines, neutral } from './neutral.ts';
import { progressWords } from './progress.ts';

/** What a task came to so far. */
export interface TaskState {
  readonly task: string;
  state: 'running' | TaskOutcome;
  startedMs: number;
  durationMs: number;
  failure: Failure | null;
  /** The running step's line, or what it printed last; safe to print, without colours. */
  doing: string;
  /** How far the running step has come, where it tells. */
  progress: StepProgress | null;
  /** What its steps that run, failed or were stopped printed last, not yet safe to print. */
  outputs: ReadonlyMap<StepId, Kept>;
  /** Its steps that failed. */
  failures: ReadonlyMap<StepId, Failure>;
}

/** Follows the events of a run: the state that every report for people is made from. */
export class Outcomes {
  readonly tasks = new Map<string, TaskState>();
  readonly notPutBack: { readonly id: StepId; readonly failure: Failure }[] = [];
  /** How many changes were put back. */
  putBack = 0;
  /** What did not get through to somebody who was to be told: `slack: it answered 500`. */
  readonly untold = new Set<string>();
  /** A signal came while it went on. */
  stopping: Extract<RunEvent, { readonly type: 'run-stopping' }> | null = null;
  readonly #taskOf = new Map<StepId, string>();
  readonly #telling = new Set<StepId>();
  readonly #ending = new Set<StepId>();
  readonly #lines = new Lines();
  finished: Extract<RunEvent, { readonly type: 'run-finished' }> | null = null;

  /** Takes an event in; returns the lines of output that it completed, as they came: see `neutral`. */
  add(event: RunEvent, nowMs: number): readonly string[] {
    switch (event.type) {
      case 'task-started':
        this.tasks.set(event.task, begun(event.task, nowMs));
        return [];
      case 'task-waits': {
        const task = this.tasks.get(event.task);
        if (task) task.doing = `waits for ${event.holder}`;
        return [];
      }
      case 'step-started': {
        this.#taskOf.set(event.id, event.task);
        if (event.effect === 'tells') this.#telling.add(event.id);
        const task = this.tasks.get(event.task);
        if (task) task.outputs = without(task.outputs, event.id);
        if (task) [task.doing, task.progress] = [event.line, null];
        return [];
      }
      case 'step-output':
        return this.#output(event.id, this.#lines.add(`${event.stream} ${event.id}`, event.text));
      case 'step-progress': {
        const task = this.tasks.get(this.taskOf(event.id));
        if (task) [task.doing, task.progress] = [progressWords(event), event];
        return [];
      }
      case 'step-finished':
      case 'step-failed':
        return this.#stepEnded(event);
      case 'undo-started':
        if (event.because.reason === 'no-longer-needed') this.#ending.add(event.id);
        return [];
      case 'undo-step-started':
        this.#puttingBack(event.id, event.line);
        return [];
      case 'device-undoes':
        this.#puttingBack(event.id, `${event.place} puts back`);
        return [];
      case 'undo-finished':
        // The end of a service that did its work puts nothing back.
        if (!this.#ending.has(event.id)) this.putBack += 1;
        return [];
      case 'undo-failed':
        this.notPutBack.push({ id: event.id, failure: event.failure });
        return [];
      case 'task-finished':
        this.#taskEnded(event, nowMs);
        return [];
      case 'run-stopping':
        this.stopping = event;
        return [];
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

  #puttingBack(id: StepId, what: string): void {
    const task = this.tasks.get(this.taskOf(id));
    if (task) [task.doing, task.progress] = [`↩ ${what}`, null];
  }

  #stepEnded(event: Extract<RunEvent, { readonly type: 'step-finished' | 'step-failed' }>): readonly string[] {
    const rest = ['stdout', 'stderr'].flatMap((stream) => this.#lines.end(`${stream} ${event.id}`));
    const lines = this.#output(event.id, rest);
    const task = this.tasks.get(this.taskOf(event.id));
    if (event.type === 'step-failed') {
      if (task) task.failures = new Map(task.failures).set(event.id, event.failure);
    } else {
      if (task) task.outputs = without(task.outputs, event.id);
      this.#told(event.id, event.value);
    }
    return lines;
  }

  #taskEnded(event: Extract<RunEvent, { readonly type: 'task-finished' }>, nowMs: number): void {
    const task = this.tasks.get(event.task) ?? begun(event.task, nowMs);
    this.tasks.set(event.task, task);
    task.state = event.outcome;
    task.durationMs = event.durationMs;
    task.failure = event.failure ?? null;
    if (event.failure === undefined) task.outputs = NONE;
  }

  #told(id: StepId, value: Json): void {
    if (!this.#telling.has(id)) return;
    const { unsent } = value as { readonly unsent: readonly { readonly channel: string; readonly why: string }[] };
    for (const { channel, why } of unsent) this.untold.add(`${channel}: ${why}`);
  }

  #output(id: StepId, lines: readonly string[]): readonly string[] {
    const task = this.tasks.get(this.taskOf(id));
    if (task === undefined || lines.length === 0) return lines;
    const kept = task.outputs.get(id) ?? new Kept();
    if (!task.outputs.has(id)) task.outputs = new Map(task.outputs).set(id, kept);
    kept.add(lines);
    const last = lines.findLast((line) => line.trim() !== '');
    if (last !== undefined) task.doing = neutral(last, false);
    return lines;
  }
}

const begun = (task: string, startedMs: number): TaskState => ({
  task,
  state: 'running',
  startedMs,
  durationMs: 0,
  failure: null,
  doing: '',
  progress: null,
  outputs: NONE,
  failures: NONE,
});

/** Most tasks print nothing and fail nowhere: of ten thousand, each would hold two maps. */
const NONE = new Map<StepId, never>();

function without<T>(all: ReadonlyMap<StepId, T>, id: StepId): ReadonlyMap<StepId, T> {
  if (!all.has(id)) return all;
  const rest = new Map(all);
  rest.delete(id);
  return rest;
}

/** The step that made a task fail or stop: the one with the task's own failure, otherwise the last that failed. */
export function failedStep({ failure, failures }: TaskState): StepId | null {
  const all = [...failures];
  return (all.find(([, one]) => one === failure) ?? all.at(-1))?.[0] ?? null;
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
