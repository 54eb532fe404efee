import { existsSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isDurable, isJournaled, readJournal, type JournalLine, type Leftover } from '../engine/journal.ts';
import { lifeOf, ownIdentity, type Identity } from '../host/identity.ts';
import { ledgerPath } from '../host/names.ts';
import {
  codeOf,
  endOf,
  isUnwritable,
  makePrivateFolder,
  openLineFile,
  readLines,
  writeFileAtomic,
  type Lines,
} from '../host/store.ts';
import { removeTree } from '../host/tree.ts';
import { currentUser } from '../host/user.ts';
import type { RunEvent } from '../model/event.ts';
import { UsageError } from '../model/failure.ts';
import { piecesOf, type Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import { itemsIn, type Item } from '../model/step.ts';
import type { AboutRun } from './about-run.ts';

/** Finished runs that are kept; older ones go when a new one begins. */
const KEPT_RUNS = 50;
/** So many more are there before any are removed: to remove one at each start takes each start its time. */
const MORE_RUNS = 10;
/** Most bytes of the line with which a journal ends. */
const MAX_LAST_LINE_BYTES = 4096;
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
  readonly id: string;
  readonly record: RunRecord;
  readonly lines: readonly JournalLine[];
  /** Its record can be read: a power cut leaves a plan that nothing waited for empty, or cut short. */
  readonly isWhole: boolean;
  /** It ended, with nothing left to put back or to finish. */
  readonly isOver: boolean;
  /** A last line whose end never arrived: the runner died while writing it. */
  readonly cutShort: boolean;
  /** Lines before it that are no records: a disk that lost power writes such. */
  readonly damaged: number;
}

/** So many characters of an id at least stand for it. */
const MIN_PART = 4;
/** Runs that are named where one of several may be meant. */
const MAX_NAMED = 5;

const folderOf = (slipwayDir: string, run: string): string => join(slipwayDir, 'runs', run);

/** A new run's id: UTC time, and four letters against two runs in one second. */
export function newRunId(now: Date): string {
  const [day, time] = now.toISOString().split('T');
  return `${(day ?? '').replaceAll('-', '')}-${(time ?? '').slice(0, 8).replaceAll(':', '')}-${randomBytes(2).toString('hex')}`;
}

/**
 * Whether a run can leave something that `recover` goes by after a power cut. One that only reads or derives files here
 * cannot: its lines outlive the runner all the same, and no disk has to be waited for.
 */
export function leavesTraces({ nodes }: Plan): boolean {
  const harmless = (item: Item): boolean =>
    item.type === 'step' ? item.effect === 'reads' || item.effect === 'derives' : item.type !== 'change';
  // What no plan describes is a verb's doing, on a device.
  return nodes.length === 0 || nodes.some(({ body }) => ![...itemsIn(body)].every(harmless));
}

/** Of a node in a run's record: `plan`, `nodes`, one of them. */
const NODE_DEPTH = 3;

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
  const path = join(folderOf(slipwayDir, run), 'plan.json');
  writeFileAtomic(path, recordText(record), 0o600, leavesTraces(plan));
}

function* recordText(record: RunRecord): Generator<string> {
  yield* piecesOf(record as unknown as Json, NODE_DEPTH, (value) => JSON.stringify(value));
  yield '\n';
}

/** Takes a run over: from now on this process is its runner. */
export function adoptRun(slipwayDir: string, kept: KeptRun): void {
  const record: RunRecord = { ...kept.record, owner: ownIdentity() };
  writeFileAtomic(join(folderOf(slipwayDir, kept.record.run), 'plan.json'), recordText(record), 0o600);
}

/**
 * The journal of a run as a sink of events. Where the run changes something (`needed`), what must be on the disk is, and
 * a line that cannot be written ends it; otherwise no disk is waited for, and one that filled up only ends the journal.
 */
export function openJournal(
  slipwayDir: string,
  run: string,
  needed = true,
): { readonly write: (event: RunEvent) => void; readonly close: () => void } {
  const file = openLineFile(join(folderOf(slipwayDir, run), 'journal.jsonl'), needed);
  let full = false;
  return {
    write(event) {
      if (full || !isJournaled(event)) return;
      try {
        const line = JSON.stringify({ at: new Date().toISOString(), ...event });
        if (needed) file.appendLine(line, isDurable(event));
        else file.appendSoon(line);
      } catch (error) {
        if (needed || !isUnwritable(error)) throw error;
        full = true;
      }
    },
    close: () => file.close(),
  };
}

/** All kept runs, newest first. */
export function readRuns(slipwayDir: string): readonly KeptRun[] {
  const runs = listRuns(slipwayDir).filter(({ isWhole }) => isWhole);
  return runs.sort((a, b) => laterFirst(secondOf(a.id), secondOf(b.id)) || laterFirst(a.record.at, b.record.at));
}

/** Of `newRunId`; what else lies there, a `.DS_Store` say, is no run. */
const RUN_ID = /^\d{8}-\d{6}-\w+$/;

/** All run folders, the latest second first, none of them read yet: each start asks them only whether they are over. */
export function listRuns(slipwayDir: string): KeptRun[] {
  const folder = join(slipwayDir, 'runs');
  if (!existsSync(folder)) return [];
  const ids = readdirSync(folder).filter((name) => RUN_ID.test(name));
  const runs = ids.map((run) => new RunFolder(run, `${folder}/${run}`));
  return runs.sort((a, b) => laterFirst(secondOf(a.id), secondOf(b.id)));
}

/** Ids begin with the time to the second; those of one second stand in no order. Texts of one form need no locale. */
const secondOf = (run: string): string => run.slice(0, 15);
const laterFirst = (a: string, b: string): number => (a < b ? 1 : a > b ? -1 : 0);

/** One run, or null when there is none of that id. */
export function readRun(slipwayDir: string, run: string): KeptRun | null {
  const kept = new RunFolder(run, folderOf(slipwayDir, run));
  return kept.isWhole ? kept : null;
}

/** What is kept of a run, each part read when it is first asked for: most runs are only asked whether they are over. */
class RunFolder implements KeptRun {
  readonly id: string;
  readonly #folder: string;
  #record: RunRecord | undefined;
  #journal: Lines | undefined;
  #lines: readonly JournalLine[] | undefined;
  #isOver = false;

  constructor(id: string, folder: string) {
    this.id = id;
    this.#folder = folder;
  }

  get #plan(): string {
    return `${this.#folder}/plan.json`;
  }

  get #journalFile(): string {
    return `${this.#folder}/journal.jsonl`;
  }

  get record(): RunRecord {
    return (this.#record ??= JSON.parse(readFileSync(this.#plan, 'utf8')) as RunRecord);
  }

  get isWhole(): boolean {
    return endOf(this.#plan, 1) === '\n';
  }

  get lines(): readonly JournalLine[] {
    return (this.#lines ??= this.#read().lines.flatMap(parseLine));
  }

  /** Looked at again as long as it is not: once a run is over, it stays so. */
  get isOver(): boolean {
    return (this.#isOver ||= this.#endedWhole());
  }

  #endedWhole(): boolean {
    const end = endOf(this.#journalFile, MAX_LAST_LINE_BYTES) ?? '';
    const [last] = end.endsWith('\n') ? parseLine(end.split('\n').at(-2) ?? '') : [];
    if (last === undefined) return false;
    // The services of a watch end after their run.
    const over = last.type === 'run-finished' ? last : this.lines.findLast((line) => line.type === 'run-finished');
    return over !== undefined && over.outcome !== 'not-put-back';
  }

  get cutShort(): boolean {
    return this.#read().cutShort !== null;
  }

  get damaged(): number {
    return this.#read().lines.length - this.lines.length;
  }

  #read(): Lines {
    return (this.#journal ??= readLines(this.#journalFile));
  }
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
    if (kept.isOver || !kept.isWhole) return [];
    const past = readJournal(kept.lines);
    const toDo = past.open.length > 0 || past.unfinishedAfterSettling || kept.record.undoes !== undefined;
    const unfinished = !past.finishedRun && toDo;
    return unfinished && lifeOf(kept.record.owner) === 'dead' ? [{ kept, past }] : [];
  });
}

/** A run that was cut off where nothing was to be put back or to be finished, and left nothing running. */
const leftNothing = (slipwayDir: string, kept: KeptRun): boolean =>
  kept.isWhole &&
  lifeOf(kept.record.owner) === 'dead' &&
  leftovers([kept]).length === 0 &&
  !existsSync(ledgerPath(slipwayDir, kept.id));

/** Bytes of output that are kept of all runs together; the oldest go first. */
const KEPT_LOG_BYTES = 2 ** 30;

/** Removes what older runs printed, and the prior states of all but the latest runs that saved any: these cannot be undone. */
function forgetParts(slipwayDir: string, finished: readonly KeptRun[]): void {
  let bytes = 0;
  let saves = 0;
  for (const { id } of finished) {
    const [folder, saved] = [`${slipwayDir}/runs/${id}`, `${slipwayDir}/saved/${id}`];
    const logs = namesIn(folder).filter((name) => name.endsWith('.log'));
    for (const name of logs) bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > KEPT_LOG_BYTES) for (const name of logs) rmSync(join(folder, name), { force: true });
    if (existsSync(saved) && ++saves > KEPT_SAVES) removeTree(saved);
  }
}

/** The names in a run's folder; none when another start has just removed it. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Removes the folders of old runs that are over or left nothing, but for those that an unfinished undo still needs. */
export function forgetOldRuns(slipwayDir: string, runs: readonly KeptRun[]): void {
  const unfinished = runs.filter((kept) => !kept.isOver && kept.isWhole);
  const needed = new Set(unfinished.map(({ record }) => record.undoes));
  const isOver = (kept: KeptRun): boolean => kept.isOver && !needed.has(kept.id);
  const old = runs.length < KEPT_RUNS + MORE_RUNS ? [] : runs.slice(KEPT_RUNS);
  for (const { id } of old.filter((kept) => !needed.has(kept.id) && (kept.isOver || leftNothing(slipwayDir, kept)))) {
    rmSync(folderOf(slipwayDir, id), { recursive: true, force: true });
    removeTree(join(slipwayDir, 'saved', id));
  }
  forgetParts(
    slipwayDir,
    runs.filter((kept) => isOver(kept) && !old.includes(kept)),
  );
}

/** The run that put this one back whole, or `undefined`. */
export const undoneBy = (runs: readonly KeptRun[], run: string): KeptRun | undefined =>
  runs.find(
    ({ record, lines }) =>
      record.undoes === run && lines.some((line) => line.type === 'run-finished' && line.outcome === 'done'),
  );

/** A run by its id, by a part that only one id has, or `last`; a usage error when there is none. */
export function findRun(runs: readonly KeptRun[], run: string): KeptRun {
  const exact = run === 'last' ? runs[0] : runs.find(({ id }) => id === run);
  const alike = exact || run.length < MIN_PART ? [] : runs.filter(({ id }) => id.includes(run));
  if (alike.length > 1)
    throw new UsageError(
      `${run} may be any of ${String(alike.length)} runs`,
      `say more of its id: ${alike
        .slice(0, MAX_NAMED)
        .map(({ id }) => id)
        .join(', ')}${alike.length > MAX_NAMED ? ', …' : ''}`,
    );
  const found = exact ?? alike[0];
  if (!found) throw new UsageError(`there is no run ${run}`, '"history" lists the runs that are kept');
  return found;
}
