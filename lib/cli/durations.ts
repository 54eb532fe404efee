import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { besideOf } from '../host/store.ts';
import type { RunEvent } from '../model/event.ts';

/** Tasks of which the last time is kept; those that did not run for longest go. */
const MAX_TASKS = 5_000;

/** How long tasks took when they last ran to their end, in ms, kept in one small file: journals are long, and go. */
export interface Durations {
  readonly lastMs: (task: string) => number | undefined;
  write(event: RunEvent): void;
  /** Keeps what was new, as well as it can be: of two runs at the same time one is forgotten, and nothing waits for the disk. */
  save(): void;
}

export function openDurations(slipwayDir: string): Durations {
  const path = join(slipwayDir, 'durations.json');
  const fresh = new Map<string, number>();
  let before: Map<string, number> | undefined;
  return {
    lastMs: (task) => (before ??= read(path)).get(task),
    write(event) {
      if (event.type === 'task-finished' && event.outcome === 'done')
        fresh.set(event.task, Math.round(event.durationMs));
    },
    save() {
      if (fresh.size === 0) return;
      const all = new Map([...read(path)].filter(([task]) => !fresh.has(task)));
      for (const [task, ms] of fresh) all.set(task, ms);
      const beside = besideOf(path);
      try {
        writeFileSync(beside, JSON.stringify(Object.fromEntries([...all].slice(-MAX_TASKS))), { mode: 0o600 });
        renameSync(beside, path);
      } catch {
        // A full disk, say: the next run knows less.
      }
    },
  };
}

/** A file that is missing or damaged tells nothing. */
function read(path: string): Map<string, number> {
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as { readonly [task: string]: unknown } | null;
    return new Map(
      Object.entries(kept ?? {}).flatMap(([task, ms]) => (typeof ms === 'number' ? [[task, ms] as const] : [])),
    );
  } catch {
    return new Map();
  }
}
