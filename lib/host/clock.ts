import type { Clock } from '../model/ports.ts';

/** A timer that should rest longer does not rest at all: some 25 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** The machine's monotonic clock. */
export const clock: Clock = {
  // `performance` says the same; Node 20 loads a good deal when it is first asked.
  nowMs: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: (durationMs, cancel) =>
    new Promise((resolve) => {
      let withdraw = (): void => undefined;
      const timer = setTimeout(
        () => {
          withdraw();
          resolve();
        },
        Math.min(durationMs, LONGEST_MS),
      );
      // After the timer: a cancel that came already calls back at once.
      withdraw = cancel.onCancel(() => {
        clearTimeout(timer);
        resolve();
      });
    }),
};

/** Rests for a time that nothing cuts short. */
export const rest = (durationMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, durationMs));
