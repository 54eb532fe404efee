import { stripVTControlCharacters } from 'node:util';
import { CancelSource } from '../engine/cancel.ts';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import type { Ready } from '../model/service-here.ts';
import { boundCancel, cancelledBy } from './cancel.ts';
import { clock } from './clock.ts';
import { answersOn, ask } from './port.ts';
import { superviseProcess, type ProcessSpec, type Supervision } from './process.ts';

/** Time between two questions: so much at first, then more and more, in ms. */
const FIRST_POLL_MS = 10;
const POLL_MS = 100;
/** Longest line in which a pattern is looked for, in characters. */
const MAX_LINE = 64 * 1024;

/** A carriage return ends a line as well: progress is printed over itself, and terminals are written to by both. */
const LINE_END = /\r?\n|\r/;

/** What tells that a service is ready, with the time that it may take. */
export interface Readiness {
  readonly ready: Ready;
  readonly timeoutMs: number;
}

/** One service that is about to get ready. */
export interface Starting {
  readonly name: string;
  readonly process: ProcessSpec;
  readonly supervision: Supervision;
  readonly lines: LineWatch;
}

/** Waits until a service is ready; the failure when it is not in time, or why the wait was cancelled. */
export async function untilReady(
  starting: Starting,
  { ready, timeoutMs }: Readiness,
  cancel: Cancel,
): Promise<Failure | null> {
  const { what, asked } = question(starting, ready);
  const deadlineMs = clock.nowMs() + timeoutMs;
  let last: string | undefined;
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(2 * pauseMs, POLL_MS)) {
    const limit = boundCancel(cancel, what, deadlineMs - clock.nowMs());
    const seen = await asked(limit);
    // A question that the deadline cut short says nothing of the service; the one before did.
    if (seen !== null && (last === undefined || cancelledBy(limit) === null)) last = seen;
    limit.release();
    const why = cancelledBy(cancel);
    if (why) return why;
    if (seen === null) return null;
    if (clock.nowMs() + pauseMs >= deadlineMs) return { reason: 'not-in-time', what, timeoutMs, last: last ?? seen };
    await clock.sleep(pauseMs, cancel);
  }
}

/** `null` once it is so, otherwise what was seen. */
type Ask = (cancel: CancelSource) => Promise<string | null>;

function question(starting: Starting, ready: Ready): { readonly what: string; readonly asked: Ask } {
  const { name, lines } = starting;
  if (typeof ready === 'string')
    return { what: `${name} answers at ${ready}`, asked: (cancel) => answers(ready, cancel) };
  if ('tcp' in ready)
    return { what: `${name} takes connections on port ${String(ready.tcp)}`, asked: () => listens(ready.tcp) };
  if ('log' in ready)
    return { what: `${name} prints a line with ${ready.log}`, asked: () => Promise.resolve(lines.missing()) };
  const what = `${name} is ready, says ${ready.command.join(' ')}`;
  return { what, asked: (cancel) => endsWell(starting, ready.command, cancel) };
}

async function answers(url: string, cancel: Cancel): Promise<string | null> {
  const answer = await ask(url, cancel);
  return typeof answer === 'number' && answer >= 200 && answer < 400 ? null : String(answer);
}

async function listens(port: number): Promise<string | null> {
  const answering = await Promise.all([answersOn('127.0.0.1', port), answersOn('::1', port)]);
  return answering.includes(true) ? null : 'nobody listens there';
}

async function endsWell(
  { process, supervision }: Starting,
  argv: readonly string[],
  cancel: Cancel,
): Promise<string | null> {
  const logFile = process.logFile.replace(/(\.log)?$/, '.ready.log');
  const spec = { ...process, argv, logFile };
  const { ledger, mask, graceMs } = supervision;
  const quiet = { cancel, ledger, mask, output: () => undefined, ...(graceMs !== undefined && { graceMs }) };
  const end = await superviseProcess(spec, quiet);
  if (end.ok) return null;
  return end.failure.reason === 'exit-non-zero' ? `status ${String(end.failure.exitCode)}` : end.failure.reason;
}

/** Looks for a pattern in the lines that a service prints, wherever its writes cut them; colours do not count. */
export class LineWatch {
  readonly #pattern: RegExp | null;
  readonly #begun = { stdout: '', stderr: '' };
  #found = false;
  #last = '';

  constructor(ready: Ready | undefined) {
    this.#pattern = typeof ready === 'object' && 'log' in ready ? new RegExp(ready.log) : null;
  }

  /** Takes the next piece of a stream. */
  see(stream: 'stdout' | 'stderr', text: string): void {
    const pattern = this.#pattern;
    if (pattern === null || this.#found) return;
    const lines = (this.#begun[stream] + text)
      .split(LINE_END)
      .map((line) => stripVTControlCharacters(line.slice(-MAX_LINE)));
    this.#begun[stream] = lines.at(-1) ?? '';
    this.#last = lines.findLast((line) => line.trim() !== '') ?? this.#last;
    this.#found = lines.some((line) => pattern.test(line));
  }

  /** `null` once the pattern was found, otherwise the last line. */
  missing(): string | null {
    return this.#found ? null : this.#last;
  }
}
