import type { CancelSource } from '../engine/cancel.ts';
import { sha256 } from '../host/hash.ts';
import { STATUS } from '../model/exit-status.ts';
import type { Signal } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { AboutRun } from './about-run.ts';
import type { Context } from './context.ts';
import { beginRun, forgetOldRuns, newRunId, openJournal, readRuns } from './runs.ts';
import { cancelOnSignals } from './signals.ts';

/** Does something on a device that no plan describes, and records here that it began and how it ended. */
export async function recordedRun(
  { slipwayDir }: Context,
  goal: string,
  about: AboutRun,
  work: (run: string, cancel: CancelSource) => Promise<number>,
  heard?: (signal: Signal) => boolean,
): Promise<number> {
  forgetOldRuns(slipwayDir, readRuns(slipwayDir));
  const [run, begun] = [newRunId(new Date()), performance.now()];
  const plan: Plan = { version: 1, goals: [goal], nodes: [], digest: sha256(goal) };
  beginRun(slipwayDir, run, plan, about);
  const journal = openJournal(slipwayDir, run);
  const { cancel, release } = cancelOnSignals(heard);
  let status: number = STATUS.failed;
  try {
    journal.write({ type: 'run-started', run, digest: plan.digest, goals: plan.goals, pid: process.pid });
    status = await work(run, cancel);
    return status;
  } finally {
    const outcome = cancel.cancelled ? 'cancelled' : status === STATUS.done ? 'done' : 'failed';
    const durationMs = Math.round(performance.now() - begun);
    journal.write({ type: 'run-finished', run, outcome, status, durationMs });
    journal.close();
    release();
  }
}
