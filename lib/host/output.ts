import type { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { cancelledBy } from './cancel.ts';
import type { Child } from './child.ts';
import { rest } from './clock.ts';
import { LogFile } from './log-file.ts';
import type { Mask, MaskStream } from './mask.ts';
import { Tail } from './tail.ts';

/** Most standard output that is kept as a value, in bytes. */
export const CAPTURE_BYTES = 16 * 1024 * 1024;
/** Silence after which a pipe is given up whose command is gone, in ms: a daemon outside the group holds it open. */
const ABANDON_MS = 1_000;
/** The same where that daemon prints on: what the command itself left in a pipe is read long before. */
const LINGER_MS = 3_000;
/** The same of a run that is cancelled, in ms. */
const CANCELLED_MS = 200;
/** Time between two looks whether all was read, in ms. */
const LOOK_MS = 20;

type StreamName = 'stdout' | 'stderr';

/** Where the output of one command goes. */
export interface OutputSpec {
  readonly argv: readonly string[];
  readonly capture: boolean;
  /** Its path, or one that several commands share: whose it is closes it. */
  readonly logFile: string | LogFile;
}

/** What an output pipe needs around it. */
export interface OutputPorts {
  readonly cancel: Cancel;
  readonly mask: Mask;
  readonly output: (stream: StreamName, text: string) => void;
  /** Sees every piece at once, unmasked: a mask may hold the end of one back. */
  readonly seen?: (stream: StreamName, text: string) => void;
}

/** Both keep what the end of a piece cuts in two: a character, a secret. */
interface Filter {
  readonly decoder: StringDecoder;
  readonly mask: MaskStream;
}

const filter = (mask: Mask): Filter => ({ decoder: new StringDecoder('utf8'), mask: mask.stream() });

/**
 * Carries a command's output to its log, its tail and whoever watches, masked. One chunk at a time: the next is read
 * only when this one is written, so that a command faster than its readers waits, instead of filling memory.
 */
export class OutputPipe {
  readonly #spec: OutputSpec;
  readonly #ports: OutputPorts;
  readonly #filters: Readonly<Record<StreamName, Filter>>;
  readonly #tail = new Tail();
  readonly #kept: Buffer[] = [];
  readonly #log: LogFile;
  #keptBytes = 0;
  #lastMs = 0;
  #busy = 0;
  #overflow: Failure | null = null;

  constructor(spec: OutputSpec, ports: OutputPorts) {
    this.#spec = spec;
    this.#ports = ports;
    this.#log = typeof spec.logFile === 'string' ? new LogFile(spec.logFile) : spec.logFile;
    this.#filters = { stdout: filter(ports.mask), stderr: filter(ports.mask) };
  }

  /** Why the output could not be kept, `null` if it could. */
  get overflow(): Failure | null {
    return this.#overflow;
  }

  tail(): readonly string[] {
    return this.#tail.lines();
  }

  captured(): string {
    return Buffer.concat(this.#kept).toString('utf8');
  }

  /** Takes a piece; a promise when its readers are slower than the command. `full` is called when there is more to capture than may be kept. */
  take(name: StreamName, piece: Buffer, full: (why: Failure) => void): Promise<void> | undefined {
    if (name === 'stdout') this.#keep(piece, full);
    this.accept(name, piece);
    this.#lastMs = performance.now();
    return OUT.some((stream) => stream.writableNeedDrain) ? this.#drained() : undefined;
  }

  /** Waits for the end of what a command printed that is gone, and closes the log. */
  async finish(child: Child): Promise<void> {
    const over = child.read.then(() => true);
    this.#lastMs = performance.now();
    // Looks, not a clock: what keeps the runner from reading keeps it from looking.
    for (let lookedMs = 0; !child.isRead() && !(await Promise.race([over, rest(LOOK_MS).then(() => false)]));) {
      if (this.#busy > 0) continue;
      lookedMs += LOOK_MS;
      const limitMs = cancelledBy(this.#ports.cancel) === null ? LINGER_MS : CANCELLED_MS;
      if (lookedMs > limitMs || performance.now() - this.#lastMs > ABANDON_MS) child.giveUp();
    }
    this.close();
  }

  /** Takes one piece of a stream that somebody else reads. */
  accept(name: StreamName, chunk: Buffer): void {
    const { decoder, mask } = this.#filters[name];
    const text = decoder.write(chunk);
    this.#ports.seen?.(name, text);
    this.#show(name, mask.push(text));
  }

  /** Takes what was held back, and closes the log. */
  close(): void {
    for (const name of ['stdout', 'stderr'] as const) this.#flush(name);
    if (this.#log !== this.#spec.logFile) this.#log.close();
  }

  #flush(name: StreamName): void {
    const { decoder, mask } = this.#filters[name];
    this.#show(name, mask.push(decoder.end()) + mask.flush());
  }

  #keep(chunk: Buffer, full: (why: Failure) => void): void {
    if (!this.#spec.capture || this.#overflow) return;
    this.#keptBytes += chunk.length;
    if (this.#keptBytes <= CAPTURE_BYTES) return void this.#kept.push(chunk);
    this.#kept.length = 0;
    const what = this.#ports.mask.text(this.#spec.argv.join(' '));
    this.#overflow = {
      reason: 'unexpected-value',
      what,
      at: 'stdout',
      expected: `at most ${String(CAPTURE_BYTES)} bytes`,
      actual: 'more',
    };
    full(this.#overflow);
  }

  #show(name: StreamName, text: string): void {
    if (text === '') return;
    this.#tail.push(name, text);
    this.#log.write(text);
    this.#ports.output(name, text);
  }

  /** `output` cannot say "wait"; but what it prints leaves by one of these two. A cancelled run waits for nobody. */
  async #drained(): Promise<void> {
    this.#busy += 1;
    for (const stream of OUT) {
      if (stream.writableNeedDrain && cancelledBy(this.#ports.cancel) === null)
        await untilDrained(stream, this.#ports.cancel);
    }
    this.#busy -= 1;
    this.#lastMs = performance.now();
  }
}

function untilDrained(stream: Writable, cancel: Cancel): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of EVENTS) stream.off(event, done);
      withdraw();
      resolve();
    };
    let withdraw = (): void => undefined;
    for (const event of EVENTS) stream.once(event, done);
    withdraw = cancel.onCancel(done);
  });
}

/** What a run prints leaves by one of these. */
const OUT = [process.stdout, process.stderr];
const EVENTS = ['drain', 'close', 'error'] as const;
