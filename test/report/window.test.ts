import { expect, test } from 'vitest';
import type { RunEvent } from '../../lib/model/event.ts';
import { Outcomes } from '../../lib/report/outcome.ts';
import { windowOf, type Window } from '../../lib/report/window.ts';
import { begin, node, planOf } from './around.ts';

function windowAfter(events: readonly RunEvent[], width = 74): Window {
  const outcomes = new Outcomes();
  for (const event of events) outcomes.add(event, 0);
  return windowOf(outcomes, planOf([node('a'), node('b')]), { nowMs: 0, height: 9, width, paint: (_, text) => text });
}

test('a signal stands in the title, and what is put back is marked', () => {
  const stopping: RunEvent = { type: 'run-stopping', goesOn: false };
  expect(windowAfter([...begin('a'), stopping])).toEqual({
    title: 'stopping: what was begun is put back · 0/2 · 1 running',
    rows: ['a 0.0 s derives here: make a'],
  });
  expect(windowAfter([...begin('a'), stopping], 36).title).toBe('stopping: what was begun is put bac…');
  const undoing: RunEvent = { type: 'undo-step-started', id: 'a/1.undo.1', line: 'changes here: put back x' };
  expect(windowAfter([...begin('a'), undoing]).rows).toEqual(['a 0.0 s ↩ changes here: put back x']);
  const byDevice: RunEvent = { type: 'device-undoes', id: 'a/2', place: 'board' };
  expect(windowAfter([...begin('a'), byDevice]).rows).toEqual(['a 0.0 s ↩ board puts back']);
});
