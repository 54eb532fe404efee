import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import type { Linked } from './dial.ts';

/** Between the first two attempts, in ms; each pause is twice as long as the one before, up to the longest. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8_000;

/** What may pass by itself. Behind a hop nobody but ssh knows what failed. */
const PASSING: ReadonlySet<Failure['reason']> = new Set([
  'unreachable',
  'connection-lost',
  'timed-out',
  'ssh-failed',
] as const);

/** Tries once, then again until `until` (of `performance.now`) while what is wrong may pass; a cancel ends the wait. */
export async function persist(attempt: () => Promise<Linked>, until: number, cancel: Cancel | null): Promise<Linked> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const opened = await attempt();
    if (opened.ok || !PASSING.has(opened.failure.reason) || performance.now() + pauseMs > until) return opened;
    await pause(pauseMs, cancel);
    if (cancel?.cancelled) return { ok: false, failure: cancel.cancelled };
  }
}

/** A cancel of one's own, joined with whichever a caller has. */
export interface Closing {
  readonly closed: boolean;
  close(): void;
  with(cancel: Cancel | null): Cancel;
}

/** What ends every attempt to connect at once, because nobody wants the connection any more. */
export function createClosing(): Closing {
  const why: Failure = { reason: 'cancelled', signal: 'SIGTERM' };
  const listeners = new Set<(why: Failure) => void>();
  let closed = false;
  return {
    get closed() {
      return closed;
    },
    close() {
      closed = true;
      for (const listener of listeners) listener(why);
    },
    with: (cancel) => ({
      get cancelled() {
        return closed ? why : (cancel?.cancelled ?? null);
      },
      onCancel(listener) {
        if (closed) listener(why);
        listeners.add(listener);
        const withdraw = cancel?.onCancel(listener);
        return () => {
          listeners.delete(listener);
          withdraw?.();
        };
      },
    }),
  };
}

function pause(pauseMs: number, cancel: Cancel | null): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(), pauseMs);
    const withdraw = cancel?.onCancel(() => done());
    function done(): void {
      clearTimeout(timer);
      withdraw?.();
      resolve();
    }
  });
}
