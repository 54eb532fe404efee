import type { Json } from '../model/json.ts';
import { check, s } from '../model/schema.ts';
import { judge, preflightFacts, type Check, type Needs, type PreflightFacts } from '../ops/checks.ts';
import type { Answer } from './answer.ts';

/** Asks the agent for one operation. */
export type Ask = (op: string, args: { readonly [name: string]: Json }) => Promise<Answer>;

/** Times that the clock is asked for; the quickest answer says most. */
const CLOCK_ASKS = 3;

const clockAnswer = s.object({ nowMs: s.number });

type Judged = { readonly ok: true; readonly checks: readonly Check[] } | Extract<Answer, { ok: false }>;

/** Asks a device what decides whether a release can run there, and judges it. `sudo`: ask for that, too. */
export async function askPreflight(ask: Ask, needs: Needs, sudo: boolean): Promise<Judged> {
  const skew = await clockSkew(ask);
  if (!skew.ok) return skew;
  const answer = await ask('device.preflight', { sudo });
  if (!answer.ok) return answer;
  const checked = check(preflightFacts, answer.value);
  if (!checked.fits) return unexpected('device.preflight', checked.mismatch);
  return { ok: true, checks: judge(checked.value as unknown as PreflightFacts, skew.skewMs, needs) };
}

/**
 * How far a device's clock is ahead of this machine's, in ms: what it says, against the middle of the time that the
 * question took (RFC 5905 §8, with one time of the other side).
 */
async function clockSkew(
  ask: Ask,
): Promise<{ readonly ok: true; readonly skewMs: number } | Extract<Answer, { ok: false }>> {
  let best = { tripMs: Number.POSITIVE_INFINITY, skewMs: 0 };
  for (let asked = 0; asked < CLOCK_ASKS; asked++) {
    const [wall, begun] = [Date.now(), performance.now()];
    const answer = await ask('device.clock', {});
    if (!answer.ok) return answer;
    const tripMs = performance.now() - begun;
    const checked = check(clockAnswer, answer.value);
    if (!checked.fits) return unexpected('device.clock', checked.mismatch);
    const { nowMs } = checked.value as { readonly nowMs: number };
    if (tripMs < best.tripMs) best = { tripMs, skewMs: nowMs - (wall + tripMs / 2) };
  }
  return { ok: true, skewMs: best.skewMs };
}

/** What the step `device.preflight` comes to; warnings are its output. */
export async function preflightStep(
  ask: Ask,
  args: { readonly [name: string]: Json },
  output: (stream: 'stdout' | 'stderr', text: string) => void,
): Promise<Answer> {
  const judged = await askPreflight(ask, { database: args['database'] === true, web: args['web'] === true }, false);
  if (!judged.ok) return judged;
  for (const { state, check: name, says } of judged.checks)
    // What happens at the next boot is no news of this deploy: `doctor` tells it.
    if (state === 'warning' && name !== 'boot') output('stderr', `warning: ${name}: ${says}\n`);
  const problems = judged.checks.filter(({ state }) => state === 'problem');
  const why = problems.map(({ check: name, says, next }) => `${name}: ${says} (${next})`).join('; ');
  return { ok: true, value: { fit: problems.length === 0, why } };
}

function unexpected(
  what: string,
  mismatch: { readonly at: string; readonly expected: string; readonly actual: string },
): Extract<Answer, { ok: false }> {
  return { ok: false, failure: { reason: 'unexpected-value', what, ...mismatch } };
}
