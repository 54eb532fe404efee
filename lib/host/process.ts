import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { endGroup, endSurvivors, GRACE_MS, signalFor, type Group } from './group.ts';
import { keepHeapSmall } from './heap.ts';
import type { Ledger } from './ledger.ts';
import type { Mask } from './mask.ts';
import { OutputPipe } from './output.ts';
import { codeOf } from './store.ts';

/** A command, ready to run. */
export interface ProcessSpec {
  readonly argv: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
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
  const { cancel, ledger, mask } = supervision;
  const [command = ''] = spec.argv;
  const fail = (failure: Failure): ProcessEnd => ({ ok: false, failure });
  if (cancel.cancelled !== null) return fail(cancel.cancelled);
  // spawn says ENOENT for a missing folder and a missing command alike.
  if (!existsSync(spec.cwd))
    return fail({ reason: 'file-system', code: 'ENOENT', path: spec.cwd, operation: 'run in' });
  const own = spec.stdin === 'none';
  const { spawn: number, marker } = ledger.spawning(command, own);
  const started = await spawned(spec, { ...spec.env, ...marker }, (pid) => ledger.spawned(number, pid));
  if ('code' in started) {
    ledger.ended(number);
    if (started.code === 'ENOENT') return fail({ reason: 'command-not-found', command: mask.text(command) });
    return fail({ reason: 'file-system', code: started.code, path: mask.text(command), operation: 'start' });
  }
  const group: Group = { leader: started.pid, own, marker };
  const why = await untilGone(started, group, supervision, pipe);
  ledger.ended(number);
  if (why) return fail(why);
  const { exitCode, signal } = await started.exit;
  const shown = { command: mask.text(spec.argv.join(' ')), tail: pipe.tail() };
  if (exitCode === null) return fail({ reason: 'killed-by-signal', signal: signal ?? 'SIGKILL', ...shown });
  if (!(spec.okExits ?? [0]).includes(exitCode)) return fail({ reason: 'exit-non-zero', exitCode, ...shown });
  return { ok: true, exitCode, stdout: pipe.captured() };
}

/** A child that lives, and how it will end. */
interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exit: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
}

async function spawned(
  spec: ProcessSpec,
  env: Record<string, string>,
  wasSpawned: (pid: number) => void,
): Promise<Started | { readonly code: string }> {
  const [command = '', ...args] = spec.argv;
  keepHeapSmall();
  try {
    const child = spawn(command, args, {
      cwd: spec.cwd,
      env,
      detached: spec.stdin === 'none',
      stdio: [spec.stdin === 'none' ? 'ignore' : 'inherit', 'pipe', 'pipe'],
    });
    if (child.pid === undefined)
      return await new Promise((resolve) => child.once('error', (error) => resolve({ code: codeOf(error) })));
    // At once, in the same turn: what comes between start and ledger is only a runner that is killed right here.
    wasSpawned(child.pid);
    // A failing `kill` emits `error` later; without a listener it would end the runner.
    child.on('error', () => undefined);
    const exit = new Promise<Awaited<Started['exit']>>((resolve) =>
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal })),
    );
    return { child, pid: child.pid, exit };
  } catch (error) {
    return { code: codeOf(error) };
  }
}

/** Waits until leader, group and output have ended; why they were made to, `null` when they ended by themselves. */
async function untilGone(
  { child, exit }: Started,
  group: Group,
  { cancel, graceMs = GRACE_MS }: Supervision,
  pipe: OutputPipe,
): Promise<Failure | null> {
  let why: Failure | null = null;
  let ending: Promise<void> | undefined;
  const end = (failure: Failure): void => {
    why ??= failure;
    ending ??= endFor(group, failure, graceMs);
  };
  const reading = pipe.read(child, end);
  const withdraw = cancel.onCancel(end);
  await exit;
  // Not before: from here on a cancel finds a command that is over, and changes nothing about how it ended.
  const cause = why as Failure | null;
  await (ending ?? endSurvivors(group, graceMs));
  withdraw();
  await pipe.finish(reading);
  return cause ?? pipe.overflow;
}

/** The terminal sends Ctrl-C to a command that shares it as well; only an INT meant for the runner alone leaves it running. */
function endFor(group: Group, why: Failure, graceMs: number): Promise<void> {
  const signal = signalFor(why);
  return group.own || signal !== 'SIGINT'
    ? endGroup(group, signal, graceMs)
    : endSurvivors(group, graceMs, TERMINAL_SIGNAL_MS);
}
