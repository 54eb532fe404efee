import type { Cancel, Clock } from '../model/ports.ts';
import type { Step } from '../model/step.ts';
import { cancelledBy } from './cancel.ts';
import type { Outcome } from './command.ts';

/** Longest rest between two attempts, in ms: doubling has an end. */
const MAX_BACKOFF_MS = 60_000;

/**
 * Tries a failed step again as often as it says, resting twice as long each time. Only what `reads` or `derives` may
 * be done twice; a cancel ends it at once, and so does what no second attempt can change.
 */
export async function withRetries(
  step: Step,
  cancel: Cancel,
  clock: Clock,
  attempt: () => Promise<Outcome>,
): Promise<Outcome> {
  const retries = step.effect === 'reads' || step.effect === 'derives' ? step.retries : undefined;
  let outcome = await attempt();
  for (let done = 0, backoffMs = retries?.backoffMs ?? 0; done < (retries?.times ?? 0); done++, backoffMs *= 2) {
    if (outcome.ok || cancelledBy(cancel) || FINAL.has(outcome.failure.reason)) return outcome;
    await clock.sleep(Math.min(backoffMs, MAX_BACKOFF_MS), cancel);
    const why = cancelledBy(cancel);
    if (why) return { ok: false, failure: why };
    outcome = await attempt();
  }
  return outcome;
}

const FINAL: ReadonlySet<string> = new Set(['cancelled', 'refused', 'command-not-found', 'missing-secret', 'broken']);
