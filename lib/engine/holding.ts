import { known } from '../model/fact.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { PlanNode } from '../model/plan.ts';
import type { Cancel } from '../model/ports.ts';
import { itemsIn } from '../model/step.ts';
import { attempt } from './attempt.ts';
import { CancelSource } from './cancel.ts';
import type { Facts } from './facts.ts';
import type { Walked } from './follower.ts';

/** What the walk of a task that holds services up is told, and tells: others need them. */
export interface Hold {
  /** All of it is up. */
  readonly reached: () => void;
  /** One of it ended by itself: who needs it need not wait until the rest is stopped. */
  readonly lost: (failure: Failure) => void;
  /** Ends the walk as long as it is not up: also when the run is cancelled. */
  readonly starting: CancelSource;
  /** Ends the hold. The run's own cancel does not: those who need what is held end first. */
  readonly over: CancelSource;
}

/** Goes on until what is held ends, or is no longer needed; where nobody else needs it, until the cancel. */
export async function walkHold(
  hold: Hold | undefined,
  cancel: Cancel,
  ended: (cancel: Cancel) => Promise<Failure>,
): Promise<Walked> {
  hold?.reached();
  const end = await attempt(() => ended(hold?.over ?? cancel));
  const failure = 'reason' in end ? end : end.failure;
  if (hold?.over.cancelled === null) hold.lost(failure);
  return { ok: false, failure };
}

/** A service that was begun. */
export interface Up {
  readonly node: PlanNode;
  /** True once it is up; false when it failed to. */
  readonly ready: Promise<boolean>;
  /** Why it ended; null when that was well. */
  readonly ended: Promise<Failure | null>;
  /** Comes with why it is of no use any more; never while it does its work, nor after it was ended. */
  readonly lost: Cancel;
  /** Tells what it yielded, for runs after the one that began it. */
  tell(facts: Facts): void;
}

type Held = Up & { readonly hold: Hold };

/** The services that are up, by task. A run has its own, unless it is given one that outlives it. */
export class Holding {
  /** Begun and not ended. */
  readonly #all = new Map<string, Held>();
  /** In the order in which they came up: what another one needs, before it. */
  readonly #up = new Set<string>();

  get(id: string): Up | undefined {
    return this.#all.get(id);
  }

  get ids(): readonly string[] {
    return [...this.#all.keys()];
  }

  /** Begins a service; the walk goes on until the hold is over. */
  begin(node: PlanNode, facts: Facts, cancel: Cancel, walk: (hold: Hold) => Promise<Failure | null>): Up {
    const yielded = new Map<string, Json>();
    let up: (came: true) => void = () => undefined;
    const came = new Promise<true>((resolve) => (up = resolve));
    const reached = (): void => {
      for (const { id } of itemsIn(node.body)) {
        const fact = facts.fact(id);
        if (fact.known) yielded.set(id, fact.value);
      }
      this.#up.add(node.id);
      up(true);
    };
    const lost = new CancelSource();
    const hold: Hold = {
      reached,
      lost: (failure) => lost.cancel(failure),
      starting: new CancelSource(cancel),
      over: new CancelSource(),
    };
    const ended = walk(hold).finally(() => {
      hold.starting.release();
      this.#all.delete(node.id);
      this.#up.delete(node.id);
    });
    const held: Held = {
      node,
      hold,
      ended,
      lost,
      ready: Promise.race([came, ended.then((failure) => failure === null)]),
      tell: (others) => yielded.forEach((value, id) => others.set(id, known(value))),
    };
    this.#all.set(node.id, held);
    return held;
  }

  /** Ends these services, the one that came up last first, and waits until they have. */
  async end(ids: Iterable<string>, why: Failure): Promise<void> {
    const asked = new Set(ids);
    const starting = [...asked].filter((id) => !this.#up.has(id));
    await Promise.all(starting.map((id) => this.#end(id, why)));
    for (const id of [...this.#up].toReversed()) if (asked.has(id)) await this.#end(id, why);
  }

  async #end(id: string, why: Failure): Promise<void> {
    const held = this.#all.get(id);
    held?.hold.starting.cancel(why);
    held?.hold.over.cancel(why);
    await held?.ended;
  }
}
