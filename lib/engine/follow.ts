import type { RunEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { Step } from '../model/step.ts';
import type { At, Follower } from './follower.ts';

interface Sink {
  readonly emit: (event: RunEvent) => void;
  readonly line: (step: Step) => string;
}

/** What an earlier life of the run already did, by passing. */
export interface Before {
  readonly undone: ReadonlySet<string>;
  /** Changes of which the undo began, and why: the walk did not get past them. */
  readonly undoing: ReadonlyMap<string, Failure>;
  readonly values: ReadonlyMap<string, Json>;
  readonly waited: ReadonlyMap<string, Json>;
  /** Guards of which the body failed. */
  readonly guarded: ReadonlySet<string>;
  /** Tasks, by node; one joins them when a device says that its switch was confirmed. */
  readonly settled: Set<string>;
  /** Ids of changes that were begun and neither put back nor settled. */
  readonly open: readonly string[];
}

/** Names one passing of one step or block: what the journal knows it by. */
export const passingOf = (id: string, iteration = ''): string => `${id}#${iteration}`;

function splitPassing(passing: string): readonly [id: string, iteration: string] {
  const hash = passing.lastIndexOf('#');
  return [passing.slice(0, hash), passing.slice(hash + 1)];
}

/**
 * Whether a resumed walk does what its earlier life did not come to: in a task that had settled, and there only
 * outside of what was put back since.
 */
export function goesOn(past: Before, id: string, iteration: string): boolean {
  if (!past.settled.has(id.slice(0, id.lastIndexOf('/')))) return false;
  return ![...past.undoing.keys(), ...past.guarded].some((outer) => isWithin(outer, id, iteration));
}

/** Whether a step or block lies in another, in the same passing, but for what a guard does instead of its body. */
function isWithin(outer: string, id: string, iteration: string): boolean {
  const [around, pass] = splitPassing(outer);
  return (
    id.startsWith(`${around}.`) &&
    !id.startsWith(`${around}.recover.`) &&
    (pass === '' || `${iteration}.`.startsWith(`${pass}.`))
  );
}

/** Tells a walk as events. Undo steps are `step-undone` once they happened, never steps of their own. */
export function eventsOf({ emit, line }: Sink, task: string, past: Before | null): Follower {
  const pass = (at: At): { readonly iteration?: string } => (at.iteration === '' ? {} : { iteration: at.iteration });
  return {
    replays: past !== null,
    step(what: 'started' | 'finished' | 'failed', step: Step, at: At, more?: Json | Failure) {
      if (at.undoing) {
        if (what === 'started') emit({ type: 'undo-step-started', id: step.id, line: line(step) });
        if (what === 'finished') emit({ type: 'step-undone', id: step.id, line: line(step) });
        return;
      }
      if (past?.values.has(passingOf(step.id, at.iteration))) return;
      if (what === 'started')
        emit({
          type: 'step-started',
          id: step.id,
          task,
          place: step.place,
          effect: step.effect,
          line: line(step),
          ...pass(at),
        });
      else if (what === 'finished') emit({ type: 'step-finished', id: step.id, value: more as Json, ...pass(at) });
      else emit({ type: 'step-failed', id: step.id, failure: more as Failure, ...pass(at) });
    },
    output: (step, stream, text) => emit({ type: 'step-output', id: step.id, stream, text }),
    progress: (step, progress) => emit({ type: 'step-progress', id: step.id, ...progress }),
    change: (what, id, at) =>
      emit({ type: what === 'started' ? 'change-started' : 'change-finished', id, ...pass(at) }),
    waited: (id, at, value) => emit({ type: 'wait-finished', id, value, ...pass(at) }),
    waitedBefore: (id, at) => past?.waited.get(passingOf(id, at.iteration)),
    cutOff: (id, at) => past !== null && !goesOn(past, id, at.iteration),
    settled(id) {
      if (past) return past.settled.has(task);
      emit({ type: 'settled', id, task });
      return true;
    },
    settledBefore: () => past?.settled.has(task) === true,
    confirmed(id) {
      past?.settled.add(task);
      emit({ type: 'settled', id, task });
    },
    guardFailed(id, at, because) {
      const key = passingOf(id, at.iteration);
      // Nothing says that an earlier life came to what the guard does instead; or its body had succeeded, and a later
      // failure, which this guard does not catch, put it back.
      const putBack = (one: string): boolean => isWithin(key, ...splitPassing(one));
      if (past && !past.guarded.has(key) && (because.reason === 'cut-off' || [...past.undoing.keys()].some(putBack)))
        return false;
      emit({ type: 'guard-failed', id, ...pass(at) });
      return true;
    },
    putBackBefore: (id, at) => past?.undoing.get(passingOf(id, at.iteration)),
    mustEnter: (id) => past !== null && (past.settled.has(task) || past.open.some((open) => open.startsWith(`${id}.`))),
    scope: (what, id, scope) => emit({ type: what === 'entered' ? 'scope-entered' : 'scope-left', id, scope }),
    undoStarted(id, at, because) {
      if (past?.undone.has(passingOf(id, at.iteration))) return false;
      emit({ type: 'undo-started', id, because, ...pass(at) });
      return true;
    },
    deviceUndoes: (id, place) => emit({ type: 'device-undoes', id, place }),
    undoFinished: (id, at) => emit({ type: 'undo-finished', id, ...pass(at) }),
    undoFailed: (id, failure) => emit({ type: 'undo-failed', id, failure }),
  };
}
