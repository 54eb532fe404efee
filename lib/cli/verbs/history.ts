import { readJournal, wasRecovered } from '../../engine/journal.ts';
import { lifeOf } from '../../host/identity.ts';
import { STATUS } from '../../model/exit-status.ts';
import { historyLines, type Summary } from '../../report/history.ts';
import type { Context } from '../context.ts';
import { print, type Manner } from '../reporting.ts';
import { readRuns, undoneBy, type KeptRun } from '../runs.ts';

/** Lists the kept runs, newest first. */
export function history(context: Context, { output, color }: Manner): number {
  const kept = readRuns(context.slipwayDir);
  const runs = kept.map((one) => summaryOf(one, kept));
  const columns = process.stdout.isTTY ? process.stdout.columns : null;
  if (output === 'json') print(JSON.stringify(runs));
  else if (runs.length === 0) print('no runs yet');
  else for (const line of historyLines(runs, { color, columns })) print(line);
  return STATUS.done;
}

/** What a run came to; `all`: the runs among which one may have put it back. */
export function summaryOf(kept: KeptRun, all: readonly KeptRun[]): Summary {
  const { record, lines } = kept;
  const end = lines.findLast((line) => line.type === 'run-finished');
  const { run, at, goals, who, about } = record;
  const known = {
    run,
    at,
    goals,
    who,
    commandLine: about?.commandLine ?? null,
    client: about?.client ?? null,
    commit: about?.commit ?? null,
    targets: about?.targets ?? [],
    undoes: record.undoes ?? null,
    undoneBy: undoneBy(all, run)?.record.run ?? null,
  };
  if (end?.type === 'run-finished') {
    const { outcome, status, durationMs } = end;
    return {
      ...known,
      status,
      ...(wasRecovered(lines) ? { outcome: 'recovered', durationMs: null } : { outcome, durationMs }),
    };
  }
  const alive = lifeOf(record.owner) !== 'dead';
  const open = readJournal(lines).open.length > 0 || record.undoes !== undefined;
  return { ...known, outcome: alive ? 'running' : open ? 'to recover' : 'cut off', status: null, durationMs: null };
}
