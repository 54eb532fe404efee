import { paintWith } from './colors.ts';
import { Kept } from './kept.ts';
import type { Outcomes } from './outcome.ts';
import type { PlainOptions } from './plain.ts';
import type { Reporter, Write } from './reporter.ts';
import { tellTo } from './tell.ts';

/** What may wait for the task that prints now, in characters; with more, that one is interrupted. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024;

/** What stands around the lines of one task. */
export interface Marks {
  readonly open: (title: string) => void;
  readonly close: () => void;
}

/** For logs that are read afterwards: all lines of a task together. One task prints as it goes; the others wait for it. */
export function groupedReporter(write: Write, options: PlainOptions, marks?: Marks): Reporter {
  const { color, after } = options;
  const paint = paintWith(color);
  const groups = new Groups(
    write,
    marks ?? { open: (title) => write(`${paint('dim', '──')} ${paint('cyan', title)}\n`), close: () => undefined },
  );
  return tellTo(
    {
      line: (task, text, service) => groups.line(task, service === undefined ? text : `${service} │${text}`),
      begin: (task, text) => groups.line(task, text),
      end: (task, text) => groups.end(task, `${paint('cyan', task)} ${text}`),
      say: (text) => write(`${text}\n`),
      close(lines: readonly string[], outcomes: Outcomes) {
        groups.close();
        for (const text of lines) write(`${text}\n`);
        after?.(outcomes);
      },
      // Groups are folded away, or far above.
      whole: null,
    },
    options,
  );
}

/** Lines by task. Of what waits, only the last lines are kept: the rest is in the logs. */
class Groups {
  readonly #write: Write;
  readonly #marks: Marks;
  readonly #waiting = new Map<string, Kept>();
  /** Last lines of tasks that are over and wait. */
  readonly #over = new Map<string, string>();
  readonly #begun = new Set<string>();
  #waitingChars = 0;
  #open: string | null = null;

  constructor(write: Write, marks: Marks) {
    this.#write = write;
    this.#marks = marks;
  }

  line(task: string, text: string): void {
    if (this.#open === null) this.#show(task);
    if (this.#open === task) return this.#write(`${text}\n`);
    const kept = this.#waiting.get(task) ?? new Kept();
    this.#waiting.set(task, kept);
    const before = kept.chars;
    kept.add([text]);
    this.#waitingChars += kept.chars - before;
    if (this.#waitingChars > MAX_WAITING_CHARS) this.#next();
  }

  end(task: string, last: string): void {
    this.#over.set(task, last);
    if (this.#open === null || this.#open === task) this.#next();
  }

  /** Shows whatever is left. */
  close(): void {
    this.#next();
    for (const task of this.#waiting.keys()) {
      this.#show(task);
      this.#hide();
    }
  }

  /** Ends the group that is open, shows the tasks that ended meanwhile, and goes on with one that runs. */
  #next(): void {
    this.#hide();
    for (const [task, last] of this.#over) {
      if (this.#waiting.has(task)) this.#show(task);
      this.#hide();
      this.#write(`${last}\n`);
    }
    this.#over.clear();
    const [running] = this.#waiting.keys();
    if (running !== undefined) this.#show(running);
  }

  #show(task: string): void {
    this.#open = task;
    this.#marks.open(this.#begun.has(task) ? `${task} (continued)` : task);
    this.#begun.add(task);
    const kept = this.#waiting.get(task);
    this.#waiting.delete(task);
    if (kept === undefined) return;
    this.#waitingChars -= kept.chars;
    if (kept.dropped > 0) this.#write(`… ${String(kept.dropped)} lines before …\n`);
    for (const text of kept.lines) this.#write(`${text}\n`);
  }

  #hide(): void {
    if (this.#open !== null) this.#marks.close();
    this.#open = null;
  }
}
