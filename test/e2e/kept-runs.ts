import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A line of a journal, as far as tests look at it. */
export interface JournalLine {
  readonly type: string;
  readonly id?: string;
  /** What a step does, as it is shown. */
  readonly line?: string;
  readonly at: string;
}

/** Ids of the runs that a checkout keeps, the first one first. */
export function runsIn(checkout: string): readonly string[] {
  const folder = join(checkout, '.slipway/runs');
  const begun = (run: string): string => journalOf(checkout, run)[0]?.at ?? '';
  return existsSync(folder) ? readdirSync(folder).sort((a, b) => begun(a).localeCompare(begun(b))) : [];
}

/** The whole lines of a run's journal. */
export function journalOf(checkout: string, run: string): readonly JournalLine[] {
  const path = join(checkout, '.slipway/runs', run, 'journal.jsonl');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => JSON.parse(line) as JournalLine);
}
