/** Longest piece of output that is held back for its line end, in characters. */
const MAX_LINE = 16_384;

const SGR = /\x1b\[[\d;:]*m/g;
/** Titles, links, clipboard writes; cursor and screen control; other escapes. An unfinished one ends with its line. */
const ESCAPES =
  /\x1b(?:[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\[[0-?]*[ -/]*(?:[@-~]|$)|[ -/]*(?:[0-~]|$))|\x9b[0-?]*[ -/]*[@-~]?/g;
/** Control characters but tab, C1 controls, and marks that turn the direction of writing around. */
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** One line of output without anything that could steer the terminal; colours stay if they are wanted, and end with the line. */
export function neutral(line: string, color: boolean): string {
  const shown = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  if (!color) return shown.replace(ESCAPES, '').replace(CONTROLS, '');
  const parts = shown.split(SGR).map((part) => part.replace(ESCAPES, '').replace(CONTROLS, ''));
  const colors = shown.match(SGR) ?? [];
  const text = parts.map((part, index) => part + (colors[index] ?? '')).join('');
  return colors.length > 0 && !/\x1b\[0?m$/.test(text) ? `${text}\x1b[0m` : text;
}

/** Makes lines of what comes in pieces, one remainder for each source. */
export class Lines {
  readonly #open = new Map<string, string>();

  /** The lines that this piece completes. */
  add(source: string, text: string): readonly string[] {
    const lines = ((this.#open.get(source) ?? '') + text).split('\n');
    const rest = lines.pop() ?? '';
    // A line that does not end is shown in pieces rather than kept in memory.
    if (rest.length > MAX_LINE) lines.push(rest);
    this.#open.set(source, rest.length > MAX_LINE ? '' : rest);
    return lines;
  }

  /** What a source left without a line end. */
  end(source: string): readonly string[] {
    const rest = this.#open.get(source) ?? '';
    this.#open.delete(source);
    return rest === '' ? [] : [rest];
  }
}
