import type { Leftover } from '../engine/journal.ts';
import type { KeptRun } from './runs.ts';

/** A run that was cut off, as `status --json` tells it. */
export interface CutOff {
  readonly run: string;
  readonly goals: readonly string[];
  /** What it left, in words. */
  readonly left: string;
  /** The verb that puts it right. */
  readonly next: 'recover';
}

/** What a run that was cut off left. */
export function cutOff({ kept, past }: { readonly kept: KeptRun; readonly past: Leftover }): CutOff {
  const { run, goals, undoes } = kept.record;
  return { run, goals, left: leftBy(undoes !== undefined, past.open.length), next: 'recover' };
}

function leftBy(isUndo: boolean, open: number): string {
  if (isUndo) return 'something is not put back yet';
  return open > 0
    ? `${String(open)} change${open === 1 ? '' : 's'} neither confirmed nor put back`
    : 'confirmed, but not finished';
}

/** The same in one line. */
export const cutOffLine = ({ run, goals, left, next }: CutOff): string =>
  `run ${run} (${goals.join(', ')}) was cut off: ${left}; "${next}" puts that right`;
