import { renderHook } from '@testing-library/react';
import { expect, test, vi } from 'vitest';

import { usePolling } from './usePolling.ts';

test('gives its request up when the component goes, and asks no more', async () => {
  vi.useFakeTimers();
  const signals: AbortSignal[] = [];
  const load = (signal: AbortSignal) => {
    signals.push(signal);
    return new Promise<never>(() => undefined);
  };
  const { unmount } = renderHook(() => usePolling(load, 1_000));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(signals.map((signal) => signal.aborted)).toEqual([false]);
  unmount();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(signals.map((signal) => signal.aborted)).toEqual([true]);
  vi.useRealTimers();
});
