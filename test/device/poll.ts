import { setTimeout as rest } from 'node:timers/promises';

/** Waits until `probe` yields something other than null, false or undefined; fails at the deadline. */
export async function until<T>(what: string, probe: () => T | Promise<T>, timeoutMs = 10_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await rest(10);
  }
}
