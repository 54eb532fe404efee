import { expect, test } from 'vitest';

import { chartShape } from './chart.ts';
import { age, amount, quantity, signed } from './format.ts';
import { candle } from './test-data.ts';

test('amounts', () => {
  expect(amount('60000.5')).toBe('60,000.50');
  expect(quantity('0.00083000')).toBe('0.00083');
  expect([signed('1.5'), signed('-1.5'), signed('0')]).toEqual(['+1.50', '−1.50', '+0.00']);
});

test.each([
  [null, 'none yet'],
  [59.9, '59 s'],
  [60, '1 min'],
  [7_200, '2 h'],
])('an age of %s', (seconds, text) => {
  expect(age(seconds)).toBe(text);
});

test('a chart spans its box', () => {
  const shape = chartShape(['10', '30', '20'].map(candle), 100, 50);
  expect(shape).toMatchObject({ line: 'M0 50L50 0L100 25', low: 10, high: 30 });
  expect(shape?.area.endsWith('L100 50L0 50Z')).toBe(true);
});

test('a flat line is drawn, a single price is not', () => {
  expect(chartShape(['5', '5'].map(candle), 100, 50)?.line).toBe('M0 50L100 50');
  expect(chartShape([candle('5')], 100, 50)).toBeNull();
});
