import { wasRecovered, type JournalLine } from '../engine/journal.ts';
import { Facts, resolveStep } from '../engine/facts.ts';
import type { RunOutcome, TaskOutcome } from '../model/event.ts';
import { known } from '../model/fact.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn, type Effect, type Item, type Place } from '../model/step.ts';
import { stepLine } from './line.ts';

/** A kept run: what was saved before it began, and its journal. */
export interface ToldRun {
  readonly run: string;
  /** ISO time at which it began. */
  readonly at: string;
  /** `user@host`, or the user alone. */
  readonly who: string;
  readonly commandLine: string | null;
  readonly commit: string | null;
  readonly targets: readonly string[];
  readonly plan: Plan;
  readonly lines: readonly JournalLine[];
  /** The runner is at work on it now. */
  readonly alive: boolean;
}

/** From when to when, in ms since the run began. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface StoryStep extends Span {
  readonly id: StepId;
  /** Which pass of the repeated blocks around; empty outside of any. */
  readonly iteration: string;
  readonly place: Place;
  readonly effect: Effect;
  readonly line: string;
  readonly outcome: 'done' | 'failed' | 'unfinished';
  readonly failure: Failure | null;
  /** How it is put back; told at the last step of each change. */
  readonly undo: readonly string[];
}

/** A change that was put back, or was to be. */
export interface StoryUndo extends Span {
  readonly id: StepId;
  readonly lines: readonly string[];
  readonly failures: readonly Failure[];
  /** It is as it was before the change. */
  readonly isDone: boolean;
}

export interface StoryTask extends Span {
  readonly task: string;
  readonly needs: readonly string[];
  readonly outcome: TaskOutcome | 'not run' | 'unfinished';
  readonly failure: Failure | null;
  readonly steps: readonly StoryStep[];
  readonly undos: readonly StoryUndo[];
}

/** A run as it went: what its journal tells, set on one clock. */
export interface Story extends Omit<ToldRun, 'lines' | 'plan' | 'alive'> {
  readonly goals: readonly string[];
  readonly digest: string;
  /** `recovered`: cut off, and put back, or finished where it had settled, by `recover`. */
  readonly outcome: RunOutcome | 'running' | 'cut off' | 'recovered';
  readonly status: number | null;
  readonly durationMs: number;
  /** In the order of the plan: needs first. */
  readonly tasks: readonly StoryTask[];
}

type Open<T> = { -readonly [K in keyof T]: T[K] };
type OpenTask = Open<Omit<StoryTask, 'steps' | 'undos'>> & { steps: Open<StoryStep>[]; undos: OpenUndo[] };
type OpenUndo = Open<Omit<StoryUndo, 'lines' | 'failures'>> & { lines: string[]; failures: Failure[] };

/** Tells a run from its journal. A clock that was set back meanwhile stands still here until it is past that again. */
export function storyOf({ lines, plan, alive, ...about }: ToldRun): Story {
  const tasks = new Map(plan.nodes.map((node) => [node.id, notRun(node)]));
  const teller = new Teller(tasks);
  const begunMs = Date.parse(about.at);
  let nowMs = 0;
  for (const line of lines) {
    nowMs = Math.max(nowMs, Date.parse(line.at) - begunMs || 0);
    teller.tell(line, nowMs);
  }
  teller.end(nowMs);
  tellUndos(plan, lines, tasks);
  const end = lines.findLast((line) => line.type === 'run-finished');
  return {
    ...about,
    goals: plan.goals,
    digest: plan.digest,
    outcome: wasRecovered(lines) ? 'recovered' : (end?.outcome ?? (alive ? 'running' : 'cut off')),
    status: end?.status ?? null,
    durationMs: nowMs,
    tasks: [...tasks.values()],
  };
}

const notRun = ({ id, needs }: PlanNode): OpenTask => ({
  task: id,
  needs: [...new Set(needs)],
  outcome: 'not run',
  failure: null,
  fromMs: 0,
  toMs: 0,
  steps: [],
  undos: [],
});

class Teller {
  readonly #tasks: ReadonlyMap<string, OpenTask>;
  readonly #running = new Map<string, Open<StoryStep>>();
  readonly #undoing = new Map<StepId, OpenUndo>();

  constructor(tasks: ReadonlyMap<string, OpenTask>) {
    this.#tasks = tasks;
  }

  tell(line: JournalLine, nowMs: number): void {
    switch (line.type) {
      case 'task-started':
        return void Object.assign(this.#tasks.get(line.task) ?? {}, { fromMs: nowMs, outcome: 'unfinished' });
      case 'task-finished': {
        const { outcome, failure = null } = line;
        return void Object.assign(this.#tasks.get(line.task) ?? {}, { toMs: nowMs, outcome, failure });
      }
      case 'step-started':
        return this.#started(line, nowMs);
      case 'step-finished':
        return this.#ended(line, { outcome: 'done', failure: null }, nowMs);
      case 'step-failed':
        return this.#ended(line, { outcome: 'failed', failure: line.failure }, nowMs);
      case 'undo-started': {
        const undo: OpenUndo = { id: line.id, fromMs: nowMs, toMs: nowMs, lines: [], failures: [], isDone: false };
        this.#undoing.set(line.id, undo);
        return void this.#tasks.get(taskOf(line.id))?.undos.push(undo);
      }
      case 'step-undone':
        return this.#undone(line.id, nowMs, (undo) => undo.lines.push(line.line));
      case 'undo-failed':
        return this.#undone(line.id, nowMs, (undo) => undo.failures.push(line.failure));
      case 'undo-finished':
        return this.#undone(line.id, nowMs, (undo) => (undo.isDone = true));
      default:
    }
  }

  /** What never ended lasts until the journal does. */
  end(nowMs: number): void {
    for (const step of this.#running.values()) step.toMs = nowMs;
    for (const task of this.#tasks.values()) if (task.outcome === 'unfinished') task.toMs = nowMs;
  }

  #started(line: Extract<JournalLine, { type: 'step-started' }>, nowMs: number): void {
    const { id, iteration = '', place, effect, line: text } = line;
    const step: Open<StoryStep> = {
      id,
      iteration,
      place,
      effect,
      line: text,
      outcome: 'unfinished',
      failure: null,
      undo: [],
      fromMs: nowMs,
      toMs: nowMs,
    };
    this.#running.set(`${id}#${iteration}`, step);
    this.#tasks.get(line.task)?.steps.push(step);
  }

  #ended(
    { id, iteration = '' }: { readonly id: StepId; readonly iteration?: string },
    how: Pick<StoryStep, 'outcome' | 'failure'>,
    nowMs: number,
  ): void {
    const step = this.#running.get(`${id}#${iteration}`);
    if (step) Object.assign(step, how, { toMs: nowMs });
    this.#running.delete(`${id}#${iteration}`);
  }

  /** The undo of a change, by its own id or by that of one of its steps (`change.undo.1`). */
  #undone(id: StepId, nowMs: number, what: (undo: OpenUndo) => void): void {
    const within = (change: StepId): boolean => id === change || id.startsWith(`${change}.`);
    const undo = [...this.#undoing.values()].findLast((one) => within(one.id));
    if (undo === undefined) return;
    what(undo);
    undo.toMs = nowMs;
  }
}

/** The node that a step or block stands in. */
export const taskOf = (id: StepId): string => id.slice(0, Math.max(0, id.lastIndexOf('/')));

/** Writes down beside the last performed step of each change how that is put back, with what is known by now. */
function tellUndos(plan: Plan, lines: readonly JournalLine[], tasks: ReadonlyMap<string, OpenTask>): void {
  const facts = new Facts();
  for (const line of lines)
    if (line.type === 'step-finished' && line.iteration === undefined) facts.set(line.id, known(line.value));
  for (const { id, body } of plan.nodes) {
    const steps = new Map(tasks.get(id)?.steps.map((step) => [step.id, step]));
    for (const item of itemsIn(body)) {
      if (item.type !== 'change') continue;
      const last = [...itemsIn(item.do)].findLast((inner) => steps.has(inner.id));
      const step = last && steps.get(last.id);
      if (step) step.undo = [...step.undo, ...undoOf(item, facts)];
    }
  }
}

function undoOf(change: Extract<Item, { readonly type: 'change' }>, facts: Facts): readonly string[] {
  return [...itemsIn(change.undo)].flatMap((item) =>
    item.type === 'step' ? [stepLine(resolveStep(item, facts))] : [],
  );
}
