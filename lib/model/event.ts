import type { Check } from './check.ts';
import type { Failure } from './failure.ts';
import type { Json } from './json.ts';
import type { StepProgress } from './ports.ts';
import type { StepId } from './ref.ts';
import type { Effect, Place, Scope } from './step.ts';

export type TaskOutcome = 'done' | 'fresh' | 'restored' | 'failed' | 'cancelled';
export type RunOutcome = 'done' | 'failed' | 'refused' | 'not-put-back' | 'cancelled';

/** Which pass of the repeated blocks around, from the outside: `2.1`; absent outside of any. */
interface Pass {
  readonly id: StepId;
  readonly iteration?: string;
}

/** What happens in a run, told before it happens (`-started`) or once it did; the journal holds the same, with times. */
export type RunEvent =
  | {
      readonly type: 'run-started';
      readonly run: string;
      readonly digest: string;
      readonly goals: readonly string[];
      readonly pid: number;
    }
  | { readonly type: 'run-resumed'; readonly run: string; readonly pid: number }
  /** A signal came while it went on; only told, not journaled. An undo goes on to its end. */
  | { readonly type: 'run-stopping'; readonly goesOn: boolean }
  | { readonly type: 'task-started'; readonly task: string }
  /** Another run makes outputs that overlap: it waits for its turn. */
  | { readonly type: 'task-waits'; readonly task: string; readonly holder: string }
  /** Whether it runs, and why. */
  | { readonly type: 'task-checked'; readonly task: string; readonly check: Check }
  /** A service, or all that a task stands for, is up; only told, not journaled. */
  | { readonly type: 'task-up'; readonly task: string }
  /** It failed, was put back, and begins anew. */
  | { readonly type: 'task-retried'; readonly task: string }
  /** What a fresh or restored task yielded when it last ran. */
  | { readonly type: 'task-facts'; readonly task: string; readonly facts: { readonly [id: StepId]: Json } }
  | ({
      readonly type: 'step-started';
      readonly task: string;
      readonly place: Place;
      readonly effect: Effect;
      readonly line: string;
    } & Pass)
  | { readonly type: 'step-output'; readonly id: StepId; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  /** Told now and then while a step goes on that can be counted. */
  | ({ readonly type: 'step-progress'; readonly id: StepId } & StepProgress)
  | ({ readonly type: 'step-finished'; readonly value: Json } & Pass)
  | ({ readonly type: 'step-failed'; readonly failure: Failure } & Pass)
  | ({ readonly type: 'wait-finished'; readonly value: Json } & Pass)
  | ({ readonly type: 'change-started' } & Pass)
  | ({ readonly type: 'change-finished' } & Pass)
  /** Its body failed and was put back; from here on what it does instead counts. */
  | ({ readonly type: 'guard-failed' } & Pass)
  | { readonly type: 'settled'; readonly id: StepId; readonly task: string }
  | { readonly type: 'scope-entered'; readonly id: StepId; readonly scope: Scope }
  | { readonly type: 'scope-left'; readonly id: StepId; readonly scope: Scope }
  | ({ readonly type: 'undo-started'; readonly because: Failure } & Pass)
  /** A step that puts back begins; only told, not journaled. */
  | { readonly type: 'undo-step-started'; readonly id: StepId; readonly line: string }
  /** A device begins to put back by itself what its switch holds; only told, not journaled. */
  | { readonly type: 'device-undoes'; readonly id: StepId; readonly place: Place }
  | { readonly type: 'step-undone'; readonly id: StepId; readonly line: string }
  | ({ readonly type: 'undo-finished' } & Pass)
  | { readonly type: 'undo-failed'; readonly id: StepId; readonly failure: Failure }
  | {
      readonly type: 'task-finished';
      readonly task: string;
      readonly outcome: TaskOutcome;
      readonly durationMs: number;
      readonly failure?: Failure;
    }
  | {
      readonly type: 'run-finished';
      readonly run: string;
      readonly outcome: RunOutcome;
      readonly status: number;
      readonly durationMs: number;
    };
