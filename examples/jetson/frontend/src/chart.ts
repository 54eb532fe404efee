import type { Candle } from './api/types.ts';

/** Where things are drawn, in units of the SVG's view box. */
export interface ChartShape {
  line: string;
  area: string;
  low: number;
  high: number;
}

/** Turns closing prices into paths; null when there are too few for a line. */
export function chartShape(candles: readonly Candle[], width: number, height: number): ChartShape | null {
  const closes = candles.map((candle) => Number(candle.close));
  if (closes.length < 2) return null;
  const low = Math.min(...closes);
  const high = Math.max(...closes);
  const span = high - low || 1; // a flat line lies at the bottom
  const points = closes.map((close, index) => ({
    x: round((index / (closes.length - 1)) * width),
    y: round(height - ((close - low) / span) * height),
  }));
  const line = points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join('');
  return { line, area: `${line}L${width} ${height}L0 ${height}Z`, low, high };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
