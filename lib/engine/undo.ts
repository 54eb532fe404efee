import { known } from '../model/fact.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import type { Clock, LivePerformer } from '../model/ports.ts';
import { evaluate } from '../model/ref.ts';
import { statusOfFailure, statusOfRun, isRefusal } from '../model/exit-status.ts';
import type { RunOutcome } from '../model/event.ts';
import type { Json } from '../model/json.ts';
import { blocksIn, itemsIn, type Block, type Item, type Step } from '../model/step.ts';
import { Facts, resolveStep } from './facts.ts';
import { eventsOf, passingOf, type Before } from './follow.ts';
import type { At, Certainty, Follower, ItemOf, Undo } from './follower.ts';
import type { Leftover } from './journal.ts';
import type { RunOptions } from './run.ts';
import { Walker } from './walk.ts';

/** A task of a finished run whose changes stand. */
export interface Standing {
  readonly node: PlanNode;
  /** What would put them back, the latest last. */
  readonly undos: Undo[];
  /** The steps that made them, as they were performed, in order. */
  readonly made: readonly Step[];
}

/** A step of an undo, its refs replaced as far as they are known before it begins. */
export interface UndoStep {
  readonly task: string;
  readonly step: Step;
  readonly certainty: Certainty;
}

/**
 * Goes again through what a finished run did, by its plan and journal alone: the tasks of which changes stand, the one
 * that ended first at first. It fails where the journal does not tell what was done.
 */
export async function retrace(
  plan: Plan,
  past: Leftover,
  options: { readonly run: string; readonly clock: Clock },
): Promise<
  { readonly ok: true; readonly standing: readonly Standing[] } | { readonly ok: false; readonly failure: Failure }
> {
  const facts = factsOf(past);
  const standing: Standing[] = [];
  for (const [id, outcome] of past.finished) {
    const node = plan.nodes.find((one) => one.id === id);
    if (node === undefined || outcome !== 'done' || !hasChanges(node.body)) continue;
    const made: Step[] = [];
    const walker = new Walker({
      ...options,
      performer: fromJournal(past),
      follower: retracer(past, made),
      env: node.env,
    });
    const walked = await walker.retrace(node.body, facts);
    // Services that nobody needed any more were stopped then, and what else was not settled was put back with them.
    const over = !walked.ok && walked.failure.reason === 'no-longer-needed';
    if (!walked.ok && !over) return walked;
    const undos = over ? [] : walked.undos;
    if (undos.length > 0 || made.length > 0) standing.push({ node, undos, made });
  }
  return { ok: true, standing };
}

function factsOf(past: Leftover): Facts {
  const facts = new Facts();
  for (const [id, value] of past.facts) facts.set(id, known(value));
  return facts;
}

function hasChanges(body: Block): boolean {
  for (const item of itemsIn(body)) if (item.type === 'change') return true;
  return false;
}

/** Answers what the journal holds, and does nothing at all. */
function fromJournal(past: Leftover): LivePerformer {
  return {
    explores: false,
    perform(step, { iteration }) {
      const key = passingOf(step.id, iteration);
      const value = past.values.get(key);
      if (value !== undefined) return Promise.resolve({ ok: true, fact: known(value) });
      const failure = past.failed.get(key)?.failure ?? { reason: 'cut-off' };
      return Promise.resolve({ ok: false, failure });
    },
    enter: ({ name }) => Promise.resolve({ ok: true, entered: { value: name, leave: () => Promise.resolve() } }),
    serviceEnded: () => Promise.resolve({ reason: 'cut-off' }),
  };
}

/** Follows a walk that only looks back, and notes the steps of changes that were not put back since. */
function retracer(past: Leftover, made: Step[]): Follower {
  const nothing = (): undefined => undefined;
  return {
    step(what: 'started' | 'finished' | 'failed', step: Step, at: At) {
      if (what !== 'finished' || step.effect !== 'changes' || at.change === null) return;
      if (!past.undone.has(passingOf(at.change.id, at.iteration))) made.push(step);
    },
    output: nothing,
    progress: nothing,
    change: nothing,
    waited: nothing,
    replays: true,
    waitedBefore: (id, at) => past.waited.get(passingOf(id, at.iteration)),
    cutOff: () => true,
    settled: () => true,
    settledBefore: () => true,
    confirmed: nothing,
    guardFailed: (id, at) => past.guarded.has(passingOf(id, at.iteration)),
    putBackBefore: (id, at) => past.undoing.get(passingOf(id, at.iteration)),
    mustEnter: () => false,
    scope: nothing,
    undoStarted: () => false,
    deviceUndoes: nothing,
    undoFinished: nothing,
    undoFailed: nothing,
  };
}

/**
 * Steps at files in changes of a cut-off run that are open, and of which nothing is put back yet: so they left the files.
 * Of a change that also runs commands nobody knows what these made of them.
 */
export function openFiles(plan: Plan, past: Leftover): readonly Step[] {
  const facts = factsOf(past);
  const isOpen = ({ id }: ItemOf<'change'>): boolean => past.open.includes(id) && !past.undoing.has(passingOf(id));
  return plan.nodes.flatMap(({ body }) =>
    [...itemsIn(body)].flatMap((item) => {
      if (item.type !== 'change' || !isOpen(item)) return [];
      const made = [...itemsIn(item.do)].flatMap((one) => (isFileStep(one) ? [one] : []));
      if (made.length < item.do.items.length) return [];
      return made.filter(({ id }) => facts.fact(id).known).map((step) => resolveStep(step, facts));
    }),
  );
}

const isFileStep = (item: Item): item is Step =>
  item.type === 'step' && (item.kind === 'write' || item.kind === 'link' || item.kind === 'remove');

/** The changes that an undo would put back, the latest first. */
export function changesOf(undos: readonly Undo[]): readonly Extract<Undo, { readonly change: unknown }>[] {
  return undos.toReversed().flatMap((undo) => ('change' in undo ? [undo] : changesOf(undo.undos)));
}

/** Every step that putting this back may perform, in that order; what is told of it comes after it. */
export function undoSteps({ node, undos }: Standing): readonly UndoStep[] {
  const all = (some: readonly Undo[]): readonly UndoStep[] =>
    some.toReversed().flatMap((undo) => {
      if ('change' in undo) return stepsOf(node.id, undo.change.undo, undo.facts, 'certain');
      const inner = all(undo.undos);
      return 'told' in undo ? [...inner, ...stepsOf(node.id, undo.told.failure, undo.facts, 'certain')] : inner;
    });
  return all(undos);
}

function stepsOf(task: string, block: Block, facts: Facts, certainty: Certainty): readonly UndoStep[] {
  return block.items.flatMap((item): readonly UndoStep[] => {
    if (item.type === 'step') return [{ task, step: resolveStep(item, facts), certainty }];
    if (item.type === 'when') {
      const condition = evaluate(item.condition, facts);
      if (condition.known)
        return stepsOf(task, condition.value === true ? item.then : item.otherwise, facts, certainty);
    }
    if (item.type === 'each') return eachOf(task, item, facts, certainty);
    const inside = item.type === 'within' || item.type === 'parallel' ? certainty : 'conditional';
    return blocksIn(item).flatMap((inner) => stepsOf(task, inner, facts, inside));
  });
}

function eachOf(task: string, item: ItemOf<'each'>, facts: Facts, certainty: Certainty): readonly UndoStep[] {
  const over = evaluate(item.over, facts);
  if (!over.known) return stepsOf(task, item.body, facts, 'repeated');
  return (over.value as readonly Json[]).flatMap((one) => {
    const inner = new Facts(facts);
    inner.set(item.item, known(one));
    return stepsOf(task, item.body, inner, certainty);
  });
}

/** What an undo is performed with: the run that it is, and the one that it puts back. */
export type UndoOptions = Pick<RunOptions, 'run' | 'performer' | 'clock' | 'cancel' | 'emit' | 'line'> & {
  readonly undoes: string;
};

/**
 * Puts back what stands, the task that ended last at first; resolves to the exit status. It halts where something could
 * not be put back: what was done before counts on it. No signal stops it. `before`: what an earlier life of it did.
 */
export async function undoRun(standing: readonly Standing[], options: UndoOptions, before?: Before): Promise<number> {
  const { run, clock, cancel } = options;
  const startedMs = clock.nowMs();
  let begun = before !== undefined;
  const failures: Failure[] = [];
  const emit: UndoOptions['emit'] = (event) => {
    if (event.type === 'undo-started') begun = true;
    if (event.type === 'undo-failed') failures.push(event.failure);
    options.emit(event);
  };
  for (const one of standing.toReversed())
    if (failures.length === 0) await undoTask(one, { ...options, emit }, before ?? null);
  const [failure = null] = failures;
  const outcome = outcomeOf(failure, begun);
  const heard = outcome === 'done' ? cancel.cancelled : null;
  const status = heard === null ? statusOfRun(outcome, failure) : statusOfFailure(heard);
  emit({ type: 'run-finished', run, outcome, status, durationMs: clock.nowMs() - startedMs });
  return status;
}

/** Where nothing was put back at all, everything is as it was, and there is nothing to recover. */
function outcomeOf(failure: Failure | null, begun: boolean): RunOutcome {
  if (failure === null) return 'done';
  return begun ? 'not-put-back' : isRefusal(failure) ? 'refused' : 'failed';
}

async function undoTask({ node, undos }: Standing, options: UndoOptions, before: Before | null): Promise<void> {
  const { run, undoes, performer, clock, emit } = options;
  const startedMs = clock.nowMs();
  emit({ type: 'task-started', task: node.id });
  const follower = eventsOf(options, node.id, before);
  // Prior states were saved, and a device's turn was taken, in the name of the run that is put back.
  const walker = new Walker({ run: undoes, performer, clock, follower, env: node.env });
  const outcome = (await walker.putBack([...undos], { reason: 'undone', by: run })) ? 'done' : 'failed';
  emit({ type: 'task-finished', task: node.id, outcome, durationMs: clock.nowMs() - startedMs });
}
