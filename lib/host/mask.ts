/** Hides secret values in text. */
export interface Mask {
  /** Masks a text that stands alone. */
  text(text: string): string;
  /** Masks a text that comes in pieces. */
  stream(): MaskStream;
}

/** Holds back what may be the beginning of a secret until more is known. */
export interface MaskStream {
  push(text: string): string;
  /** What was held back at the end. */
  flush(): string;
}

const HIDDEN = '***';

/**
 * Hides these values, and the forms in which programs like to print them: escaped for JSON or a URL, and each longer
 * line of one that has several (a key file, say).
 */
export function createMask(values: Iterable<string>): Mask {
  const secrets = [...new Set([...values].flatMap(formsOf))]
    .filter((form) => form !== '')
    .sort((a, b) => b.length - a.length);
  if (secrets.length === 0) return { text: (text) => text, stream: () => ({ push: (text) => text, flush: () => '' }) };
  const pattern = new RegExp(
    secrets.map((secret) => secret.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)).join('|'),
    'g',
  );
  const text = (whole: string): string => whole.replace(pattern, HIDDEN);
  return { text, stream: () => maskStream(secrets, pattern, text) };
}

/** Shortest line of a secret of several lines that is hidden on its own; shorter ones are too common. */
const MIN_LINE_LENGTH = 8;

function formsOf(value: string): string[] {
  const lines = value.includes('\n') ? value.split(/\r?\n/).filter((line) => line.length >= MIN_LINE_LENGTH) : [];
  const whole = [value, value.trim()];
  return [
    ...whole,
    ...lines,
    ...whole.flatMap((one) => [
      JSON.stringify(one).slice(1, -1),
      new URLSearchParams({ a: one }).toString().slice(2),
      percent(one),
    ]),
  ];
}

/** Half a surrogate pair has no form in a URL. */
const percent = (value: string): string => (/\p{Surrogate}/u.test(value) ? value : encodeURIComponent(value));

function maskStream(secrets: readonly string[], pattern: RegExp, maskWhole: (text: string) => string): MaskStream {
  const longest = secrets[0]?.length ?? 0;
  let held = '';
  return {
    push(text) {
      held += text;
      let out = '';
      let at = 0;
      for (;;) {
        pattern.lastIndex = at;
        const found = pattern.exec(held);
        const end = found?.index ?? held.length;
        const begun = firstBegun(secrets, held, Math.max(at, held.length - longest + 1), end);
        // A longer secret may begin where, or before, a shorter one matched: then nothing is decided yet.
        const stop = begun ?? end;
        out += held.slice(at, stop);
        if (begun !== null || !found) {
          held = held.slice(stop);
          return out;
        }
        out += HIDDEN;
        at = found.index + found[0].length;
      }
    },
    flush() {
      const rest = maskWhole(held);
      held = '';
      return rest;
    },
  };
}

/** The first place in `from..to` from which the text up to its end is the beginning of a secret, but not all of it. */
function firstBegun(secrets: readonly string[], text: string, from: number, to: number): number | null {
  for (let at = from; at <= to && at < text.length; at++) {
    const rest = text.slice(at);
    if (secrets.some((secret) => secret.length > rest.length && secret.startsWith(rest))) return at;
  }
  return null;
}
