import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import {
  environmentOf,
  findProcess,
  hasEnvironment,
  lifeOf,
  listProcesses,
  ownIdentity,
  wasStarted,
  type Identity,
  type ProcessRow,
} from './identity.ts';
import { endGroup, GRACE_MS, membersOf, type Group, type Marker } from './group.ts';
import { ledgerPath } from './names.ts';
import { openLineFile, readLines, type LineFile } from './store.ts';
import { removeTree } from './tree.ts';

/** What a child carries: runs in it must not wait for the outer ones. */
type RunMarker = Marker & { readonly SLIPWAY_RUN: string };

/** What a run started and what of it ended, in a form that outlives the runner. */
export interface Ledger {
  /**
   * Says that a process is about to start; its number, and what it must carry in its environment: by that it is found
   * when the line was still to be written. One that shares the runner's group (not `own`) is written down at once.
   */
  spawning(command: string, own: boolean): { readonly spawn: number; readonly marker: RunMarker };
  spawned(spawn: number, child: { readonly pid: number; readonly started: string }): void;
  /** The process and everything in its group are gone. */
  ended(spawn: number): void;
  /** Writes the runner down, even though nothing was started yet. */
  begin(): void;
  /** Removes the ledger if everything ended. */
  close(): void;
}

/** A process group that an earlier runner left behind and that was ended. */
export interface Reaped {
  readonly run: string;
  readonly pid: number;
  readonly command: string;
}

type Entry =
  /** `token` is unlike that of any other ledger: run ids of two checkouts may be the same. */
  | { readonly runner: Identity; readonly token: string }
  | { readonly spawning: number; readonly command: string; readonly own: boolean }
  | { readonly spawned: number; readonly pid: number; readonly started: string }
  | { readonly ended: number };

const markerOf = (token: string, spawn: number): Marker => ({ SLIPWAY_SPAWN: `${token}.${String(spawn)}` });

/** The runs, the outermost first, one within a command of the other, within whose commands this process is. */
export const outerRuns = (): readonly string[] => process.env['SLIPWAY_RUN']?.split(' ') ?? [];

/**
 * Opens the ledger of a run; the file appears with its first line. No line is fsynced: written, it outlives a runner
 * that is killed, and a machine that loses power loses the processes, too. Lines are written by the end of the turn:
 * to be there before a command starts would cost a short one a tenth of its time, and its marker tells as much.
 */
export function openLedger(slipwayDir: string, run: string): Ledger {
  const path = ledgerPath(slipwayDir, run);
  const open = new Set<number>();
  let file: LineFile | undefined;
  let count = 0;
  const within = [...outerRuns(), run].join(' ');
  let token = randomBytes(8).toString('hex');
  const write = (entry: Entry, soon = false): void => {
    const line = JSON.stringify(entry);
    if (soon) file?.appendSoon(line);
    else file?.appendLine(line, false);
  };
  const begin = (): void => {
    if (file) return;
    const earlier = readEntries(path);
    count = Math.max(0, ...earlier.map((entry) => ('spawning' in entry ? entry.spawning : 0)));
    for (const left of openSpawns(earlier)) open.add(left.spawn);
    // A run that goes on keeps its token: the marker of what it started before stays valid.
    token = runnerOf(earlier)?.token ?? token;
    file = openLineFile(path);
    write({ runner: ownIdentity(), token });
  };
  return {
    begin,
    spawning(command, own) {
      begin();
      const spawn = ++count;
      open.add(spawn);
      write({ spawning: spawn, command, own }, own);
      return { spawn, marker: { SLIPWAY_RUN: within, ...markerOf(token, spawn) } };
    },
    spawned: (spawn, { pid, started }) => write({ spawned: spawn, pid, started }, true),
    ended(spawn) {
      if (open.delete(spawn)) write({ ended: spawn }, true);
    },
    close() {
      file?.close();
      if (file && open.size === 0) fs.rmSync(path, { force: true });
      file = undefined;
    },
  };
}

const runnerOf = (entries: readonly Entry[]): Extract<Entry, { runner: Identity }> | undefined =>
  entries.findLast((entry) => 'runner' in entry);

function readEntries(path: string): readonly Entry[] {
  return readLines(path).lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as Entry];
    } catch {
      return [];
    }
  });
}

/** What a dead runner left, and the name of what it started. */
interface Left {
  readonly group: Group;
  readonly command: string;
}

interface OpenSpawn {
  readonly spawn: number;
  readonly command: string;
  readonly own: boolean;
  /** Absent when the runner died between starting the process and writing its pid down. */
  readonly child?: { readonly pid: number; readonly started: string };
}

function openSpawns(entries: readonly Entry[]): readonly OpenSpawn[] {
  const open = new Map<number, OpenSpawn>();
  for (const entry of entries) {
    if ('spawning' in entry)
      open.set(entry.spawning, { spawn: entry.spawning, command: entry.command, own: entry.own });
    else if ('ended' in entry) open.delete(entry.ended);
    else if ('spawned' in entry) {
      const begun = open.get(entry.spawned);
      if (begun) open.set(entry.spawned, { ...begun, child: { pid: entry.pid, started: entry.started } });
    }
  }
  return [...open.values()];
}

/**
 * Ends what runners that died left running, and removes their scratch folders; before anything else of a new run.
 * Only what is surely theirs: a living leader with the recorded start time, or a process that carries the marker.
 */
export async function reapLeftovers(slipwayDir: string, graceMs = GRACE_MS): Promise<readonly Reaped[]> {
  const runs = fs.existsSync(join(slipwayDir, 'runs')) ? fs.readdirSync(join(slipwayDir, 'runs')) : [];
  const reaped = await Promise.all(runs.map((run) => reapRun(slipwayDir, run, graceMs)));
  return reaped.flat();
}

/** The same of one run; returns once nothing of it is left. */
export async function reapRun(slipwayDir: string, run: string, graceMs: number): Promise<readonly Reaped[]> {
  const path = ledgerPath(slipwayDir, run);
  // Of nearly all runs: asking costs less than an error that says so.
  if (!fs.existsSync(path)) return [];
  const entries = readEntries(path);
  const found = runnerOf(entries);
  if (!found || lifeOf(found.runner) !== 'dead') return [];
  const sameBoot = found.runner.boot === ownIdentity().boot;
  const groups = sameBoot
    ? [...openSpawns(entries), ...unwrittenSpawns(entries, found.token)].flatMap((left) =>
        groupsOf(left, markerOf(found.token, left.spawn)),
      )
    : [];
  await Promise.all(groups.map(({ group }) => endGroup(group, 'SIGTERM', graceMs)));
  // Whoever recovers the run meanwhile goes on in the same ledger and folder.
  if (readEntries(path).length === entries.length) {
    removeTree(join(slipwayDir, 'tmp', run));
    fs.rmSync(path, { force: true });
  }
  return groups.map(({ group, command }) => ({ run, pid: group.leader, command }));
}

function groupsOf({ command, own, child }: OpenSpawn, marker: Marker): readonly Left[] {
  if (child && own) {
    const group: Group = { leader: child.pid, own, marker };
    const me = findProcess(process.pid);
    const surelyOurs =
      (me === null || child.pid !== leaderOf(me)) &&
      (wasStarted(findProcess(child.pid), child.started) ||
        membersOf(group).some((pid) => hasEnvironment(pid, marker)));
    return surelyOurs ? [{ group, command }] : [];
  }
  return groupsWith(marker, command, own, child?.pid);
}

/** What living processes carry with the ledger's token, and the runner did not come to write down. */
function unwrittenSpawns(entries: readonly Entry[], token: string): readonly OpenSpawn[] {
  const written = new Set(entries.flatMap((entry) => ('spawning' in entry ? [entry.spawning] : [])));
  const prefix = `SLIPWAY_SPAWN=${token}.`;
  const found = new Map<number, OpenSpawn>();
  // The leader names it.
  const leads = ({ pid, group }: ProcessRow): number => Number(pid === group);
  for (const { pid, name } of listProcesses().toSorted((a, b) => leads(b) - leads(a))) {
    const carried = environmentOf(pid).find((pair) => pair.startsWith(prefix));
    const spawn = Number(carried?.slice(prefix.length));
    if (carried === undefined || written.has(spawn)) continue;
    if (!found.has(spawn)) found.set(spawn, { spawn, command: name, own: true });
  }
  return [...found.values()];
}

/**
 * The group of the living processes that carry a marker. A run inside of that run carries it, too: it does not end
 * itself. What made itself a session stays, as it does where the command's pid is known: its number is the higher one.
 */
export function groupsWith(marker: Marker, command: string, own = true, leader?: number): readonly Left[] {
  const me = findProcess(process.pid);
  const marked = listProcesses().filter(
    (row) =>
      hasEnvironment(row.pid, marker) &&
      row.pid !== process.pid &&
      !(own && me !== null && leaderOf(row) === leaderOf(me)),
  );
  if (!own)
    return marked.length === 0 ? [] : [{ group: { leader: leader ?? marked[0]?.pid ?? 0, own, marker }, command }];
  const first = Math.min(...marked.map((row) => row.session));
  return [...new Set(marked.filter((row) => row.session === first).map(leaderOf))].map((found) => ({
    group: { leader: found, own, marker },
    command,
  }));
}

/** Commands lead a session; where none is told, their group. */
const leaderOf = ({ session, group }: ProcessRow): number => (session === 0 ? group : session);
