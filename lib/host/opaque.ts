import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { StepFailed, type Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { OpaqueBody, OpaqueTools } from '../model/opaque.ts';
import { CancelSource } from '../engine/cancel.ts';
import { cancelledBy } from './cancel.ts';
import { rest } from './clock.ts';
import type { Outcome } from './command.ts';
import { endGroup, endSurvivors, GRACE_MS, signalFor, type Group } from './group.ts';
import { findProcess } from './identity.ts';
import { LogFile } from './log-file.ts';
import type { Mask } from './mask.ts';
import { CAPTURE_BYTES, OutputPipe } from './output.ts';
import type { ProcessSpec, Supervision } from './process.ts';

/** What an opaque step runs in. */
export type OpaqueSpec = Pick<ProcessSpec, 'cwd' | 'env' | 'logFile'> & { readonly name: string };

/** What zx puts before each script. */
const PREFIX = /^set -euo pipefail;/;
/** Time that a body whose processes were ended gets to notice, in ms; a promise cannot be killed. */
const NOTICE_MS = 1_000;

/**
 * Calls the author's function with zx's `$`, whose children are supervised like all others: group, ledger, masked
 * output, escalation. zx keeps what each prints as the value of its promise, so that is bounded here, too.
 */
export async function performOpaque(body: OpaqueBody, spec: OpaqueSpec, supervision: Supervision): Promise<Outcome> {
  const { cancel, mask } = supervision;
  if (cancel.cancelled !== null) return { ok: false, failure: cancel.cancelled };
  // zx takes 60 ms to load: only who uses it pays.
  const zx = await import('zx/core');
  const children = new Children(spec, supervision);
  const abort = new AbortController();
  const $ = zx.$({
    cwd: spec.cwd,
    env: { ...spec.env },
    // zx would keep standard input open, and a command that reads it would wait for ever. `OpaqueTools` has no `pipe`
    // into a command either: a pipeline is written inside one.
    stdio: ['ignore', 'pipe', 'pipe'],
    verbose: false,
    quiet: true,
    spawn: children.spawn as unknown as typeof spawn,
  });
  const running = callBody(body, { $, signal: abort.signal });
  const over = new CancelSource();
  const withdraw = cancel.onCancel((why) => over.cancel(why));
  children.onOverflow = (why) => over.cancel(why);
  const ended = new Promise<void>((resolve) => {
    over.onCancel((why) => {
      abort.abort();
      void children
        .end(signalFor(why))
        .then(() => rest(NOTICE_MS))
        .then(resolve);
    });
  });
  const settled = await Promise.race([running, ended]);
  withdraw();
  const cause = cancelledBy(over);
  await children.close();
  if (cause) return { ok: false, failure: cause };
  if (settled === undefined) return { ok: true, value: null };
  if ('value' in settled) return { ok: true, value: settled.value };
  return {
    ok: false,
    failure: failureOf(
      settled.error,
      (error) => (error instanceof zx.ProcessOutput ? error : null),
      mask,
      children.tail,
    ),
  };
}

async function callBody(
  body: OpaqueBody,
  tools: OpaqueTools,
): Promise<{ readonly value: Json } | { readonly error: unknown }> {
  try {
    // What it hands back must be data, as it will be when the journal is read.
    return { value: JSON.parse(JSON.stringify((await body(tools)) ?? null)) as Json };
  } catch (error) {
    return { error };
  }
}

type Output = { readonly exitCode: number | null; readonly signal: string | null };

function failureOf(
  error: unknown,
  asOutput: (error: unknown) => Output | null,
  mask: Mask,
  tail: () => { readonly command: string; readonly tail: readonly string[] },
): Failure {
  if (error instanceof StepFailed) return error.failure;
  const output = asOutput(error);
  if (output?.signal != null) return { reason: 'killed-by-signal', signal: output.signal, ...tail() };
  if (output?.exitCode != null) return { reason: 'exit-non-zero', exitCode: output.exitCode, ...tail() };
  return { reason: 'broken', message: mask.text(error instanceof Error ? error.message : String(error)) };
}

/** The processes of one opaque step. */
class Children {
  readonly #spec: OpaqueSpec;
  readonly #supervision: Supervision;
  readonly #over = new Set<Promise<void>>();
  readonly #groups = new Set<Group>();
  /** One for all: each file knows where its own end is, and would write over what another has written. */
  readonly #log: LogFile;
  readonly #printing = new Set<OutputPipe>();
  #last: { command: string; pipe: OutputPipe } | undefined;
  #closed = false;
  onOverflow: (why: Failure) => void = () => undefined;

  constructor(spec: OpaqueSpec, supervision: Supervision) {
    this.#spec = spec;
    this.#supervision = supervision;
    this.#log = new LogFile(spec.logFile);
  }

  /** Stands in for `child_process.spawn` inside zx. */
  readonly spawn = (command: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    const { ledger, cancel } = this.#supervision;
    if (cancel.cancelled !== null) throw new StepFailed(cancel.cancelled);
    if (this.#closed)
      throw new StepFailed({ reason: 'broken', message: `${this.#spec.name} starts a process after it ended` });
    const { spawn: number, marker } = ledger.spawning(command, true);
    const child = spawn(command, [...args], { ...options, env: { ...options.env, ...marker }, detached: true });
    if (child.pid === undefined) ledger.ended(number);
    else {
      ledger.spawned(number, { pid: child.pid, started: findProcess(child.pid)?.started ?? '' });
      this.#watch(child, { leader: child.pid, own: true, marker }, command, () => ledger.ended(number));
    }
    return child;
  };

  readonly tail = (): { readonly command: string; readonly tail: readonly string[] } => ({
    command: this.#supervision.mask.text(this.#last?.command.replace(PREFIX, '') ?? this.#spec.name),
    tail: this.#last?.pipe.tail() ?? [],
  });

  /** Ends what runs. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const graceMs = this.#supervision.graceMs ?? GRACE_MS;
    await Promise.all([...this.#groups].map((group) => endGroup(group, signal, graceMs)));
  }

  /** Ends what the body left running, and waits until all of it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.end('SIGTERM');
    await Promise.all(this.#over);
    this.#closeLog();
  }

  /** What a child printed last may come after its end. */
  #closeLog(): void {
    if (this.#closed && this.#printing.size === 0) this.#log.close();
  }

  #watch(child: ChildProcess, group: Group, command: string, gone: () => void): void {
    const { graceMs = GRACE_MS } = this.#supervision;
    const pipe = new OutputPipe({ argv: [command], capture: false, logFile: this.#log }, this.#supervision);
    this.#last = { command, pipe };
    this.#printing.add(pipe);
    this.#groups.add(group);
    this.#count(child, pipe, command);
    const over = new Promise<void>((resolve) => {
      child.once('exit', () => void endSurvivors(group, graceMs).then(resolve));
    }).then(() => {
      this.#groups.delete(group);
      this.#over.delete(over);
      gone();
    });
    child.once('close', () => {
      pipe.close();
      this.#printing.delete(pipe);
      this.#closeLog();
    });
    this.#over.add(over);
  }

  #count(child: ChildProcess, pipe: OutputPipe, command: string): void {
    let bytes = 0;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (chunk: Buffer) => {
        pipe.accept(name, chunk);
        bytes += chunk.length;
        if (bytes > CAPTURE_BYTES)
          this.onOverflow({
            reason: 'unexpected-value',
            what: this.#supervision.mask.text(command),
            at: name,
            expected: `at most ${String(CAPTURE_BYTES)} bytes`,
            actual: 'more',
          });
      });
    }
  }
}
