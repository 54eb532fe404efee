import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { cancelledBy } from './cancel.ts';
import { rest } from './clock.ts';
import { LogFile } from './log-file.ts';
import type { Mask, MaskStream } from './mask.ts';
import { Tail } from './tail.ts';

/** Most standard output that is kept as a value, in bytes. */
export const CAPTURE_BYTES = 16 * 1024 * 1024;
/** Silence after which a pipe is given up whose command is gone, in ms: a daemon outside the group holds it open. */
const ABANDON_MS = 1_000;

type StreamName = 'stdout' | 'stderr';

/** Where the output of one command goes. */
export interface OutputSpec {
  readonly argv: readonly string[];
  readonly capture: boolean;
  readonly logFile: string;
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
  readonly #streams: Readable[] = [];
  readonly #log: LogFile;
  #keptBytes = 0;
  #lastMs = 0;
  #busy = 0;
  #overflow: Failure | null = null;

  constructor(spec: OutputSpec, ports: OutputPorts) {
    this.#spec = spec;
    this.#ports = ports;
    this.#log = new LogFile(spec.logFile);
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

  /** Reads both streams to their end; `end` is called when there is more to capture than may be kept. */
  async read(child: ChildProcess, end: (why: Failure) => void): Promise<void> {
    const { stdout, stderr } = child;
    await Promise.all([stdout && this.#pump(stdout, 'stdout', end), stderr && this.#pump(stderr, 'stderr', end)]);
  }

  /** Waits for the end of what `read` reads, after the command is gone, and closes the log. */
  async finish(reading: Promise<void>): Promise<void> {
    const over = reading.then(() => true);
    this.#lastMs = performance.now();
    while (!(await Promise.race([over, rest(20).then(() => false)]))) {
      if (this.#busy === 0 && performance.now() - this.#lastMs > ABANDON_MS)
        for (const stream of this.#streams) stream.destroy();
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
    this.#log.close();
  }

  #flush(name: StreamName): void {
    const { decoder, mask } = this.#filters[name];
    this.#show(name, mask.push(decoder.end()) + mask.flush());
  }

  async #pump(stream: Readable, name: StreamName, end: (why: Failure) => void): Promise<void> {
    this.#streams.push(stream);
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        this.#busy += 1;
        if (name === 'stdout') this.#keep(chunk, end);
        this.accept(name, chunk);
        await this.#drained();
        this.#busy -= 1;
        this.#lastMs = performance.now();
      }
    } catch {
      // The stream was given up; what came of it counts.
    }
    this.#flush(name);
  }

  #keep(chunk: Buffer, end: (why: Failure) => void): void {
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
    end(this.#overflow);
  }

  #show(name: StreamName, text: string): void {
    if (text === '') return;
    this.#tail.push(name, text);
    this.#log.write(text);
    this.#ports.output(name, text);
  }

  /** `output` cannot say "wait"; but what it prints leaves by one of these two. A cancelled run waits for nobody. */
  async #drained(): Promise<void> {
    for (const stream of [process.stdout, process.stderr]) {
      if (stream.writableNeedDrain && cancelledBy(this.#ports.cancel) === null)
        await untilDrained(stream, this.#ports.cancel);
    }
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

const EVENTS = ['drain', 'close', 'error'] as const;
