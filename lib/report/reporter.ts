import type { RunEvent } from '../model/event.ts';

/** Tells people or programs what happens in a run. Secrets are masked before they get here. */
export interface Reporter {
  event(event: RunEvent): void;
  /** Writes what is left, and gives the terminal back. */
  close(): Promise<void>;
}

/** Where a reporter writes. */
export type Write = (text: string) => void;
