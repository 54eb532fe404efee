import { known } from '../model/fact.ts';
import type { Failure } from '../model/failure.ts';
import { evaluate } from '../model/ref.ts';
import type { Block, NotifyFailure } from '../model/step.ts';
import { NEVER } from './cancel.ts';
import type { Facts } from './facts.ts';
import { innermost, type At, type ItemOf, type Undo, type Walked } from './follower.ts';

/** The parts of a walk that a block which tells is made of. */
export interface Telling {
  readonly explores: boolean;
  block(block: Block, facts: Facts, at: At): Promise<Walked>;
  unwind(undos: Undo[], because: Failure): Promise<boolean>;
  /** What the walk came to: something not put back, settled, and how many changes were put back so far. */
  state(): { readonly stranded: boolean; readonly settled: boolean; readonly putBack: number };
}

/**
 * Tells that a body begins and what became of it. After a failure everything inside is put back first, so that what
 * is told has happened, and nobody's silence delays an undo.
 */
export async function walkNotifying(walk: Telling, item: ItemOf<'notifying'>, facts: Facts, at: At): Promise<Walked> {
  const inside = { ...at, parent: item.id };
  const { putBack } = walk.state();
  const begun = await walk.block(item.start, facts, inside);
  if (!begun.ok) return begun;
  const undos: Undo[] = [];
  const walked = await walk.block(item.body, facts, { ...inside, undos: [...at.undos, undos] });
  if (walked.ok) {
    facts.set(item.id, evaluate(item.body.result, facts));
    // A later failure of the task puts this back, too, and then that is told.
    const later = undos.length > 0;
    if (later) innermost(at).push({ told: item, facts, at, undos });
    const told = await walk.block(item.success, facts, inside);
    if (walk.explores || !(told.ok || later))
      await tellFailure(walk, item, facts, at, told.ok ? null : told.failure, putBack);
    return told;
  }
  if (!walk.state().stranded) await walk.unwind(undos, walked.failure);
  await tellFailure(walk, item, facts, at, walked.failure, putBack);
  return walked;
}

/** Puts back what a block that had succeeded did, and tells so. */
export async function unwindNotifying(
  walk: Telling,
  { told, facts, at, undos }: Extract<Undo, { readonly told: unknown }>,
  because: Failure,
): Promise<boolean> {
  const { putBack } = walk.state();
  const done = await walk.unwind(undos, because);
  await tellFailure(walk, told, facts, at, because, putBack);
  return done;
}

/** Nothing but its own time limit cuts it short: whoever was told of the beginning is told of the end. */
async function tellFailure(
  walk: Telling,
  { id, failure }: ItemOf<'notifying'>,
  facts: Facts,
  at: At,
  because: Failure | null,
  putBackBefore: number,
): Promise<void> {
  if (!walk.explores && because) {
    facts.set(`${id}.outcome`, known(outcomeOf(walk, putBackBefore)));
    facts.set(`${id}.because`, known(because.reason));
  }
  const certainty = at.certainty === 'certain' ? 'conditional' : at.certainty;
  await walk.block(failure, facts, { ...at, parent: id, certainty, cancel: NEVER, afterwards: true });
}

function outcomeOf(walk: Telling, putBackBefore: number): NotifyFailure {
  const { stranded, settled, putBack } = walk.state();
  if (stranded) return 'not-put-back';
  if (settled) return 'unfinished';
  return putBack > putBackBefore ? 'taken-back' : 'failure';
}
