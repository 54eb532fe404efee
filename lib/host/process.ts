import { existsSync } from 'node:fs';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { rest } from './clock.ts';
import { spawnChild, type Child, type Start, type Take } from './child.ts';
import { endGroup, endSurvivors, GRACE_MS, signalFor, type Group } from './group.ts';
import { groupsWith, type Ledger } from './ledger.ts';
import type { Mask } from './mask.ts';
import { OutputPipe } from './output.ts';
import type { Lost, Starter } from './starter.ts';

/** A command, ready to run. */
export interface ProcessSpec extends Start {
  /**
   * `none`: /dev/null, an own session and process group, no controlling terminal. `terminal`: the runner's terminal.
   * Only the foreground group may read a terminal (another is stopped by TTIN), so then the command shares the
   * runner's group: Ctrl-C reaches both from the kernel, and the runner does not pass INT on a second time.
   */
  readonly stdin: 'none' | 'terminal';
  /** Exit statuses that count as success; `[0]` unless told. */
  readonly okExits?: readonly number[];
  /** Whether standard output is kept as the value, at most `CAPTURE_BYTES` of it. */
  readonly capture: boolean;
  /** File that gets all output, masked. */
  readonly logFile: string;
}

/** What is around a process. */
export interface Supervision {
  readonly cancel: Cancel;
  readonly ledger: Ledger;
  readonly mask: Mask;
  /** Starts what needs no terminal, where there is one. */
  readonly starter?: Starter;
  readonly output: (stream: 'stdout' | 'stderr', text: string) => void;
  /** Sees what it prints at once and unmasked; nothing may be kept of it. */
  readonly seen?: (stream: 'stdout' | 'stderr', text: string) => void;
  /** Time between the signal that a cancel sends and KILL, in ms. */
  readonly graceMs?: number;
}

/** How a process ended; `stdout` is empty unless captured, and not masked: it is a value. */
export type ProcessEnd =
  | { readonly ok: true; readonly stdout: string; readonly exitCode: number }
  | { readonly ok: false; readonly failure: Failure };

/** A process that was started. */
export interface RunningProcess {
  /** Resolves when the process and all of its group are gone and its output is written. */
  readonly ended: Promise<ProcessEnd>;
  readonly tail: () => readonly string[];
}

/** Time in which a command that shares the terminal acts on its Ctrl-C by itself, in ms. */
const TERMINAL_SIGNAL_MS = 500;
/** Time in which a signal of the terminal is heard here as well, in ms. */
const TERMINAL_HEARD_MS = 20;

/** Runs a command to its end. */
export function superviseProcess(spec: ProcessSpec, supervision: Supervision): Promise<ProcessEnd> {
  return startProcess(spec, supervision).ended;
}

/** Starts a command: argv as it stands, in a process group of its own, written in the ledger. */
export function startProcess(spec: ProcessSpec, supervision: Supervision): RunningProcess {
  const pipe = new OutputPipe(spec, supervision);
  return { ended: supervise(spec, supervision, pipe), tail: () => pipe.tail() };
}

async function supervise(spec: ProcessSpec, supervision: Supervision, pipe: OutputPipe): Promise<ProcessEnd> {
  const { cancel, ledger, mask, graceMs = GRACE_MS } = supervision;
  const [command = ''] = spec.argv;
  const fail = (failure: Failure): ProcessEnd => ({ ok: false, failure });
  if (cancel.cancelled !== null) return fail(cancel.cancelled);
  // A start says ENOENT for a missing folder and a missing command alike.
  if (!existsSync(spec.cwd))
    return fail({ reason: 'file-system', code: 'ENOENT', path: spec.cwd, operation: 'run in' });
  const own = spec.stdin === 'none';
  const { spawn: number, marker } = ledger.spawning(command, own);
  const ending = new Ending(graceMs);
  const take: Take = (stream, piece) => pipe.take(stream, piece, ending.begin);
  const child = await started({ ...spec, env: { ...spec.env, ...marker } }, spec.stdin, supervision, take);
  if ('reason' in child) {
    ledger.ended(number);
    return fail(child);
  }
  if ('lost' in child) {
    await Promise.all(groupsWith(marker, command).map(({ group }) => endGroup(group, 'SIGTERM', graceMs)));
    ledger.ended(number);
    return fail(UNKNOWN_END);
  }
  if ('code' in child) {
    ledger.ended(number);
    if (child.code === 'ENOENT') return fail({ reason: 'command-not-found', command: mask.text(command) });
    return fail({ reason: 'file-system', code: child.code, path: mask.text(command), operation: 'start' });
  }
  if (!child.isGone()) ledger.spawned(number, child);
  ending.of({ leader: child.pid, own, marker });
  const withdraw = cancel.onCancel(ending.begin);
  const { exitCode, signal, groupGone } = await child.exit;
  // The terminal told both of Ctrl-C: of a command that it ends at once may be heard first.
  if (!own) await rest(TERMINAL_HEARD_MS);
  // Not before: from here on a cancel finds a command that is over, and changes nothing about how it ended.
  const cause = ending.why;
  if (!groupGone || cause) await ending.over();
  withdraw();
  await pipe.finish(child);
  ledger.ended(number);
  const why = cause ?? pipe.overflow;
  if (why) return fail(why);
  const shown = { command: mask.text(spec.argv.join(' ')), tail: pipe.tail() };
  if (signal !== null) return fail({ reason: 'killed-by-signal', signal, ...shown });
  if (exitCode === null) return fail(UNKNOWN_END);
  if (!(spec.okExits ?? [0]).includes(exitCode)) return fail({ reason: 'exit-non-zero', exitCode, ...shown });
  return { ok: true, exitCode, stdout: pipe.captured() };
}

const UNKNOWN_END: Failure = {
  reason: 'broken',
  message:
    'the helper that starts commands was killed, so nobody knows how this one ended; what was left of it is ended',
};

async function started(
  start: Start,
  stdin: ProcessSpec['stdin'],
  { starter, cancel }: Supervision,
  take: Take,
): Promise<Child | Lost | { readonly code: string } | Failure> {
  const byHelper = stdin === 'none' ? await starter?.start(start, take) : null;
  return byHelper ?? cancel.cancelled ?? spawnChild(start, stdin, take);
}

/** How a command is made to end, once it is asked for; that may be before its group is known. */
class Ending {
  readonly #graceMs: number;
  #group: Group | undefined;
  #under: Promise<void> | undefined;
  /** Why, `null` when it was not asked for. */
  why: Failure | null = null;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  readonly begin = (why: Failure): void => {
    this.why ??= why;
    if (this.#group) this.#under ??= endFor(this.#group, this.why, this.#graceMs);
  };

  of(group: Group): void {
    this.#group = group;
    if (this.why) this.begin(this.why);
  }

  /** Waits until nothing is left of the group whose leader has ended. */
  over(): Promise<void> {
    return this.#under ?? (this.#group ? endSurvivors(this.#group, this.#graceMs) : Promise.resolve());
  }
}

/** The terminal sends Ctrl-C to a command that shares it as well; only an INT meant for the runner alone leaves it running. */
function endFor(group: Group, why: Failure, graceMs: number): Promise<void> {
  const signal = signalFor(why);
  return group.own || signal !== 'SIGINT'
    ? endGroup(group, signal, graceMs)
    : endSurvivors(group, graceMs, TERMINAL_SIGNAL_MS);
}
