import { setTimeout as rest } from 'node:timers/promises';
import type { DeviceTarget } from '../model/device.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { ArmedChange, LivePerformer, Performing, SwitchOutcome } from '../model/ports.ts';
import { check, s, type Infer } from '../model/schema.ts';
import type { Scope } from '../model/step.ts';
import { failureFrom, type Answer } from './answer.ts';
import type { Limits } from './limits.ts';
import type { Link } from './link.ts';
import { operationOf } from './operation.ts';
import { plainRequest, type Request } from './request.ts';

/** Heartbeats in the time of one lease: so many in a row may come late. */
const BEATS_PER_LEASE = 4;
/** Between two attempts to hear from a device that cannot be reached what became of its switch, in ms. */
const AGAIN_MS = 500;

const outcomeSchema = s.object({
  state: s.choice('none', 'armed', 'confirmed', 'taking-back', 'stuck', 'taken-back'),
  why: s.string,
  change: s.nullable(s.string),
  failure: s.json,
});

type Settled =
  { readonly ok: true; readonly outcome: SwitchOutcome } | { readonly ok: false; readonly failure: Failure };

/** Arms the switch and keeps the device hearing from here; a resumed run only asks what came of it. */
export async function enterDeadMan(
  link: Link,
  target: DeviceTarget,
  scope: Extract<Scope, { readonly kind: 'deadMan' }>,
  performing: Performing,
  limits: Limits,
): ReturnType<LivePerformer['enter']> {
  const { release, from, leaseMs } = scope;
  // From before it is armed: on a slow board that alone may take longer than a short lease.
  const stopBeats = performing.undoing ? (): void => undefined : link.beat(leaseMs / BEATS_PER_LEASE);
  if (!performing.undoing) {
    const args = { release, from, leaseMs };
    const request: Request = { op: 'switch.arm', args, cancel: performing.cancel, timeoutMs: limits.operationMs };
    const armed = await link.request(request, 'working');
    if (!armed.ok) {
      // An agent that died of it may have armed the switch already, and have nobody watch it.
      if (isUnheard(armed)) await link.request(plainRequest('switch.take-back', {}, limits.operationMs), 'undoing');
      stopBeats();
      return armed;
    }
  }
  const settle = async (walked: boolean): Promise<Settled> => {
    const settled = await settleSwitch(link, target, limits, walked);
    stopBeats();
    return settled;
  };
  return { ok: true, entered: { value: scope.name, leave: () => Promise.resolve(stopBeats()), settle } };
}

/** What the device must keep of a change, or why it cannot be put there. */
export function changeOf(
  { id, undo, undone }: ArmedChange,
  around: Parameters<typeof operationOf>[1],
):
  | { readonly ok: true; readonly change: NonNullable<Request['change']> }
  | { readonly ok: false; readonly failure: Failure } {
  const steps: Json[] = [];
  for (const step of undo) {
    const mapped = operationOf(step, around);
    if (!mapped.ok) return mapped;
    steps.push({ op: mapped.operation.op, args: mapped.operation.args });
  }
  return { ok: true, change: { id, undone, undo: steps } };
}

async function settleSwitch(link: Link, target: DeviceTarget, limits: Limits, walked: boolean): Promise<Settled> {
  const place = target.name;
  const found = await outcomeOf(link, target, limits, walked ? 'switch.outcome' : 'switch.take-back');
  // A body that confirmed nothing has not switched.
  if (walked && found.ok && found.state === 'armed') return settleSwitch(link, target, limits, false);
  if (!found.ok) return found;
  const { state, why, change, failure } = found;
  if (state === 'stuck')
    return { ok: true, outcome: { state, change: change ?? '', failure: failureFrom(failure, place) } };
  if (state === 'taken-back') return { ok: true, outcome: { state, why } };
  if (state === 'none' || state === 'confirmed') return { ok: true, outcome: { state } };
  return { ok: false, failure: { reason: 'left-to-device', place, because: `it says "${state}"` } };
}

/** Whether the device did not answer, so that nobody knows what it did. */
const isUnheard = ({ failure }: Extract<Answer, { ok: false }>): boolean =>
  failure.reason === 'connection-lost' || failure.reason === 'unreachable';

type Outcome = Infer<typeof outcomeSchema>;

/** Asks on the session while there is one; otherwise without its locks, which the device itself may hold by now. */
async function outcomeOf(
  link: Link,
  { name: place, reconnectMs }: DeviceTarget,
  limits: Limits,
  op: string,
): Promise<({ readonly ok: true } & Outcome) | { readonly ok: false; readonly failure: Failure }> {
  const deadline = performance.now() + (reconnectMs ?? limits.reconnectMs);
  for (;;) {
    const request = plainRequest(op, {}, limits.operationMs);
    const answer: Answer = link.lost ? await link.fresh(request) : await link.request(request, 'undoing');
    if (answer.ok) {
      const checked = check(outcomeSchema, answer.value);
      if (checked.fits) return { ok: true, ...(checked.value as Outcome) };
      return { ok: false, failure: { reason: 'unexpected-value', what: op, ...checked.mismatch } };
    }
    if (!isUnheard(answer)) return answer;
    if (performance.now() >= deadline)
      return { ok: false, failure: { reason: 'left-to-device', place, because: answer.failure.reason } };
    await rest(AGAIN_MS);
  }
}
