import type { Clock } from '../model/ports.ts';

/** The machine's monotonic clock. */
export const clock: Clock = {
  // `performance` says the same; Node 20 loads a good deal when it is first asked.
  nowMs: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: (durationMs, cancel) =>
    new Promise((resolve) => {
      let withdraw = (): void => undefined;
      const timer = setTimeout(() => {
        withdraw();
        resolve();
      }, durationMs);
      // After the timer: a cancel that came already calls back at once.
      withdraw = cancel.onCancel(() => {
        clearTimeout(timer);
        resolve();
      });
    }),
};

/** Rests for a time that nothing cuts short. */
export const rest = (durationMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, durationMs));
