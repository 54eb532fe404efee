import { existsSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isDurable, isJournaled, readJournal, type JournalLine, type Leftover } from '../engine/journal.ts';
import { lifeOf, ownIdentity, type Identity } from '../host/identity.ts';
import { makePrivateFolder, openLineFile, readLines, writeFileAtomic } from '../host/store.ts';
import { removeTree } from '../host/tree.ts';
import { currentUser } from '../host/user.ts';
import type { RunEvent } from '../model/event.ts';
import { UsageError } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { AboutRun } from './about-run.ts';

/** Finished runs that are kept; older ones go when a new one begins. */
const KEPT_RUNS = 50;
/** Runs whose prior states are kept, so that they can be undone; devices keep as many. */
const KEPT_SAVES = 20;

/** What is saved of a run before its first step. */
export interface RunRecord {
  readonly run: string;
  /** ISO time at which it began. */
  readonly at: string;
  readonly owner: Identity;
  readonly who: string;
  readonly goals: readonly string[];
  readonly plan: Plan;
  readonly about?: AboutRun;
  /** Of an undo: the run that it puts back. Its plan is that run's, without the tasks that it leaves alone. */
  readonly undoes?: string;
}

/** A run as its folder tells it. */
export interface KeptRun {
  readonly record: RunRecord;
  readonly lines: readonly JournalLine[];
  /** A last line whose end never arrived: the runner died while writing it. */
  readonly cutShort: boolean;
  /** Lines before it that are no records: a disk that lost power writes such. */
  readonly damaged: number;
}

const folderOf = (slipwayDir: string, run: string): string => join(slipwayDir, 'runs', run);

/** A new run's id: UTC time, and four letters against two runs in one second. */
export function newRunId(now: Date): string {
  const [day, time] = now.toISOString().split('T');
  return `${(day ?? '').replaceAll('-', '')}-${(time ?? '').slice(0, 8).replaceAll(':', '')}-${randomBytes(2).toString('hex')}`;
}

/** Begins a run's folder: the plan first, so that what died can be recovered. */
export function beginRun(slipwayDir: string, run: string, plan: Plan, about: AboutRun, undoes?: string): void {
  makePrivateFolder(folderOf(slipwayDir, run));
  // Spelt out, so that the lazily made digest is in it.
  const saved: Plan = { version: plan.version, goals: plan.goals, nodes: plan.nodes, digest: plan.digest };
  const record: RunRecord = {
    run,
    at: new Date().toISOString(),
    owner: ownIdentity(),
    who: currentUser(),
    goals: plan.goals,
    plan: saved,
    about,
    ...(undoes === undefined ? {} : { undoes }),
  };
  writeFileAtomic(join(folderOf(slipwayDir, run), 'plan.json'), `${JSON.stringify(record)}\n`, 0o600);
}

/** Takes a run over: from now on this process is its runner. */
export function adoptRun(slipwayDir: string, kept: KeptRun): void {
  const record: RunRecord = { ...kept.record, owner: ownIdentity() };
  writeFileAtomic(join(folderOf(slipwayDir, kept.record.run), 'plan.json'), `${JSON.stringify(record)}\n`, 0o600);
}

/** The journal of a run as a sink of events. */
export function openJournal(
  slipwayDir: string,
  run: string,
): { readonly write: (event: RunEvent) => void; readonly close: () => void } {
  const file = openLineFile(join(folderOf(slipwayDir, run), 'journal.jsonl'));
  return {
    write(event) {
      if (isJournaled(event))
        file.appendLine(JSON.stringify({ at: new Date().toISOString(), ...event }), isDurable(event));
    },
    close: () => file.close(),
  };
}

/** All kept runs, newest first. */
export function readRuns(slipwayDir: string): readonly KeptRun[] {
  const folder = join(slipwayDir, 'runs');
  if (!existsSync(folder)) return [];
  const runs = readdirSync(folder).flatMap((run) => readRun(slipwayDir, run) ?? []);
  // By the time, not the id: ids of one second stand in no order.
  return runs.sort((a, b) => b.record.at.localeCompare(a.record.at));
}

/** One run, or null when there is none of that id. */
export function readRun(slipwayDir: string, run: string): KeptRun | null {
  const folder = folderOf(slipwayDir, run);
  const planFile = join(folder, 'plan.json');
  if (!existsSync(planFile)) return null;
  const { lines, cutShort } = readLines(join(folder, 'journal.jsonl'));
  const record = JSON.parse(readFileSync(planFile, 'utf8')) as RunRecord;
  const parsed = lines.flatMap(parseLine);
  return { record, lines: parsed, cutShort: cutShort !== null, damaged: lines.length - parsed.length };
}

/** A line that is no JSON (a disk that lost power writes such) tells nothing; what follows it still does. */
function parseLine(line: string): readonly JournalLine[] {
  try {
    return [JSON.parse(line) as JournalLine];
  } catch {
    return [];
  }
}

/** Runs whose runner is gone and that left changes open, or an undo half done, newest first, with what is to be done. */
export function leftovers(runs: readonly KeptRun[]): readonly { readonly kept: KeptRun; readonly past: Leftover }[] {
  return runs.flatMap((kept) => {
    const past = readJournal(kept.lines);
    const toDo = past.open.length > 0 || past.unfinishedAfterSettling || kept.record.undoes !== undefined;
    const unfinished = !past.finishedRun && toDo;
    return unfinished && lifeOf(kept.record.owner) === 'dead' ? [{ kept, past }] : [];
  });
}

/** Bytes of output that are kept of all runs together; the oldest go first. */
const KEPT_LOG_BYTES = 2 ** 30;

/** Removes what older runs printed, and the prior states of all but the latest runs that saved any: these cannot be undone. */
function forgetParts(slipwayDir: string, finished: readonly KeptRun[]): void {
  let bytes = 0;
  let saves = 0;
  for (const { record } of finished) {
    const [folder, saved] = [folderOf(slipwayDir, record.run), join(slipwayDir, 'saved', record.run)];
    const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
    for (const name of logs) bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > KEPT_LOG_BYTES) for (const name of logs) rmSync(join(folder, name), { force: true });
    if (existsSync(saved) && ++saves > KEPT_SAVES) removeTree(saved);
  }
}

/** Removes the folders of old finished runs, but for those that an unfinished undo still needs. */
export function forgetOldRuns(slipwayDir: string, runs: readonly KeptRun[]): void {
  const needed = new Set(leftovers(runs).map(({ kept }) => kept.record.undoes));
  const isOver = ({ record, lines }: KeptRun): boolean =>
    lines.some((line) => line.type === 'run-finished' && line.outcome !== 'not-put-back') && !needed.has(record.run);
  for (const { record } of runs.slice(KEPT_RUNS).filter(isOver)) {
    rmSync(folderOf(slipwayDir, record.run), { recursive: true, force: true });
    removeTree(join(slipwayDir, 'saved', record.run));
  }
  forgetParts(slipwayDir, runs.slice(0, KEPT_RUNS).filter(isOver));
}

/** The run that put this one back whole, or `undefined`. */
export const undoneBy = (runs: readonly KeptRun[], run: string): KeptRun | undefined =>
  runs.find(
    ({ record, lines }) =>
      record.undoes === run && lines.some((line) => line.type === 'run-finished' && line.outcome === 'done'),
  );

/** A run by its id; a usage error when there is none. */
export function findRun(runs: readonly KeptRun[], run: string): KeptRun {
  const found = runs.find(({ record }) => record.run === run);
  if (!found) throw new UsageError(`there is no run ${run}`, '"history" lists the runs that are kept');
  return found;
}
