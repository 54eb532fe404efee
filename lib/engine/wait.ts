import { known, unknown } from '../model/fact.ts';
import type { Clock, Performer } from '../model/ports.ts';
import { evaluate } from '../model/ref.ts';
import { Facts } from './facts.ts';
import type { At, Follower, ItemOf, Walked } from './follower.ts';

const DONE: Walked = { ok: true };

/** Inside one more repeated block: in its pass `number`. */
export function passAt(at: At, number: number): At {
  return { ...at, iteration: at.iteration === '' ? String(number) : `${at.iteration}.${String(number)}` };
}

/** Repeats reading steps until a condition held often enough in a row, or the time is over. */
export async function walkWait(
  item: ItemOf<'wait'>,
  facts: Facts,
  at: At,
  context: { readonly clock: Clock; readonly performer: Performer; readonly follower: Follower },
  walk: (inner: Facts, at: At) => Promise<Walked>,
): Promise<Walked> {
  const { clock, performer, follower } = context;
  const before = follower.waitedBefore(item.id, at);
  if (before !== undefined) {
    facts.set(item.id, known(before));
    return DONE;
  }
  if (follower.cutOff(item.id, at)) return { ok: false, failure: { reason: 'cut-off' } };
  const deadlineMs = clock.nowMs() + item.timeoutMs;
  for (let round = 1, held = 0; ; round++) {
    const inner = new Facts(facts);
    const certainty = performer.explores ? 'repeated' : at.certainty;
    const walked = await walk(inner, { ...passAt(at, round), parent: item.id, certainty });
    if (!walked.ok) return walked;
    const until = evaluate(item.until, inner);
    const value = evaluate(item.body.result, inner);
    if (performer.explores) {
      facts.set(item.id, until.known && until.value === true ? value : unknown);
      return DONE;
    }
    held = until.known && until.value === true ? held + 1 : 0;
    const over = held >= item.times;
    const late = clock.nowMs() >= deadlineMs;
    if (over || (late && item.orElse === 'go-on')) {
      facts.set(item.id, value);
      follower.waited(item.id, at, value.known ? value.value : null);
      return DONE;
    }
    const last = value.known ? (typeof value.value === 'string' ? value.value : JSON.stringify(value.value)) : '';
    if (late)
      return { ok: false, failure: { reason: 'not-in-time', what: item.summary, timeoutMs: item.timeoutMs, last } };
    await clock.sleep(item.everyMs, at.cancel);
    if (at.cancel.cancelled) return { ok: false, failure: at.cancel.cancelled };
  }
}
