/** Longest line that a report shows, in characters; the log has it whole. */
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

/** Makes lines of what comes in pieces, one remainder for each source. What is too long for a line ends with `…`. */
export class Lines {
  readonly #open = new Map<string, string>();

  /** The lines that this piece completes. */
  add(source: string, text: string): readonly string[] {
    const lines = text.split('\n');
    const rest = lines.pop() ?? '';
    const open = this.#open.get(source) ?? '';
    if (lines.length === 0) this.#open.set(source, joined(open, rest));
    else {
      lines[0] = joined(open, lines[0] ?? '');
      this.#open.set(source, joined('', rest));
    }
    return lines.map((line) => (line.length > MAX_LINE ? cut(line) : line));
  }

  /** What a source left without a line end. */
  end(source: string): readonly string[] {
    const rest = this.#open.get(source) ?? '';
    this.#open.delete(source);
    return rest === '' ? [] : [cut(rest)];
  }
}

/** A line that grows: one more character than may stay says that there was more. */
function joined(open: string, more: string): string {
  const whole = open + more;
  if (whole.length <= MAX_LINE) return whole;
  // A line that is written over and over: what was written last counts.
  return whole.slice(whole.lastIndexOf('\r', whole.length - 2) + 1).slice(0, MAX_LINE + 1);
}

const cut = (line: string): string => (line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line);
