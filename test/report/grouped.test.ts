import { expect, test } from 'vitest';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { annotations, foldMarks, harmless, workflowCommand } from '../../lib/report/github.ts';
import { groupedReporter } from '../../lib/report/grouped.ts';
import { around, begin, ends, fails, node, over, planOf, prints } from './around.ts';

const PLAN = planOf([node('a'), node('b'), node('c')]);

function grouped(events: readonly RunEvent[], plan: Plan = PLAN): string {
  let out = '';
  const reporter = groupedReporter((text) => (out += text), { color: false, plan, around });
  for (const event of events) reporter.event(event);
  return out;
}

/** The same in GitHub's log; `files` are those of the checkout. */
function onGitHub(events: readonly RunEvent[], files: readonly string[] = []): string {
  let out = '';
  const write = (text: string): void => void (out += text);
  const reporter = groupedReporter(
    (text) => write(harmless(text)),
    {
      color: false,
      plan: PLAN,
      around,
      after: (outcomes) => write(annotations(outcomes, PLAN, (file) => (files.includes(file) ? file : null))),
    },
    foldMarks(write),
  );
  for (const event of events) reporter.event(event);
  return out;
}

test('one task prints as it goes, the others together once it ended, however their lines are mixed', () => {
  const text = grouped([
    ...begin('a'),
    ...begin('b'),
    prints('a/1', 'a1\n'),
    prints('b/1', 'b1\n'),
    ...begin('c'),
    prints('c/1', 'c1\n'),
    prints('a/1', 'a2\n'),
    ...ends('b'),
    prints('a/1', 'a3\n'),
    ...ends('a'),
    prints('c/1', 'c2\n'),
    { type: 'task-finished', task: 'c', outcome: 'cancelled', durationMs: 100 },
    over('cancelled'),
  ]);
  expect(text.split('\n').slice(0, 14)).toEqual([
    '── a',
    'derives here: make a',
    '  a1',
    '  a2',
    '  a3',
    '── b',
    'derives here: make b',
    '  b1',
    'b done · 0.1 s',
    'a done · 0.1 s',
    '── c',
    'derives here: make c',
    '  c1',
    '  c2',
  ]);
  expect(text).toContain('c cancelled · 0.1 s\n');
});

test('a signal is acknowledged at once, also while another task has the group', () => {
  const text = grouped([...begin('a'), ...begin('b'), { type: 'run-stopping', goesOn: false }, prints('a/1', 'x\n')]);
  expect(text).toMatch(/^── a\nderives here: make a\nstopping: .*\n  x\n$/);
});

test('what prints first is seen before it ends', () => {
  expect(grouped([...begin('a'), prints('a/1', 'so far\n')])).toBe('── a\nderives here: make a\n  so far\n');
});

test('what waits is bounded: a task that prints without end is interrupted, and of the others the last lines stay', () => {
  const line = `${'x'.repeat(1_000)}\n`;
  const names = Array.from({ length: 30 }, (_, at) => `t${String(at)}`);
  const text = grouped(
    [
      ...begin('a'),
      ...names.flatMap((name) => [...begin(name), prints(`${name}/1`, line.repeat(2_000)), ...ends(name)]),
      prints('a/1', 'still here\n'),
      ...ends('a'),
      over('done'),
    ],
    planOf([node('a'), ...names.map((name) => node(name))]),
  );
  expect(text).toMatch(/\n… \d+ lines before …\n/);
  expect(text).toContain('── a (continued)\n  still here\na done');
  for (const name of names) expect(text).toContain(`\n${name} done · 0.1 s\n`);
});

test('on GitHub each task folds; what failed stands open below, and is marked where it is', () => {
  const text = onGitHub(
    [
      ...begin('a'),
      prints('a/1', 'src/a.ts(3,5): error TS1: 100 %, or so: x\nsrc/away.ts(1,1): error TS2: y\n'),
      ...fails('a'),
      over('failed'),
    ],
    ['src/a.ts'],
  );
  expect(text).toBe(`::group::a
derives here: make a
  src/a.ts(3,5): error TS1: 100 %, or so: x
  src/away.ts(1,1): error TS2: y
failed: make ended with status 2
::endgroup::
a failed · 0.1 s
── output of a ──
src/a.ts(3,5): error TS1: 100 %, or so: x
src/away.ts(1,1): error TS2: y
──
a failed: make ended with status 2
  its output above says why
  whole output of a/1: logs/a/1
  only this task again: npm run task a
not run: b, c
1 failed · 2 not run · 1.0 s
::error file=src/a.ts,line=3,col=5,title=a::TS1: 100 %25, or so: x
`);
});

test('what names no file of the checkout is an error all the same', () => {
  const text = onGitHub([...begin('a'), prints('a/1', 'no\n'), ...fails('a'), over('failed')]);
  expect(text.split('\n').at(-2)).toBe('::error title=a::make ended with status 2');
});

test('commands are escaped as the runner undoes it', () => {
  expect(workflowCommand('error', { file: 'a:b,c%0A\r\n', line: '3' }, 'x: 5 %, y\r\n::end')).toBe(
    '::error file=a%3Ab%2Cc%250A%0D%0A,line=3::x: 5 %25, y%0D%0A::end\n',
  );
});

/** `TryParseV2` and `TryParse` of the runner: is there a command in a line? */
const isCommand = (line: string): boolean => /^\s*::[^:]*::/.test(line) || /##\[[^\]]*\]/.test(line);

test.each([
  '::error::x',
  '  ::set-output name=a::b',
  '\t\u00a0\u2003::add-mask::1',
  '\ufeff\u200b::stop-commands::x',
  'text ##[add-path]/tmp',
  '##[group]x',
  'one\n::endgroup::\ntwo ##[error]z',
])('output cannot forge a command: %j', (text) => {
  for (const raw of [text, `\u001b[31m${text}`, `x\r${text}`]) {
    const shown = onGitHub([...begin('a'), prints('a/1', `${raw}\n`), ...fails('a'), over('failed')]);
    const commands = shown.split(/[\r\n]/).filter(isCommand);
    expect(commands).toEqual(['::group::a', '::endgroup::', '::error title=a::make ended with status 2']);
  }
});

test('a line that is no command stays as it is', () => {
  for (const line of ['a::b', 'std::string x;', 'x # [y]', '1::2']) expect(harmless(line)).toBe(line);
});
