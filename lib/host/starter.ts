import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Child, Exit, Start, Take } from './child.ts';
import { optimizeLater } from './v8-flags.ts';

/** The helper is gone, and may or may not have started the command. */
export interface Lost {
  readonly lost: true;
}
const LOST: Lost = { lost: true };

/** Starts commands in place of the runner, to which each fork costs by all the memory that it holds. */
export interface Starter {
  /** `null`: the runner has to do it, and finds out why. */
  start(start: Start, take: Take): Promise<Child | Lost | null> | null;
  /** After the last command has ended. */
  close(): void;
}

/** The system's own, where there is one: what a PATH has first may be a script that takes longer than it saves. */
const PYTHON = '/usr/bin/python3';
const SOURCE = new URL('../../scripts/here/starter.py', import.meta.url);
/** Of fewer commands the runner starts each by itself: the helper's own start takes as long as some ten of theirs. */
const WORTH = 32;

/** A starter for one run of so many commands: Linux only, and only where they are worth it. */
export const openStarter = (commands: number): Starter | undefined =>
  process.platform === 'linux' && commands >= WORTH ? new Helper() : undefined;

/** A command that was asked for, and what is heard of it. */
class Asked implements Omit<Child, 'pid' | 'started'> {
  readonly answer: Promise<Child | Lost | null>;
  readonly exit: Promise<Exit>;
  readonly read: Promise<void>;
  readonly take: Take;
  readonly #drop: () => void;
  #answered!: (answer: Child | Lost | null) => void;
  #exited!: (exit: Exit) => void;
  #wasRead!: () => void;
  #end: Exit | undefined;
  #isRead = false;

  constructor(take: Take, drop: () => void) {
    this.take = take;
    this.#drop = drop;
    this.answer = new Promise((resolve) => (this.#answered = resolve));
    this.exit = new Promise((resolve) => (this.#exited = resolve));
    this.read = new Promise((resolve) => (this.#wasRead = resolve));
  }

  readonly isGone = (): boolean => this.#end?.groupGone ?? false;
  readonly isRead = (): boolean => this.#isRead;
  readonly giveUp = (): void => {
    this.wasRead();
    this.#drop();
  };
  get isOver(): boolean {
    return this.#isRead && this.#end !== undefined;
  }

  started(pid: number, started: string): void {
    const { exit, read, isGone, isRead, giveUp } = this;
    this.#answered({ pid, started, exit, read, isGone, isRead, giveUp });
  }

  notStarted(why: Lost | null): void {
    this.#answered(why);
  }

  exited(exit: Exit): void {
    this.#end = exit;
    this.#exited(exit);
  }

  wasRead(): void {
    this.#isRead = true;
    this.#wasRead();
  }
}

/** What a helper lost knows about how a command ended. */
const UNKNOWN_EXIT: Exit = { exitCode: null, signal: null, groupGone: false };
/** A letter and three numbers. */
const HEAD_BYTES = 13;
/** By number; of two names of one the first. */
const SIGNALS = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/** The process of `scripts/here/starter.py`, whose head says what goes to and fro; begun with the first command. */
export class Helper implements Starter {
  readonly #python: string;
  readonly #asked = new Map<number, Asked>();
  #process: ChildProcess | undefined;
  #count = 0;
  #state: 'begins' | 'ready' | 'gone' = 'begins';
  #held: Buffer = Buffer.alloc(0);

  constructor(python = existsSync(PYTHON) ? PYTHON : 'python3') {
    this.#python = python;
  }

  /** Resolves when it is ready, or gone. */
  begin(): Promise<void> {
    optimizeLater();
    const { spawn } = process.getBuiltinModule('node:child_process');
    const source = readFileSync(SOURCE, 'utf8');
    const env = { PATH: process.env['PATH'] };
    const child = spawn(this.#python, ['-I', '-S', '-c', source], { stdio: ['pipe', 'pipe', 'ignore'], env });
    this.#process = child;
    const gone = (): void => this.#gone();
    child.on('error', gone).on('close', gone);
    child.stdin.on('error', gone);
    child.stdout.on('data', (piece: Buffer) => this.#hear(piece));
    return new Promise((resolve) => {
      child.stdout.once('data', () => resolve());
      child.once('close', () => resolve()).once('error', () => resolve());
    });
  }

  start({ argv, cwd, env }: Start, take: Take): Promise<Child | Lost | null> | null {
    if (!this.#process) void this.begin();
    if (this.#state !== 'ready') return null;
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const words = [cwd, String(argv.length), ...argv, ...variables];
    const body = words.join('\0');
    if (body.split('\0').length !== words.length) return null;
    const id = ++this.#count;
    const asked = new Asked(take, () => {
      this.#say('D', id);
      if (asked.isOver) this.#asked.delete(id);
    });
    this.#asked.set(id, asked);
    this.#say('S', id, body);
    return asked.answer;
  }

  close(): void {
    this.#state = 'gone';
    this.#process?.stdin?.end();
  }

  #say(letter: 'S' | 'A' | 'D', id: number, body = ''): void {
    const bytes = Buffer.byteLength(body);
    const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes);
    frame.write(letter, 0, 'latin1');
    frame.writeUInt32LE(id, 1);
    frame.writeUInt32LE(0, 5);
    frame.writeUInt32LE(bytes, 9);
    frame.write(body, HEAD_BYTES);
    this.#process?.stdin?.write(frame);
  }

  #hear(piece: Buffer): void {
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUInt32LE(at + 9);
      if (end > bytes.length) break;
      const letter = String.fromCharCode(bytes.readUInt8(at));
      this.#heard(letter, bytes.readUInt32LE(at + 1), bytes.readUInt32LE(at + 5), bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    this.#held = bytes.subarray(at);
  }

  #heard(letter: string, id: number, more: number, piece: Buffer): void {
    const asked = this.#asked.get(id);
    if (letter === 'H' && this.#state === 'begins') this.#state = 'ready';
    if (!asked) return;
    switch (letter) {
      case 'P':
        return asked.started(more, piece.toString('latin1'));
      case 'E':
        this.#asked.delete(id);
        return asked.notStarted(null);
      case 'O':
      case 'R':
        // One may be on its way when it is given up.
        if (asked.isRead()) return;
        return void this.#take(asked, id, letter === 'O' ? 'stdout' : 'stderr', piece);
      case 'X':
      case 'Y':
        asked.exited(exitOf(more, letter === 'Y'));
        break;
      case 'Z':
        asked.wasRead();
    }
    if (asked.isOver) this.#asked.delete(id);
  }

  async #take(asked: Asked, id: number, stream: 'stdout' | 'stderr', piece: Buffer): Promise<void> {
    try {
      await asked.take(stream, piece);
      if (this.#state === 'ready') this.#say('A', id);
    } catch {
      // What came of it counts, as of a stream that breaks.
      asked.giveUp();
    }
  }

  #gone(): void {
    this.#state = 'gone';
    for (const asked of this.#asked.values()) {
      asked.notStarted(LOST);
      asked.exited(UNKNOWN_EXIT);
      asked.wasRead();
    }
    this.#asked.clear();
  }
}

/** A status of wait(2). */
function exitOf(status: number, groupGone: boolean): Exit {
  const signal = status & 0x7f;
  return signal === 0
    ? { exitCode: status >> 8, signal: null, groupGone }
    : { exitCode: null, signal: SIGNALS.get(signal) ?? `signal ${String(signal)}`, groupGone };
}
