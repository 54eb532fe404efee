import { expect, test } from 'vitest';
import type { Check, Reason } from '../../lib/model/check.ts';
import { checkInShort, checkLines, explainingReporter } from '../../lib/report/checks.ts';

const REASONS: readonly (readonly [Reason, string])[] = [
  [{ reason: 'forced' }, 'forced'],
  [{ reason: 'never-ran' }, 'it never ran to its end'],
  [{ reason: 'failed-last-time' }, 'it failed, or was cut off, last time'],
  [{ reason: 'edited-meanwhile', path: 'src/a' }, 'src/a was altered while it ran last time'],
  [{ reason: 'no-steps' }, 'it has no steps of its own'],
  [{ reason: 'declares-no-inputs' }, 'it declares no inputs'],
  [{ reason: 'declares-no-outputs' }, 'it declares no outputs'],
  [{ reason: 'uses-a-secret' }, 'it uses a secret, whose value is in no key'],
  [{ reason: 'acts', step: 'a/1' }, 'step a/1 does more than derive files here'],
  [{ reason: 'input', change: 'added', path: 'src/a' }, 'input src/a was added'],
  [{ reason: 'output', change: 'modified', path: 'out/a' }, 'output out/a was modified'],
  [{ reason: 'output', change: 'missing', path: 'out/a' }, 'output out/a is missing'],
  [{ reason: 'variable', change: 'removed', name: 'CI' }, 'variable CI is gone'],
  [{ reason: 'param', change: 'changed', name: 'to' }, 'param to changed'],
  [{ reason: 'tool', change: 'changed', name: 'node' }, 'command node is another one'],
  [{ reason: 'tool', change: 'added', name: 'node' }, 'command node is new'],
  [{ reason: 'need-value', change: 'changed', step: 'v/1' }, 'the value of v/1 changed'],
  [{ reason: 'need-output', change: 'changed', need: 'build' }, 'what build makes changed'],
  [{ reason: 'step', change: 'changed', step: 'a/1', parts: ['argv', 'cwd'] }, 'step a/1 was changed (argv, cwd)'],
  [{ reason: 'step', change: 'removed', step: 'a/2', parts: [] }, 'step a/2 was removed'],
  [{ reason: 'structure' }, 'the structure around its steps, or what it returns, changed'],
  [{ reason: 'output-globs' }, 'its output globs changed'],
  [{ reason: 'not-known' }, 'its files are not what they were'],
  [{ reason: 'service', change: 'changed', service: 'db' }, 'service db changed'],
  [{ reason: 'unknown-service', service: 'db' }, 'it needs service db, of which nothing tells whether it is the same'],
  [{ reason: 'more', count: 3 }, 'and 3 more'],
];

test('every reason has its words', () => {
  const check: Check = { state: 'stale', because: REASONS.map(([reason]) => reason), store: 'missed' };
  expect(checkLines(check)).toEqual([
    'runs, nothing fitting being kept, because',
    ...REASONS.map(([, words]) => words),
  ]);
});

test('every state has its words', () => {
  const because = [{ reason: 'never-ran' }] as const;
  const first = (check: Check): string | undefined => checkLines(check)[0];
  expect(first({ state: 'fresh', tookMs: 1 })).toBe('is skipped: nothing changed');
  expect(first({ state: 'restored', because, tookMs: 1 })).toBe('is restored from what was kept, because');
  expect(first({ state: 'kept', because, tookMs: 1 })).toBe('may be restored from what was kept, because');
  expect(first({ state: 'unknown', waits: ['a', 'b'] })).toBe('may be skipped: that is known once a, b ran');
  expect(first({ state: 'stale', because, store: 'damaged' })).toBe(
    'runs, and what was kept could not be put back, because',
  );
  expect(first({ state: 'stale', because: [{ reason: 'forced' }], store: 'not-asked' })).toBe('runs, because');
  expect(first({ state: 'service', users: ['a'] })).toBe('is up as long as a needs it');
  expect(first({ state: 'service', users: ['a', 'b'] })).toBe('is up as long as a, b need it');
  expect(first({ state: 'service', users: [] })).toBe('is up until Ctrl-C');
  expect(checkLines({ state: 'fresh', tookMs: 1, unmatched: ['srcc/**'] })).toEqual([
    'is skipped: nothing changed',
    'nothing matches its input srcc/**',
  ]);
  const group: Check = { state: 'stale', because: [{ reason: 'no-steps' }], store: 'not-asked' };
  expect(checkLines(group)).toEqual(['has no steps of its own']);
});

test('in short it is the first reason', () => {
  expect(checkInShort({ state: 'stale', because: [{ reason: 'no-steps' }], store: 'not-asked' })).toBe('');
  expect(checkInShort({ state: 'unknown', waits: ['a'] })).toBe('');
  const because = [{ reason: 'never-ran' }, { reason: 'structure' }] as const;
  expect(checkInShort({ state: 'kept', because, tookMs: 1 })).toBe('it never ran to its end, and 1 more');
});

test.each(['human', 'json'] as const)('a reporter that explains tells it before the other: %s', (output) => {
  const told: string[] = [];
  const inner = { event: () => void told.push('inner'), close: () => Promise.resolve() };
  const reporter = explainingReporter(inner, (text) => void told.push(text), output);
  const event = {
    type: 'task-checked',
    task: 'build',
    check: { state: 'stale', because: [{ reason: 'never-ran' }], store: 'missed' },
  } as const;
  reporter.event(event);
  reporter.event({ type: 'task-started', task: 'build' });
  expect(told).toEqual([
    output === 'json'
      ? `${JSON.stringify(event)}\n`
      : 'build runs, nothing fitting being kept, because\n  it never ran to its end\n',
    'inner',
    'inner',
  ]);
});
