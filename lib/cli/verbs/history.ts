import { readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readJournal } from '../../engine/journal.ts';
import { lifeOf } from '../../host/identity.ts';
import { safeName } from '../../host/names.ts';
import { STATUS } from '../../model/exit-status.ts';
import { historyLines, summaryLines, type Summary } from '../../report/history.ts';
import { toldLines, toldTasks, type StepLog } from '../../report/told-run.ts';
import type { Context } from '../context.ts';
import { print, type Manner } from '../reporting.ts';
import { findRun, readRuns, undoneBy, type KeptRun } from '../runs.ts';

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

/** Tells one run: its tasks, and each step with what came of it; with `logs` what each step printed, whole. */
export function show(
  { slipwayDir, projectDir }: Context,
  { run, logs }: { readonly run: string; readonly logs: boolean },
  { output, color }: Manner,
): number {
  const all = readRuns(slipwayDir);
  const kept = findRun(all, run);
  const summary = summaryOf(kept, all);
  const folder = relative(projectDir, join(slipwayDir, 'runs', run));
  const logOf = (id: string): StepLog | null => {
    const path = join(folder, `${safeName(id)}.log`);
    const stat = statSync(join(projectDir, path), { throwIfNoEntry: false });
    return stat === undefined ? null : { path, bytes: stat.size };
  };
  const tasks = toldTasks(kept.record.plan, kept.lines, logOf);
  if (output === 'json') {
    print(JSON.stringify({ ...summary, tasks, events: kept.lines }));
    return STATUS.done;
  }
  for (const line of summaryLines(summary, `${folder}/`)) print(line);
  const shown = new Set<string>();
  const whole = (log: StepLog | null): readonly string[] => {
    // Repetitions of a step share a file.
    if (!logs || log === null || shown.has(log.path)) return [];
    shown.add(log.path);
    return readFileSync(join(projectDir, log.path), 'utf8').replace(/\n$/, '').split('\n');
  };
  for (const line of toldLines(tasks, color, ({ log }) => whole(log))) print(line);
  if (kept.damaged > 0) print(`(${String(kept.damaged)} lines of the journal cannot be read)`);
  if (kept.cutShort) print('(the journal ends in the middle of a line)');
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
  if (end?.type === 'run-finished')
    return { ...known, outcome: end.outcome, status: end.status, durationMs: end.durationMs };
  const alive = lifeOf(record.owner) !== 'dead';
  const open = readJournal(lines).open.length > 0 || record.undoes !== undefined;
  return { ...known, outcome: alive ? 'running' : open ? 'to recover' : 'cut off', status: null, durationMs: null };
}
