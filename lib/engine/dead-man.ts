import type { Failure } from '../model/failure.ts';
import type { ArmedChange, Entered, Performer, SwitchOutcome } from '../model/ports.ts';
import { evaluate, type StepId } from '../model/ref.ts';
import type { Block, Step } from '../model/step.ts';
import { attempt } from './attempt.ts';
import { resolveStep, type Facts } from './facts.ts';
import { passingOf } from './follow.ts';
import type { At, Follower, ItemOf, Undo, Walked } from './follower.ts';

/** What the device must know of a change before it is made. */
export function armedChange(item: ItemOf<'change'>, facts: Facts, at: At): ArmedChange {
  return { id: passingOf(item.id, at.iteration), undo: undoSteps(item.undo, facts), undone: item.undone };
}

/** The steps of an undo as they would be performed now, their refs replaced by values. */
function undoSteps(undo: Block, facts: Facts): readonly Step[] {
  return undo.items.flatMap((item): readonly Step[] => {
    if (item.type === 'step') return [resolveStep(item, facts)];
    if (item.type !== 'when') throw new Error(`${item.id}: an undo that a device keeps holds steps and choices alone`);
    const condition = evaluate(item.condition, facts);
    if (!condition.known) throw new Error(`${item.id}: a live walk left something unknown`);
    return undoSteps(condition.value === true ? item.then : item.otherwise, facts);
  });
}

/** What the walk around does for a dead-man's switch. */
interface Around {
  body(inside: At): Promise<Walked>;
  enter(resumed: boolean): ReturnType<Performer['enter']>;
  leave(entered: Entered): Promise<void>;
  strand(id: StepId, failure: Failure): void;
  settled(): Walked;
}

/** Walks a switch: the device puts back, and what it recorded decides; confirmed, the task has settled. */
export async function walkDeadMan(
  item: ItemOf<'within'>,
  at: At,
  follower: Follower,
  explores: boolean,
  around: Around,
): Promise<Walked> {
  const begun: Undo[] = [];
  const leaseMs = item.scope.kind === 'deadMan' ? item.scope.leaseMs : null;
  const inside: At = { ...at, parent: item.id, armed: !explores, leaseMs, undos: [...at.undos, begun] };
  if (explores || follower.settledBefore()) return around.body(inside);
  // An earlier life armed it, if it came so far: now it is only asked what came of that.
  const entered = await around.enter(follower.replays);
  if (!entered.ok) return entered;
  const walked = await around.body(inside);
  if (!walked.ok) follower.deviceUndoes(item.id, item.scope.place);
  const ended = await attempt(() => settleSwitch(entered.entered, walked.ok));
  await around.leave(entered.entered);
  if (!ended.ok) {
    around.strand(item.id, ended.failure);
    return walked.ok ? ended : walked;
  }
  const { outcome } = ended;
  if (outcome.state === 'confirmed') {
    follower.confirmed(item.id);
    return around.settled();
  }
  const back = walked.ok ? { ok: false as const, failure: takenBack(item.scope.place, outcome) } : walked;
  const stuck = tellTakenBack(follower, begun, outcome, back.failure);
  if (stuck) around.strand(stuck.id, stuck.failure);
  return back;
}

function settleSwitch(entered: Entered, walked: boolean): ReturnType<NonNullable<Entered['settle']>> {
  if (!entered.settle) throw new Error("a performer entered a dead-man's switch and cannot say what came of it");
  return entered.settle(walked);
}

/** Why a switch whose body was walked to its end did not come about. */
function takenBack(place: string, outcome: SwitchOutcome): Failure {
  const detail = outcome.state === 'taken-back' ? outcome.why : 'the switch was not confirmed';
  return { reason: 'device-refused', place, code: 'taken-back', detail };
}

/**
 * Tells what the device put back as if it had been done from here, the latest first; returns where it got stuck, if it
 * did: what was begun before that was not put back.
 */
function tellTakenBack(
  follower: Follower,
  begun: readonly Undo[],
  outcome: SwitchOutcome,
  because: Failure,
): { readonly id: StepId; readonly failure: Failure } | null {
  for (const undo of begun.toReversed()) {
    if (!('change' in undo)) continue;
    const { change, facts, at } = undo;
    const { id } = change;
    if (outcome.state === 'stuck' && passingOf(id, at.iteration) === outcome.change)
      return { id, failure: outcome.failure };
    if (!follower.undoStarted(id, at, because)) continue;
    const undoing: At = { ...at, change, parent: id, undoing: true };
    for (const step of undoSteps(change.undo, facts)) follower.step('finished', step, undoing, null);
    follower.undoFinished(id, at);
  }
  return outcome.state === 'stuck' ? { id: outcome.change, failure: outcome.failure } : null;
}
