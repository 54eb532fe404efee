import type { Planned } from '../../model/plan.ts';
import { reapLeftovers } from '../../host/ledger.ts';
import type { Context } from '../context.ts';
import { STATUS } from '../../model/exit-status.ts';
import { resume } from '../perform.ts';
import { goOnUndoing, hasOpaque } from '../undoing.ts';
import { say, type Manner } from '../reporting.ts';
import { leftovers, readRuns } from '../runs.ts';

/** Puts right what runs left that were cut off, newest first; with nothing to do it ends with 0. */
export async function recover(context: Context, manner: Manner): Promise<number> {
  for (const { run, command } of await reapLeftovers(context.slipwayDir))
    say(`ended what run ${run} left running: ${command}`);
  const left = leftovers(readRuns(context.slipwayDir));
  if (left.length === 0) {
    say('nothing to recover');
    return STATUS.done;
  }
  for (const { kept, past } of left) {
    const { run, goals, plan } = kept.record;
    if (kept.record.undoes !== undefined) {
      const status = await goOnUndoing(context, kept, manner);
      if (status !== STATUS.done) return status;
      continue;
    }
    if (hasOpaque(plan)) {
      say(
        `run ${run} has steps that are functions, which its saved plan cannot hold: put it back by hand; "show ${run}" tells what it did`,
      );
      return STATUS.notPutBack;
    }
    say(`recovering run ${run} (${goals.join(', ')})`);
    const planned: Planned = { plan, opaque: new Map() };
    const status = await resume(context, kept, past, planned, manner);
    if (status !== STATUS.done) return status;
  }
  return STATUS.done;
}
