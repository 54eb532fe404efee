import type { RunEvent, TaskOutcome } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { LivePerformer, Performer } from '../model/ports.ts';
import { goesOn, passingOf } from './follow.ts';
import type { Past } from './run.ts';

/** A line of a journal: the event, and when it was written (ISO time). */
export type JournalLine = RunEvent & { readonly at: string };

/** Events that must be on the disk before anything goes on; the others ride along with the next of these. */
const DURABLE: ReadonlySet<RunEvent['type']> = new Set([
  'run-started',
  'run-resumed',
  'change-started',
  'change-finished',
  'settled',
  'undo-started',
  'undo-finished',
  'undo-failed',
  'task-finished',
  'run-finished',
] as const);

export const isDurable = (event: RunEvent): boolean => DURABLE.has(event.type);

/** Output goes to files of its own, and what is only told to people is soon untrue. */
const TOLD: ReadonlySet<RunEvent['type']> = new Set([
  'run-stopping',
  'task-up',
  'step-output',
  'step-progress',
  'undo-step-started',
  'device-undoes',
] as const);

/** Everything is, but what is only told. */
export const isJournaled = (event: RunEvent): boolean => !TOLD.has(event.type);

/** What a cut-off run left to be done, read from its journal. */
export interface Leftover extends Past {
  readonly finishedRun: boolean;
  readonly goals: readonly string[];
  /** A task had settled, and was not finished. */
  readonly unfinishedAfterSettling: boolean;
  readonly failed: ReadonlyMap<string, Extract<RunEvent, { type: 'step-failed' }>>;
}

/** Reads a journal; a task that was tried again counts from there. */
export function readJournal(lines: readonly RunEvent[]): Leftover {
  const started = new Set<string>();
  const finished = new Map<string, TaskOutcome>();
  const facts = new Map<string, Json>();
  const undone = new Set<string>();
  const undoing = new Map<string, Failure>();
  const guarded = new Set<string>();
  const settled = new Set<string>();
  const values = new Map<string, Json>();
  const waited = new Map<string, Json>();
  const failed = new Map<string, Extract<RunEvent, { type: 'step-failed' }>>();
  const begun = new Map<string, string>();
  let goals: readonly string[] = [];
  let finishedRun = false;
  const key = (line: { readonly id: string; readonly iteration?: string }): string =>
    passingOf(line.id, line.iteration);
  for (const line of lines) {
    switch (line.type) {
      case 'run-started':
        goals = line.goals;
        break;
      case 'task-started':
        started.add(line.task);
        break;
      case 'task-retried':
        for (const entries of [values, waited, failed, undone, undoing, guarded, begun]) forget(entries, line.task);
        break;
      case 'task-facts':
        for (const [id, value] of Object.entries(line.facts)) facts.set(id, value);
        break;
      case 'step-finished':
        values.set(key(line), line.value);
        if (line.iteration === undefined) facts.set(line.id, line.value);
        break;
      case 'step-failed':
        failed.set(key(line), line);
        break;
      case 'wait-finished':
        waited.set(key(line), line.value);
        break;
      case 'change-started':
        begun.set(key(line), line.id);
        break;
      case 'guard-failed':
        guarded.add(key(line));
        break;
      case 'undo-started':
        if (!undoing.has(key(line))) undoing.set(key(line), line.because);
        break;
      case 'undo-finished':
        undone.add(key(line));
        begun.delete(key(line));
        break;
      case 'settled':
        settled.add(line.task);
        forget(begun, line.task);
        break;
      case 'task-finished':
        finished.set(line.task, line.outcome);
        if (line.outcome === 'done' || line.outcome === 'fresh') forget(begun, line.task);
        break;
      case 'run-finished':
        finishedRun = line.outcome !== 'not-put-back';
        break;
      default:
    }
  }
  const unfinishedAfterSettling = [...settled].some((task) => !finished.has(task));
  for (const [task, outcome] of finished) if (outcome === 'failed' || outcome === 'cancelled') finished.delete(task);
  return {
    finishedRun,
    goals,
    started,
    finished,
    facts,
    undone,
    undoing,
    guarded,
    settled,
    values,
    waited,
    failed,
    open: [...begun.values()],
    unfinishedAfterSettling,
  };
}

function forget(entries: Map<string, unknown> | Set<string>, task: string): void {
  for (const key of entries.keys()) if (key.startsWith(`${task}/`)) entries.delete(key);
}

/**
 * Answers from the journal what an earlier life of the run already did. At the first step that it did not, the walk
 * is told that it was cut off, and what is open is put back; a task that had settled is finished instead.
 */
export function replayPerformer(past: Leftover, live: LivePerformer): LivePerformer {
  const performer: Performer = {
    explores: false,
    perform(step, performing) {
      const key = passingOf(step.id, performing.iteration);
      const value = past.values.get(key);
      // Also what was told at the end: once is enough.
      if (value !== undefined) return Promise.resolve({ ok: true, fact: { known: true, value } });
      if (performing.undoing || performing.afterwards === true) return live.perform(step, performing);
      const failure = past.failed.get(key);
      if (failure) return Promise.resolve({ ok: false, failure: failure.failure });
      // A resumed walk comes here in spite of a cancel: what was done before is gone through first, to be put back.
      if (performing.cancel.cancelled) return Promise.resolve({ ok: false, failure: performing.cancel.cancelled });
      if (goesOn(past, step.id, performing.iteration)) return live.perform(step, performing);
      return Promise.resolve({ ok: false, failure: { reason: 'cut-off' } });
    },
    enter: (scope, performing) => live.enter(scope, performing),
    serviceEnded: () => Promise.resolve({ reason: 'cut-off' }),
    ...(live.secret ? { secret: (name: string) => live.secret?.(name) } : {}),
  };
  return performer as LivePerformer;
}

/** Whether a run was cut off, and put back, or finished where it had settled: that is not what it was asked for. */
export const wasRecovered = (lines: readonly JournalLine[]): boolean => {
  const end = lines.findLast((line) => line.type === 'run-finished');
  return end?.type === 'run-finished' && end.outcome === 'done' && lines.some(({ type }) => type === 'run-resumed');
};
