import type { RunEvent } from '../model/event.ts';
import type { StepId } from '../model/ref.ts';

/** Tells people or programs what happens in a run. Secrets are masked before they get here. */
export interface Reporter {
  event(event: RunEvent): void;
  /** Writes what is left, and gives the terminal back. */
  close(): Promise<void>;
}

/** Where a reporter writes. */
export type Write = (text: string) => void;

/** What reports for people tell beyond the events. */
export interface Around {
  /** The file that keeps the output of a step, as a path to type; `null` where nothing is kept. */
  readonly logOf: (step: StepId) => string | null;
  /** What stands before a task on the command line: `npm run task`. */
  readonly program: () => string;
  /** What followed `--` on the command line. */
  readonly rest: readonly string[];
  /** How long a task took when it last ran to its end, in ms. */
  readonly lastMs: (task: string) => number | undefined;
}
