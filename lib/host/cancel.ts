import { CancelSource } from '../engine/cancel.ts';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';

/** Why it was cancelled by now: a call, since a property that was `null` once counts as `null` for the compiler. */
export const cancelledBy = (cancel: Cancel): Failure | null => cancel.cancelled;

/** Longest time that a Node timer takes, in ms; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A cancel that also comes by itself after a time, and lets go of its parent and timer when released. */
class BoundedCancel extends CancelSource {
  #timer: NodeJS.Timeout | undefined;

  /** From now on it fails as `timed-out` after so long. */
  limit(what: string, timeoutMs: number): void {
    const late = (): void => this.cancel({ reason: 'timed-out', what, timeoutMs });
    this.#timer = setTimeout(late, Math.min(timeoutMs, MAX_TIMER_MS));
  }

  override release(): void {
    clearTimeout(this.#timer);
    super.release();
  }
}

/** Bounds `parent` (`null`: nothing else may cut it short) by `timeoutMs`. */
export function boundCancel(parent: Cancel | null, what: string, timeoutMs: number | undefined): CancelSource {
  const own = new BoundedCancel(parent);
  if (timeoutMs !== undefined) own.limit(what, timeoutMs);
  return own;
}

/** Resolves with the reason once the cancel comes; `withdraw` when it no longer matters. */
export function whenCancelled(cancel: Cancel): { readonly came: Promise<Failure>; withdraw(): void } {
  let withdraw = (): void => undefined;
  const came = new Promise<Failure>((resolve) => (withdraw = cancel.onCancel(resolve)));
  return { came, withdraw: () => withdraw() };
}
