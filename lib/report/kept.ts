/** Lines that are kept of one step's output, to be shown again should it fail; characters of all, and of each. */
export const KEPT_LINES = 1_000;
export const KEPT_CHARS = 256 * 1024;
const MAX_LINE = 4_096;

/** The last lines of an output, bounded: the whole is in its log. */
export class Kept {
  readonly #lines: string[] = [];
  #chars = 0;
  #dropped = 0;

  get lines(): readonly string[] {
    return this.#lines;
  }

  get chars(): number {
    return this.#chars;
  }

  /** How many lines came before those that are kept. */
  get dropped(): number {
    return this.#dropped;
  }

  add(lines: readonly string[]): void {
    // Of much at once only the last lines can stay: the rest is not even looked at.
    const skipped = Math.max(0, lines.length - KEPT_LINES);
    for (const line of skipped === 0 ? lines : lines.slice(skipped)) {
      const short = line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line;
      this.#lines.push(short);
      this.#chars += short.length;
    }
    this.#dropped += skipped + this.#shorten();
  }

  /** Drops what is too much from the front, at once; how many lines that were. */
  #shorten(): number {
    let count = 0;
    while (this.#lines.length - count > KEPT_LINES || this.#chars > KEPT_CHARS) {
      this.#chars -= this.#lines[count]?.length ?? 0;
      count++;
    }
    this.#lines.splice(0, count);
    return count;
  }
}
