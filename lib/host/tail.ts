/** Lines that a failure shows, and the most of each, in characters. */
export const TAIL_LINES = 40;
export const TAIL_LINE_CHARS = 4096;

/** The last lines of a command, from both of its streams, in the order in which they ended. */
export class Tail {
  readonly #lines: string[] = [];
  readonly #open = { stdout: '', stderr: '' };

  push(stream: 'stdout' | 'stderr', text: string): void {
    const parts = text.split('\n');
    const last = parts.pop() ?? '';
    // Only the last lines can stay: the rest is not even looked at.
    const skipped = Math.max(0, parts.length - TAIL_LINES);
    parts.slice(skipped).forEach((part, index) => {
      this.#end(skipped + index === 0 ? this.#open[stream] + part : part);
    });
    this.#open[stream] = ((parts.length === 0 ? this.#open[stream] : '') + last).slice(0, TAIL_LINE_CHARS);
  }

  lines(): readonly string[] {
    const open = [this.#open.stdout, this.#open.stderr].filter((line) => line !== '');
    return [...this.#lines, ...open].slice(-TAIL_LINES);
  }

  #end(line: string): void {
    this.#lines.push(line.replace(/\r$/, '').slice(0, TAIL_LINE_CHARS));
    if (this.#lines.length > TAIL_LINES) this.#lines.shift();
  }
}
