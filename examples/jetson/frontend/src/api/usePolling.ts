import { useEffect, useState } from 'react';

/** The last answer, and why there is no newer one. */
export interface Polled<T> {
  data: T | null;
  error: Error | null;
}

const ANSWER_MS_MAX = 8_000;

/**
 * Loads again and again, `pauseMs` after each answer, so that a slow API is never asked twice at once.
 * A request is given up when the component goes, `load` changes or it takes too long.
 */
export function usePolling<T>(load: (signal: AbortSignal) => Promise<T>, pauseMs: number): Polled<T> {
  const [polled, setPolled] = useState<Polled<T>>({ data: null, error: null });

  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const poll = async (): Promise<void> => {
      try {
        const data = await load(AbortSignal.any([ended.signal, AbortSignal.timeout(ANSWER_MS_MAX)]));
        if (!ended.signal.aborted) setPolled({ data, error: null });
      } catch (cause) {
        const error = cause instanceof Error ? cause : new Error(String(cause));
        if (!ended.signal.aborted) setPolled((last) => ({ ...last, error }));
      }
      if (!ended.signal.aborted) timer = setTimeout(() => void poll(), pauseMs);
    };
    void poll();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [load, pauseMs]);

  return polled;
}
