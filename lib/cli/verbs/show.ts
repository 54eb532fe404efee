import { readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { safeName } from '../../host/names.ts';
import { STATUS } from '../../model/exit-status.ts';
import { summaryLines, toldLines, toldTasks, type StepLog } from '../../report/told-run.ts';
import type { Context } from '../context.ts';
import { print, type Manner } from '../reporting.ts';
import { findRun, readRuns } from '../runs.ts';
import { summaryOf } from './history.ts';

/** Tells one run: its tasks, and each step with what came of it; with `logs` what each step printed, whole. */
export function show(
  { slipwayDir, projectDir }: Context,
  { run: asked, logs }: { readonly run: string; readonly logs: boolean },
  { output, color }: Manner,
): number {
  const all = readRuns(slipwayDir);
  const kept = findRun(all, asked);
  const { run } = kept.record;
  const summary = summaryOf(kept, all);
  const folder = relative(projectDir, join(slipwayDir, 'runs', run));
  const logOf = (id: string): StepLog | null => {
    const path = join(folder, `${safeName(id)}.log`);
    const stat = statSync(join(projectDir, path), { throwIfNoEntry: false });
    return stat === undefined ? null : { path, bytes: stat.size };
  };
  const tasks = toldTasks(kept.record.plan, kept.lines, logOf, summary.outcome === 'running' ? 'running' : 'cut off');
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
