import type { Fact, Known } from './fact.ts';
import type { Failure } from './failure.ts';
import type { Scope, Step } from './step.ts';

/** Time, as the engine sees it. */
export interface Clock {
  /** Monotonic, in ms. */
  nowMs(): number;
  /** Rests; ends early, without an error, when cancelled. */
  sleep(durationMs: number, cancel: Cancel): Promise<void>;
}

/** A request to stop, which may come at any time; once it came it stays. */
export interface Cancel {
  readonly cancelled: Failure | null;
  /** Calls back once, at once if it came already; the returned function withdraws. */
  onCancel(listener: (why: Failure) => void): () => void;
}

/** How far a step has come, as far as it can be counted. */
export interface StepProgress {
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes';
  readonly ratePerS: number;
  /** Whole seconds; `null`: nobody knows. */
  readonly leftS: number | null;
}

/** What is around a step while it is performed. */
export interface Performing {
  readonly run: string;
  /** The task's environment variables by name, beyond the base list. */
  readonly env: readonly string[];
  readonly cancel: Cancel;
  /** What a command prints, as it prints it. */
  readonly output: (stream: 'stdout' | 'stderr', text: string) => void;
  /** How far it has come, told now and then. */
  readonly progress?: (progress: StepProgress) => void;
  /** Which passes of the repeated blocks around this is, from the outside (`2.1`); empty outside of any. */
  readonly iteration: string;
  /** An undo is under way: nothing but the step's own timeout may cut it short. */
  readonly undoing: boolean;
  /** Of a step that restores: the one whose doing it puts back came to its end, so that something was saved. */
  readonly acted?: boolean;
  /** What became of a block is told: a resumed walk does that, too. */
  readonly afterwards?: boolean;
  /** Inside a dead-man's switch: the change that the step makes, and what puts it back, for the device to keep. */
  readonly armed?: ArmedChange;
}

/** A change as the device must know it before it is made. */
export interface ArmedChange {
  /** One passing of the change. */
  readonly id: string;
  /** In the order in which they are performed; their refs are replaced by values. */
  readonly undo: readonly Step[];
  readonly undone: 'always' | 'unless-done';
}

/** What came of a step. */
export type Performed<F extends Fact = Fact> =
  { readonly ok: true; readonly fact: F } | { readonly ok: false; readonly failure: Failure };

/** A scope that was entered: its value, and the way out, which never fails the run. */
export interface Entered {
  readonly value: string;
  leave(): Promise<void>;
  /**
   * Of a dead-man's switch: what came of it. After a body that failed the device is asked to put back. Where the
   * device cannot be asked it does so by itself, and the failure says that.
   */
  readonly settle?: (
    walked: boolean,
  ) => Promise<
    { readonly ok: true; readonly outcome: SwitchOutcome } | { readonly ok: false; readonly failure: Failure }
  >;
}

/** How a dead-man's switch ended, as the device recorded it; `none`: it was never armed, or put back long ago. */
export type SwitchOutcome =
  | { readonly state: 'confirmed' }
  | { readonly state: 'taken-back'; readonly why: string }
  | { readonly state: 'none' }
  /** The change that could not be put back, and why; what came after it was. */
  | { readonly state: 'stuck'; readonly change: string; readonly failure: Failure };

/**
 * Carries out one step, whose refs are already replaced by values (`step.args` holds none, unless one is unknown).
 * A live performer is a `Performer<Known>`: it cannot answer "unknown".
 */
export interface Performer<F extends Fact = Fact> {
  /** Whether unknown branches are walked to be shown, rather than taken. */
  readonly explores: boolean;
  perform(step: Step, performing: Performing): Promise<Performed<F>>;
  enter(
    scope: Scope,
    performing: Performing,
  ): Promise<{ readonly ok: true; readonly entered: Entered } | { readonly ok: false; readonly failure: Failure }>;
  /** Waits until one of the services that a task started `here` ends for good; its failure. */
  serviceEnded(task: string, performing: Performing): Promise<Failure>;
  /** A secret by name, for live performers only. */
  secret?(name: string): string | undefined;
}

export type LivePerformer = Performer<Known>;

/** Runs in one checkout that make the same outputs do so one after the other. */
export interface Turns {
  /**
   * Waits for a turn on these outputs; what it gives ends the turn, `null` if the cancel came first. `waiting` is told
   * whenever it is not had at once: the holder is empty as long as others are only looking.
   */
  take(
    task: string,
    outputs: readonly string[],
    cancel: Cancel,
    waiting: (holder: string) => void,
  ): Promise<(() => void) | null>;
}

/** sha256 of a text, whole or in pieces, in hexadecimal digits. */
export type Hash = (text: string | Iterable<string>) => string;
