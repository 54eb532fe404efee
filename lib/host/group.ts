import type { Failure, Signal } from '../model/failure.ts';
import { rest } from './clock.ts';
import { hasEnvironment, listProcesses, type ProcessRow } from './identity.ts';

/** A variable that every child carries, so that it is known as ours when nothing else tells. */
export type Marker = Readonly<Record<'SLIPWAY_SPAWN', string>>;

/**
 * The processes of one command. `own`: they have a process group, whose id is the leader's pid. Otherwise (a command
 * that reads the terminal) they share the runner's group and are told by their marker.
 */
export interface Group {
  readonly leader: number;
  readonly own: boolean;
  readonly marker: Marker;
}

/** Time between asking a group to end and killing it, in ms. */
export const GRACE_MS = 5_000;
/** Time that processes left behind by their leader get to end by themselves, in ms: a `tee` that empties its pipe. */
const SETTLE_MS = 200;
/** Time to wait for killed processes to be gone, in ms; one in an uninterruptible system call may stay. */
const KILLED_MS = 2_000;
const POLL_MS = 10;

/** The living processes of a group. */
export const membersOf = (group: Group): readonly number[] => rowsOf(group).map((row) => row.pid);

/** A shell with job control gives each job a group of its own, within the session; what made itself a session is left alone. */
function rowsOf(group: Group): readonly ProcessRow[] {
  const mine = group.own
    ? (row: ProcessRow): boolean => row.group === group.leader || row.session === group.leader
    : (row: ProcessRow): boolean => hasEnvironment(row.pid, group.marker);
  return listProcesses().filter((row) => row.pid !== process.pid && mine(row));
}

/** Sends a signal to every process of a group. */
function signalGroup(group: Group, signal: NodeJS.Signals): void {
  const rows = rowsOf(group);
  if (!group.own) return rows.forEach((row) => signalPid(row.pid, signal));
  for (const one of new Set([group.leader, ...rows.map((row) => row.group)])) signalPid(-one, signal);
}

/** False when there is no such process; one that we may not signal (it changed its user) is there. */
function signalPid(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Ends a group: the signal, and KILL for whatever is left after the grace period. */
export async function endGroup(group: Group, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  signalGroup(group, signal);
  if (await goneWithin(group, graceMs)) return;
  signalGroup(group, 'SIGKILL');
  await goneWithin(group, KILLED_MS);
}

/** Ends a group that is about to end by itself: what a leader left behind, say. */
export async function endSurvivors(group: Group, graceMs: number, settleMs = SETTLE_MS): Promise<void> {
  // One cheap question first, of the leader's own group: of most commands nothing is left, and to look at all processes takes long.
  if (group.own && !signalPid(-group.leader, 0)) return;
  if (!(await goneWithin(group, settleMs))) await endGroup(group, 'SIGTERM', graceMs);
}

async function goneWithin(group: Group, limitMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs;
  for (let pauseMs = POLL_MS; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    if (membersOf(group).length === 0) return true;
    if (performance.now() >= deadlineMs) return false;
    await rest(pauseMs);
  }
}

/** The signal that passes a cancel on: the one that the runner got, otherwise TERM. */
export function signalFor(why: Failure): Signal {
  return why.reason === 'cancelled' ? why.signal : 'SIGTERM';
}
