/** A line of a file, as an output names it. Numbers are decimal digits, counted from 1. */
export interface Spot {
  readonly file: string;
  readonly line: string;
  readonly column?: string;
}

/** Something that a tool complains about, and where; the first of the spots that is in the checkout counts. */
export interface Problem {
  readonly message: string;
  readonly spots: readonly Spot[];
}

/** What a line of an output is, for those who look for problems in it. */
type Meaning =
  | { readonly kind: 'problem'; readonly spot: Spot; readonly message: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'in-file'; readonly line: string; readonly column: string; readonly message: string }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'frame'; readonly spot: Spot }
  | { readonly kind: 'python-frame'; readonly spot: Spot }
  | { readonly kind: 'assertion'; readonly message: string }
  | { readonly kind: 'assertion-at'; readonly spot: Spot; readonly message: string };

type Reading = readonly [RegExp, (groups: { readonly [name: string]: string }) => Meaning | null];

const spotOf = ({ file = '', line = '', column }: { readonly [name: string]: string | undefined }): Spot => ({
  file: file.replace(/^file:\/\//, ''),
  line,
  ...(column === undefined ? {} : { column }),
});

const problem: Reading[1] = (groups) => ({ kind: 'problem', spot: spotOf(groups), message: groups['message'] ?? '' });

/** What the tools write, the most particular first. */
const READINGS: readonly Reading[] = [
  // tsc: `a.ts(3,5): error TS2322: …`, and with --pretty `a.ts:3:5 - error TS2322: …`.
  [/^(?<file>\S.*)\((?<line>\d+),(?<column>\d+)\): error (?<message>.+)$/, problem],
  [/^(?<file>\S.*?):(?<line>\d+):(?<column>\d+) - error (?<message>.+)$/, problem],
  // A traceback of Python.
  [/^\s+File "(?<file>[^"]+)", line (?<line>\d+)/, (groups) => ({ kind: 'python-frame', spot: spotOf(groups) })],
  // pytest: `E   assert 1 == 2`, then `test_a.py:5: AssertionError`.
  [/^E {3}(?<message>\s*\S.*)$/, ({ message = '' }) => ({ kind: 'assertion', message: message.trim() })],
  [
    /^(?<file>[^\s:]+\.py):(?<line>\d+): (?<message>[A-Z]\w*)$/,
    (groups) => ({ kind: 'assertion-at', spot: spotOf(groups), message: groups['message'] ?? '' }),
  ],
  // gcc, clang, mypy, flake8, go, shellcheck, eslint's unix format: `a.c:3:5: error: …`.
  [
    /^(?<file>[^\s:][^:]*):(?<line>\d+):(?:(?<column>\d+):)? (?:(?<level>fatal error|error|warning|note|info)(?:\[\S+\])?: )?(?<message>.+)$/,
    (groups) => {
      const { level, column, message = '' } = groups as { level?: string; column?: string; message?: string };
      const isError = level === undefined ? column !== undefined && !/\[Warning\//.test(message) : /error/.test(level);
      return isError ? problem(groups) : null;
    },
  ],
  // vitest, and stacks of Node: frames below an error.
  [
    /^\s*❯ (?:.* )?(?<file>[^\s:]+):(?<line>\d+):(?<column>\d+)$/,
    (groups) => ({ kind: 'frame', spot: spotOf(groups) }),
  ],
  [
    /^\s+at (?:.*\()?(?<file>(?:file:\/\/)?\/[^():]+):(?<line>\d+):(?<column>\d+)\)?$/,
    (groups) => ({ kind: 'frame', spot: spotOf(groups) }),
  ],
  [
    /^(?:\w+\.)*(?<message>(?:[A-Z]\w*)?(?:Error|Exception|Interrupt|Exit)(?: \[\w+\])?(?:: .*)?)$/,
    ({ message = '' }) => ({ kind: 'error', message }),
  ],
  // eslint's own format: the file, then `  3:5  error  …  rule`.
  [
    /^\s+(?<line>\d+):(?<column>\d+)\s+error\s+(?<message>.+?)(?:\s{2,}\S+)?$/,
    ({ line = '', column = '', message = '' }) => ({ kind: 'in-file', line, column, message }),
  ],
  [/^(?<file>\S*[/.]\S*)$/, ({ file = '' }) => ({ kind: 'file', file })],
];

function meaningOf(line: string): Meaning | null {
  for (const [pattern, meaning] of READINGS) {
    const found = pattern.exec(line);
    if (found) return meaning(found.groups as { readonly [name: string]: string });
  }
  return null;
}

/** Longest line that is looked at, in characters. */
const MAX_LINE = 1_000;

/** Finds what tools complain about in their output, without colours. */
export function problemsIn(lines: readonly string[]): readonly Problem[] {
  const found: Problem[] = [];
  let file: string | null = null;
  /** An error whose frames follow, as in JavaScript; frames whose error follows, as in Python. */
  let error: { readonly message: string; readonly spots: Spot[] } | null = null;
  let traceback: Spot[] = [];
  let assertion: string | null = null;
  const settle = (): void => {
    if (error !== null && error.spots.length > 0) found.push(error);
    error = null;
  };
  for (const text of lines) {
    // The first line at the margin behind Python's frames is the exception, whatever its name.
    if (traceback.length > 0 && /^[A-Za-z_]/.test(text)) {
      found.push({ message: text, spots: traceback });
      traceback = [];
      continue;
    }
    if (text === '') file = null;
    const meaning = text.length > MAX_LINE ? null : meaningOf(text.trimEnd());
    if (meaning?.kind !== 'frame' && error !== null && error.spots.length > 0) settle();
    switch (meaning?.kind) {
      case 'problem':
        found.push({ message: meaning.message, spots: [meaning.spot] });
        break;
      case 'file':
        file = meaning.file;
        break;
      case 'in-file':
        if (file !== null) {
          const { message, line, column } = meaning;
          found.push({ message, spots: [{ file, line, column }] });
        }
        break;
      case 'error':
        error = { message: meaning.message, spots: [] };
        break;
      case 'frame':
        error?.spots.push(meaning.spot);
        break;
      case 'python-frame':
        traceback.unshift(meaning.spot);
        break;
      case 'assertion':
        assertion ??= meaning.message;
        break;
      case 'assertion-at':
        found.push({ message: assertion ?? meaning.message, spots: [meaning.spot] });
        assertion = null;
        break;
      default:
    }
  }
  settle();
  return found;
}
