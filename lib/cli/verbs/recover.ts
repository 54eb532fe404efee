import { openFiles } from '../../engine/undo.ts';
import { reapLeftovers } from '../../host/ledger.ts';
import { takeLock } from '../../host/lock.ts';
import { StepFailed } from '../../model/failure.ts';
import { HERE } from '../../model/step.ts';
import type { Context } from '../context.ts';
import { STATUS } from '../../model/exit-status.ts';
import { resume } from '../perform.ts';
import { goOnUndoing, hasOpaque } from '../undoing.ts';
import { say, type Manner } from '../reporting.ts';
import { leftovers, readRuns } from '../runs.ts';
import { alteredSince, alteredWords } from '../undoable.ts';

/** Puts right what runs left that were cut off, newest first; with nothing to do it ends with 0. */
export async function recover(context: Context, manner: Manner): Promise<number> {
  const { slipwayDir } = context;
  const lock = takeLock(slipwayDir, 'undo', 'recover');
  if (!lock.ok) throw new StepFailed({ reason: 'lock-held', place: HERE, name: 'undo', holder: lock.holder });
  try {
    for (const { run, command } of await reapLeftovers(slipwayDir))
      say(`ended what run ${run} left running: ${command}`);
    const left = leftovers(readRuns(slipwayDir));
    if (left.length === 0) say('nothing to recover');
    for (const one of left) {
      const status = await recoverRun(context, one, manner);
      if (status !== STATUS.done) return status;
    }
    return STATUS.done;
  } finally {
    lock.release();
  }
}

async function recoverRun(
  context: Context,
  { kept, past }: ReturnType<typeof leftovers>[number],
  manner: Manner,
): Promise<number> {
  const { run, goals, plan, undoes } = kept.record;
  if (undoes !== undefined) return goOnUndoing(context, kept, manner);
  if (hasOpaque(plan)) {
    say(
      `run ${run} has steps that are functions, which its saved plan cannot hold: put it back by hand; "show ${run}" tells what it did`,
    );
    return STATUS.notPutBack;
  }
  const altered = alteredSince(openFiles(plan, past), context.projectDir);
  if (altered !== null) {
    say(`${alteredWords(altered, run)}, then "recover"`);
    return STATUS.notPutBack;
  }
  say(`recovering run ${run} (${goals.join(', ')})`);
  return resume(context, kept, past, { plan, opaque: new Map() }, manner);
}
