import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process that is never mistaken for a later one with the same pid. `started` is the kernel's start time, as the system spells it. */
export interface Identity {
  readonly pid: number;
  readonly started: string;
  /** The boot that it belongs to, and the space in which its pid means anything (a container has its own). */
  readonly boot: string;
  readonly space: string;
}

/** One living process. Zombies are not listed: they hold nothing and wait only for their parent. */
export interface ProcessRow {
  readonly pid: number;
  readonly group: number;
  /** The pid of who made its session; 0 where the system keeps that to itself. */
  readonly session: number;
  readonly started: string;
  /** Of its program, as far as the system keeps it. */
  readonly name: string;
}

/** `/proc` gives all of it without a process of its own; macOS has only `ps`. */
const LINUX = process.platform === 'linux';

/** All living processes that can be seen. */
export function listProcesses(): readonly ProcessRow[] {
  if (!LINUX) return psRows(['-ax']);
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (procRow(Number(name)) ?? []) : []));
}

/** The process with this pid, `null` when there is none that lives. */
export function findProcess(pid: number): ProcessRow | null {
  return LINUX ? procRow(pid) : (psRows(['-p', String(pid)])[0] ?? null);
}

/** Whether a process was started at that time, or (`first last`, Linux) at one between two. */
export function wasStarted(row: ProcessRow | null, started: string): boolean {
  if (row === null || started === '') return false;
  const [first, last] = started.split(' ');
  return LINUX && last !== undefined
    ? Number(first) <= Number(row.started) && Number(row.started) <= Number(last)
    : row.started === started;
}

/** proc(5): the name in parentheses may hold anything, so fields are counted from the last `)`; 6 is the session, 22 the start time. */
function procRow(pid: number): ProcessRow | null {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, , group, session] = fields;
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    if (state === 'Z' || state === 'X') return null;
    return { pid, group: Number(group), session: Number(session), started: fields[19] ?? '', name };
  } catch {
    return null;
  }
}

function psRows(select: readonly string[]): ProcessRow[] {
  return ps([...select, '-o', 'pid=,pgid=,sess=,stat=,lstart=,comm=']).flatMap((line) => {
    // `Thu Nov 26 10:43:43 2026` is five words. macOS spells a session as an address, or 0.
    const found = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s+((?:\S+\s+){4}\S+)\s+(.*\S)/.exec(line);
    if (!found) return [];
    const [, pid, group, session = '', state = '', started = '', name = ''] = found;
    if (state.startsWith('Z')) return [];
    return [
      { pid: Number(pid), group: Number(group), session: /^\d+$/.test(session) ? Number(session) : 0, started, name },
    ];
  });
}

function ps(args: readonly string[]): string[] {
  try {
    // The start time is spelt by the locale.
    return execFileSync('ps', args, {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n');
  } catch {
    return [];
  }
}

/** Whether a process was started with all these variables; false where its environment cannot be read. */
export function hasEnvironment(pid: number, wanted: Readonly<Record<string, string>>): boolean {
  const found = environmentOf(pid);
  return Object.entries(wanted).every(([name, value]) => found.includes(`${name}=${value}`));
}

/** The variables that a process was started with, as `NAME=value`; none where they cannot be read. */
export function environmentOf(pid: number): readonly string[] {
  if (!LINUX)
    return ps(['-Eww', '-o', 'command=', '-p', String(pid)])
      .join('\n')
      .split(/\s/);
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

let self: Identity | undefined;

/** This process. */
export function ownIdentity(): Identity {
  self ??= { pid: process.pid, started: findProcess(process.pid)?.started ?? '', boot: bootId(), space: pidSpace() };
  return self;
}

/** Whether that process still lives; `elsewhere` when its pid means nothing here, so that nothing can be said. */
export function lifeOf(other: Identity): 'alive' | 'dead' | 'elsewhere' {
  const me = ownIdentity();
  if (other.boot !== me.boot) return 'dead';
  if (other.space !== me.space) return 'elsewhere';
  return findProcess(other.pid)?.started === other.started ? 'alive' : 'dead';
}

function bootId(): string {
  if (LINUX) return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  try {
    return execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

function pidSpace(): string {
  try {
    return LINUX ? readlinkSync('/proc/self/ns/pid') : '';
  } catch {
    return '';
  }
}
