import { neutral } from './neutral.ts';
import { paintWith } from './colors.ts';

/** A run in one line of the history. */
export interface Summary {
  readonly run: string;
  /** ISO time at which it began. */
  readonly at: string;
  readonly goals: readonly string[];
  /** `recovered`: it was cut off, and put back, or finished where it had settled, by `recover`. */
  readonly outcome: string;
  readonly status: number | null;
  readonly durationMs: number | null;
  readonly who: string;
  /** What was typed, secrets masked; `null`: not known. */
  readonly commandLine: string | null;
  /** `user@host`. */
  readonly client: string | null;
  readonly commit: string | null;
  readonly targets: readonly string[];
  /** Of an undo: the run that it puts back. */
  readonly undoes: string | null;
  /** The run that put this one back whole. */
  readonly undoneBy: string | null;
}

/** Digits of a commit that are shown. */
const COMMIT_DIGITS = 7;

/** Runs as rows, the newest first; `columns`: what the terminal has, where it is one. */
export function historyLines(
  runs: readonly Summary[],
  { color, columns }: { readonly color: boolean; readonly columns: number | null },
): readonly string[] {
  const paint = paintWith(color);
  const rows = runs.map((one) => [
    one.run,
    `${one.outcome}${(one.status ?? 0) === 0 ? '' : ` ${String(one.status)}`}`,
    one.durationMs === null ? '-' : `${(one.durationMs / 1000).toFixed(1)} s`,
    one.who || (one.client?.split('@')[0] ?? '-'),
    one.commit?.slice(0, COMMIT_DIGITS) ?? '-',
    `${one.goals.join(', ')}${one.undoneBy === null ? '' : ' (put back)'}`,
  ]);
  const head = ['RUN (UTC)', 'OUTCOME', 'TIME', 'WHO', 'COMMIT', 'WHAT'];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string => {
    const text = neutral(
      cells.map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
      false,
    );
    return columns !== null && text.length > columns ? `${text.slice(0, columns - 1)}…` : text;
  };
  return [
    paint('dim', line(head)),
    ...rows.map((row, at) => {
      const outcome = runs[at]?.outcome;
      const style = outcome === 'running' ? 'cyan' : outcome === 'recovered' ? 'yellow' : 'red';
      return outcome === 'done' ? line(row) : paint(style, line(row));
    }),
  ];
}
