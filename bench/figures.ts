import { fileURLToPath } from 'node:url';

/** Something that was measured, and what it may be at most or must be at least; without a target it is only told. */
export interface Figure {
  readonly what: string;
  readonly measured: number;
  readonly unit: '×' | 'µs' | 'ms' | 'MB';
  readonly atMost: number | null;
  readonly atLeast?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new RangeError('the median of nothing');
  return (low + high) / 2;
}

/** Prints figures beside their targets; false when one is missed. */
export function report(figures: readonly Figure[]): boolean {
  const rows = figures.map(
    (figure) =>
      [figure.what, shown(figure.measured, figure), targetOf(figure), missed(figure) ? 'MISSED' : ''] as const,
  );
  const width = Math.max(...rows.map(([what]) => what.length));
  for (const [what, measured, target, verdict] of rows)
    console.log(`${what.padEnd(width)}  ${measured.padStart(9)}  ${target.padEnd(10)} ${verdict}`.trimEnd());
  return !figures.some(missed);
}

const missed = ({ measured, atMost, atLeast }: Figure): boolean =>
  (atMost !== null && !(measured <= atMost)) || (atLeast !== undefined && !(measured >= atLeast));
const targetOf = (figure: Figure): string =>
  figure.atMost !== null
    ? `≤ ${shown(figure.atMost, figure)}`
    : figure.atLeast === undefined
      ? ''
      : `≥ ${shown(figure.atLeast, figure)}`;
const shown = (value: number, { unit }: Figure): string => `${value.toFixed(unit === '×' ? 2 : 1)} ${unit}`;

/** Measures and prints, when the file that calls it is the one that Node was started with. */
export async function asProgram(
  meta: { readonly url: string },
  measure: () => Promise<readonly Figure[]>,
): Promise<void> {
  if (process.argv[1] === fileURLToPath(meta.url)) process.exitCode = report(await measure()) ? 0 : 1;
}
