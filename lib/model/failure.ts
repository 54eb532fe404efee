import type { StepId } from './ref.ts';

/** Why a step did not succeed: data with a literal reason; `report/explain.ts` turns each into words. */
export type Failure =
  | {
      readonly reason: 'exit-non-zero';
      readonly command: string;
      readonly exitCode: number;
      readonly tail: readonly string[];
    }
  | {
      readonly reason: 'killed-by-signal';
      readonly command: string;
      readonly signal: string;
      readonly tail: readonly string[];
    }
  | { readonly reason: 'command-not-found'; readonly command: string }
  | { readonly reason: 'timed-out'; readonly what: string; readonly timeoutMs: number }
  | { readonly reason: 'not-in-time'; readonly what: string; readonly timeoutMs: number; readonly last: string }
  | {
      readonly reason: 'unexpected-value';
      readonly what: string;
      readonly at: string;
      readonly expected: string;
      readonly actual: string;
    }
  /** `next`: what to do instead, where it is not to put something right and run it again. */
  | { readonly reason: 'refused'; readonly message: string; readonly next?: string }
  | { readonly reason: 'not-confirmed'; readonly what: string }
  | { readonly reason: 'cancelled'; readonly signal: Signal }
  | {
      readonly reason: 'service-ended';
      readonly service: string;
      readonly exitCode: number | null;
      readonly signal?: string;
      readonly tail: readonly string[];
    }
  /** A task that holds services up has nobody left who needs them: no fault, it ends well. */
  | { readonly reason: 'no-longer-needed' }
  | { readonly reason: 'port-in-use'; readonly port: number; readonly service: string }
  | { readonly reason: 'file-system'; readonly code: string; readonly path: string; readonly operation: string }
  | { readonly reason: 'checksum-mismatch'; readonly path: string; readonly expected: string; readonly actual: string }
  | { readonly reason: 'unreachable'; readonly place: string; readonly address: string; readonly code: string }
  | {
      readonly reason: 'host-key';
      readonly place: string;
      readonly address: string;
      readonly state: 'unknown' | 'changed' | 'revoked';
      readonly fingerprint: string;
    }
  | { readonly reason: 'authentication'; readonly place: string; readonly address: string; readonly user: string }
  /** OpenSSH did not get in, and nobody but itself can know why. */
  | {
      readonly reason: 'ssh-failed';
      readonly place: string;
      readonly address: string;
      readonly through: string | null;
      readonly status: number | null;
      readonly said: string;
    }
  | { readonly reason: 'connection-lost'; readonly place: string; readonly doing: string }
  /** The device could not be asked, and takes an unconfirmed switch back by itself. */
  | { readonly reason: 'left-to-device'; readonly place: string; readonly because: string }
  | {
      readonly reason: 'sudo-refused';
      readonly place: string;
      readonly user: string;
      readonly why: 'wrong-password' | 'password-needed' | 'not-allowed' | 'not-asked' | 'no-sudo';
      /** sudo's own words, never judged. */
      readonly said: string;
    }
  | { readonly reason: 'no-python'; readonly place: string; readonly found: string | null }
  | { readonly reason: 'lock-held'; readonly place: string; readonly name: string; readonly holder: string }
  | { readonly reason: 'device-refused'; readonly place: string; readonly code: string; readonly detail: string }
  | { readonly reason: 'missing-secret'; readonly names: readonly string[]; readonly where: string }
  | { readonly reason: 'approval-stale'; readonly step: StepId; readonly approved: string; readonly now: string }
  | { readonly reason: 'output-missing'; readonly task: string; readonly path: string }
  /** An output glob of the task matches one of its inputs, or of those of a service that it needs. */
  | { readonly reason: 'output-is-input'; readonly task: string; readonly path: string; readonly service?: string }
  /** Somebody asked for it: this run puts back what another one had done. */
  | { readonly reason: 'undone'; readonly by: string }
  /** An earlier life of the run ended here without a word. */
  | { readonly reason: 'cut-off' }
  | { readonly reason: 'broken'; readonly message: string };

export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** An expected failure on its way out of code that cannot return it; never caught by its text. */
export class StepFailed extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.reason);
    this.failure = failure;
  }
}

/** A mistake in what the user asked for or declared, found before anything ran: status 2. */
export class UsageError extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
