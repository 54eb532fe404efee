import { readJournal } from '../../engine/journal.ts';
import type { RunEvent } from '../../model/event.ts';
import { messageLines } from '../../report/explain.ts';
import type { Context } from '../context.ts';
import { STATUS } from '../../model/exit-status.ts';
import { print, type Manner } from '../reporting.ts';
import { findRun, readRuns, type KeptRun } from '../runs.ts';
import { lifeOf } from '../../host/identity.ts';

/** A run in one line of the history. */
export interface Summary {
  readonly run: string;
  readonly at: string;
  readonly goals: readonly string[];
  readonly outcome: string;
  readonly status: number | null;
  readonly durationMs: number | null;
  readonly who: string;
}

/** Lists the kept runs, newest first. */
export function history(context: Context, manner: Manner): number {
  const runs = readRuns(context.slipwayDir).map(summaryOf);
  if (manner.output === 'json') print(JSON.stringify(runs));
  else if (runs.length === 0) print('no runs yet');
  else
    for (const { run, at, outcome, goals, durationMs } of runs)
      print(`${run}  ${at.slice(0, 19)}  ${outcome.padEnd(12)}  ${seconds(durationMs)}  ${goals.join(', ')}`);
  return STATUS.done;
}

/** Tells one run: its tasks, and each step with what came of it. */
export function show(context: Context, run: string, manner: Manner): number {
  const kept = findRun(readRuns(context.slipwayDir), run);
  if (manner.output === 'json') {
    print(JSON.stringify({ ...summaryOf(kept), events: kept.lines }));
    return STATUS.done;
  }
  const { outcome, who, at } = summaryOf(kept);
  print(`run ${run}: ${outcome}, begun ${at}${who === '' ? '' : ` by ${who}`}`);
  for (const line of kept.lines) for (const text of told(line)) print(text);
  if (kept.damaged > 0) print(`(${String(kept.damaged)} lines of the journal cannot be read)`);
  if (kept.cutShort) print('(the journal ends in the middle of a line)');
  return STATUS.done;
}

/** What a run came to. */
export function summaryOf({ record, lines }: KeptRun): Summary {
  const end = lines.findLast((line) => line.type === 'run-finished');
  const { run, at, goals, who } = record;
  if (end?.type === 'run-finished')
    return { run, at, goals, who, outcome: end.outcome, status: end.status, durationMs: end.durationMs };
  const alive = lifeOf(record.owner) !== 'dead';
  const open = readJournal(lines).open.length > 0;
  return {
    run,
    at,
    goals,
    who,
    outcome: alive ? 'running' : open ? 'to recover' : 'cut off',
    status: null,
    durationMs: null,
  };
}

function seconds(durationMs: number | null): string {
  return durationMs === null ? '      -' : `${(durationMs / 1000).toFixed(1).padStart(6)}s`;
}

function told(event: RunEvent): readonly string[] {
  switch (event.type) {
    case 'task-started':
      return [`  ${event.task}`];
    case 'step-started':
      return [`    ${event.id}  ${event.line}`];
    case 'step-failed':
      return [`    ${event.id}  failed: ${messageLines(event.failure).join('; ')}`];
    case 'settled':
      return [`    ${event.id}  settled`];
    case 'step-undone':
      return [`    ${event.id}  put back: ${event.line}`];
    case 'undo-failed':
      return [`    ${event.id}  not put back: ${messageLines(event.failure).join('; ')}`];
    case 'task-finished':
      return [`  ${event.task}: ${event.outcome} after ${(event.durationMs / 1000).toFixed(1)} s`];
    default:
      return [];
  }
}
