import type { RunOutcome } from './event.ts';
import type { Failure, Signal } from './failure.ts';

/** What the process ends with; make turns every one but `done` into 2. */
export const STATUS = {
  done: 0,
  failed: 1,
  /** A mistake in what was asked for or declared: nothing ran. */
  usage: 2,
  /** A guard, a missing confirmation, no terminal and no `--yes`, an unknown or changed host key. */
  refused: 3,
  notPutBack: 4,
  hangup: 129,
  interrupt: 130,
  terminated: 143,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

const BY_SIGNAL: { readonly [S in Signal]: Status } = {
  SIGHUP: STATUS.hangup,
  SIGINT: STATUS.interrupt,
  SIGTERM: STATUS.terminated,
};

/** Failures that are somebody's "no" rather than a fault. */
const REFUSALS: ReadonlySet<Failure['reason']> = new Set([
  'refused',
  'not-confirmed',
  'host-key',
  'sudo-refused',
  'lock-held',
  'approval-stale',
  'missing-secret',
] as const);

export const isRefusal = (failure: Failure): boolean => REFUSALS.has(failure.reason);

/** The status of a run that this failure ended, everything having been put back. */
export function statusOfFailure(failure: Failure): Status {
  if (failure.reason === 'cancelled') return BY_SIGNAL[failure.signal];
  return isRefusal(failure) ? STATUS.refused : STATUS.failed;
}

/** The status of a run. What was not put back outweighs all else; then the failure that ended it decides. */
export function statusOfRun(outcome: RunOutcome, failure: Failure | null): Status {
  switch (outcome) {
    case 'done':
      return STATUS.done;
    case 'not-put-back':
      return STATUS.notPutBack;
    case 'refused':
      return STATUS.refused;
    case 'failed':
    case 'cancelled':
      return failure === null ? STATUS.failed : statusOfFailure(failure);
  }
}
