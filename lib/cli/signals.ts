import { readFileSync } from 'node:fs';
import { CancelSource } from '../engine/cancel.ts';
import type { Signal } from '../model/failure.ts';

/** How often the parent is looked at, in ms. */
const PARENT_POLL_MS = 500;

/**
 * A cancel that the first INT, TERM or HUP sets off; later ones change nothing, so that an undo is never cut short.
 * A terminal that closed (EPIPE) does not end the process either. Released, it still listens: a signal between the end
 * of the work and the end of the process must not replace the exit status. What is not `heard` changes nothing at all.
 */
export function cancelOnSignals(heard: (signal: Signal) => boolean = () => true): {
  readonly cancel: CancelSource;
  readonly release: () => void;
} {
  const cancel = new CancelSource();
  const signals: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const stop = (signal: Signal): void => cancel.cancel({ reason: 'cancelled', signal });
  for (const signal of signals) process.on(signal, () => (heard(signal) ? stop(signal) : undefined));
  const ignore = (): void => undefined;
  process.stdout.on('error', ignore);
  process.stderr.on('error', ignore);
  const watch = watchParent(() => stop('SIGHUP'));
  return { cancel, release: () => clearInterval(watch) };
}

/** npm and tsx stand in front without passing HUP on: their death counts as one. */
function watchParent(gone: () => void): NodeJS.Timeout | undefined {
  const parent = process.ppid;
  if (!standsInFront(parent)) return undefined;
  return setInterval(() => {
    if (process.ppid !== parent) gone();
  }, PARENT_POLL_MS).unref();
}

function standsInFront(pid: number): boolean {
  if (process.env['npm_lifecycle_event'] !== undefined) return true;
  try {
    return /\btsx\b/.test(readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8'));
  } catch {
    return process.env['npm_execpath'] !== undefined;
  }
}
