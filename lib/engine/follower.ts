import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { ArmedChange, Cancel, StepProgress } from '../model/ports.ts';
import type { StepId } from '../model/ref.ts';
import type { Item, Place, Scope, Step } from '../model/step.ts';
import type { Facts } from './facts.ts';

/** How sure it is that a step happens: on success every certain one was performed. */
export type Certainty = 'certain' | 'conditional' | 'repeated';

export type Walked = { readonly ok: true } | { readonly ok: false; readonly failure: Failure };

export type ItemOf<T extends Item['type']> = Extract<Item, { readonly type: T }>;

/** One change that may have to be put back, with the facts that were known then; or several under a scope. */
export type Undo =
  | { readonly change: ItemOf<'change'>; readonly facts: Facts; readonly at: At }
  | { readonly scope: ItemOf<'within'>; readonly facts: Facts; readonly at: At; readonly undos: Undo[] }
  | { readonly told: ItemOf<'notifying'>; readonly facts: Facts; readonly at: At; readonly undos: Undo[] };

/** Where the walk is. */
export interface At {
  readonly certainty: Certainty;
  /** The change around, if any. */
  readonly change: ItemOf<'change'> | null;
  readonly parent: StepId | null;
  /** Which passes of the repeated blocks around, from the outside: `2.1`; empty outside of any. */
  readonly iteration: string;
  readonly cancel: Cancel;
  readonly undoing: boolean;
  /** What became of a block is told: no cancel cuts that short, and a resumed walk does it. */
  readonly afterwards?: boolean;
  /** The undos of the scopes around, outermost first; a change adds to the last. */
  readonly undos: readonly Undo[][];
  /** Inside a dead-man's switch only the device puts back; a walk that only shows has not armed it. */
  readonly armed: boolean;
  /** Inside a dead-man's switch: after how long without a word from here, in ms, the device puts back. */
  readonly leaseMs: number | null;
  /** The change that is being made there. */
  readonly armedChange?: ArmedChange;
}

/** The undos of the nearest scope around. */
export function innermost(at: At): Undo[] {
  return at.undos[at.undos.length - 1] as Undo[];
}

/** The top of a task. */
export function topOf(undos: Undo[], cancel: Cancel): At {
  return {
    certainty: 'certain',
    change: null,
    parent: null,
    iteration: '',
    cancel,
    undoing: false,
    undos: [undos],
    armed: false,
    leaseMs: null,
  };
}

/** What the walk tells to whoever follows it. */
export interface Follower {
  /** An earlier life of the run is gone through again: no cancel ends that before its changes are found. */
  readonly replays: boolean;
  step(what: 'started', step: Step, at: At): void;
  step(what: 'finished', step: Step, at: At, value: Json): void;
  step(what: 'failed', step: Step, at: At, failure: Failure): void;
  output(step: Step, stream: 'stdout' | 'stderr', text: string): void;
  progress(step: Step, progress: StepProgress): void;
  change(what: 'started' | 'finished', id: StepId, at: At): void;
  /** A wait that is over: its value stands for all of its passes. */
  waited(id: StepId, at: At, value: Json): void;
  /** What a wait came to in an earlier life of the run. */
  waitedBefore(id: StepId, at: At): Json | undefined;
  /** The earlier life ended before this, and it is not made up for. */
  cutOff(id: StepId, at: At): boolean;
  /** False: the earlier life did not come to this. */
  settled(id: StepId): boolean;
  /** The earlier life settled, or a switch of its was confirmed. */
  settledBefore(): boolean;
  /** A device confirmed a switch: the task has settled, whatever the earlier life came to know of it. */
  confirmed(id: StepId): void;
  /** False: the earlier life ended inside the guard's body, and what it would do instead is not done. */
  guardFailed(id: StepId, at: At, because: Failure): boolean;
  /** Why the earlier life began to put this change back, if it did. */
  putBackBefore(id: StepId, at: At): Failure | undefined;
  /** The earlier life left something inside this scope that is to be put back, or finished. */
  mustEnter(id: StepId): boolean;
  scope(what: 'entered' | 'left', id: StepId, scope: Scope): void;
  /** False: this change was put back by an earlier life of the run. */
  undoStarted(id: StepId, at: At, because: Failure): boolean;
  /** The device is asked to put back what its switch holds. */
  deviceUndoes(id: StepId, place: Place): void;
  undoFinished(id: StepId, at: At): void;
  undoFailed(id: StepId, failure: Failure): void;
}
