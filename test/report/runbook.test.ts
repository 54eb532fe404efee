import { expect, test } from 'vitest';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import type { JournalLine } from '../../lib/engine/journal.ts';
import { showPlan } from '../../lib/engine/show.ts';
import { clock } from '../../lib/host/clock.ts';
import { sha256 } from '../../lib/host/hash.ts';
import type { Check, Reason } from '../../lib/model/check.ts';
import type { Failure } from '../../lib/model/failure.ts';
import { string } from '../../lib/model/param.ts';
import { s } from '../../lib/model/schema.ts';
import { task, type Need } from '../../lib/model/task.ts';
import { stepLine } from '../../lib/report/line.ts';
import { runbook } from '../../lib/report/runbook/document.ts';
import { code, prose, table } from '../../lib/report/runbook/markdown.ts';
import type { ToldRun } from '../../lib/report/story.ts';
import { line, toldRun } from './runs.ts';

const build = task('build', {
  summary: 'Build it.',
  steps: (p) => p.run(['make', 'a|b'], { effect: 'derives', timeoutMs: 90_000 }),
});
const ship = task('ship', {
  summary: 'Ship *it*.',
  params: { token: string({ summary: 'a token', default: '', secret: true }) },
  needs: { build: build() },
  env: ['REGION'],
  steps(p, { params }) {
    const { ok } = p.run(['is-ready'], { effect: 'reads', yields: s.object({ ok: s.boolean }) });
    p.when(
      ok,
      () => null,
      (p) => p.run(['mend'], { effect: 'derives' }),
    );
    p.require(p.run(['owner'], { effect: 'reads', yields: s.nullable(s.string) }), 'nobody owns it');
    p.change({
      touches: [{ place: 'here', path: 'current' }],
      do: (p) => p.write('current', 'new', { mode: 0o600 }),
      undo: (p) => p.write('current', 'old', { mode: 0o600 }),
    });
    p.guard(
      (p) =>
        p.change({
          touches: [{ place: 'here', data: 'cache' }],
          do: (p) => p.run(['warm', '`x`'], { effect: 'changes', env: { TOKEN: params.token } }),
          undo: (p) => p.run(['cool'], { effect: 'changes' }),
        }),
      (p) => p.run(['note', 'cold'], { effect: 'derives' }),
    );
    p.change({
      touches: [{ place: 'here', data: 'schema' }],
      undone: 'unless-done',
      do: (p) => p.run(['migrate'], { effect: 'changes' }),
      undo: (p) => p.run(['restore'], { effect: 'changes' }),
    });
    p.waitUntil('it answers', (p) => ({ until: p.run(['ask'], { effect: 'reads', yields: s.boolean }), value: null }), {
      timeoutMs: 5_000,
    });
    p.shell('wipe', { effect: 'irreversible', confirm: 'wipe-it' });
  },
});

const each = task('each', {
  summary: 'One after the other.',
  steps(p) {
    const names = p.run(['names'], { effect: 'reads', yields: s.list(s.string) });
    p.each(names, (p, name) => p.run(['stop', name], { effect: 'derives' }));
  },
});

async function printed(need: Need, runs: readonly ToldRun[] = [], because?: readonly Reason[]): Promise<string> {
  const { plan } = makePlan([need], sha256);
  const options = { performer: dryPerformer, clock, freshness: ALWAYS_RUN, force: true, line: stepLine };
  const planned = await showPlan(plan, options);
  const check: Check | null = because ? { state: 'stale', because, store: 'not-asked' } : null;
  const shown = check ? { ...planned, tasks: planned.tasks.map((one) => ({ ...one, check })) } : planned;
  const summaries = new Map([build, ship, each].map(({ taskName, spec }) => [taskName, spec.summary]));
  return runbook({ plan, shown, summaries, runs, command: 'npm run task -- ship' });
}
const section = (text: string, title: string): string =>
  text.split(`\n## ${title}\n\n`)[1]?.split('\n\n## ')[0]?.trim() ?? '';

test('every section says what the plan holds, and no more', async () => {
  const text = await printed(ship());
  expect(text.match(/^## .*$/gm)).toEqual(
    [
      'Purpose',
      'Risk',
      'Expected duration',
      'Before you begin',
      'Steps',
      'Verification',
      'If something fails',
      'Known issues',
    ].map((title) => `## ${title}`),
  );
  expect(section(text, 'Purpose')).toBe('- `ship`: Ship \\*it\\*.\n\nFirst, what that needs:\n\n- `build`: Build it.');
  expect(section(text, 'Risk').split('\n')).toEqual([
    '**High: a part of it cannot be undone.** 10 steps: 3 reads, 3 derives, 3 changes, 1 irreversible.',
    '',
    '- Changed may be: `current`, `cache`, `schema`.',
    '- Step 10 cannot be undone: `irreversible here: sh -c wipe (cannot be undone: --confirm wipe-it)`',
    '- Once done, these stay, whatever fails later: step 8.',
    '- Shell scripts and functions do what their author declared, which nothing proves: step 10.',
  ]);
  expect(section(text, 'Expected duration')).toBe('Unknown: no kept run of these goals ended well.');
  expect(section(text, 'Known issues')).toBe('Unknown: no run of these goals is kept.');
  const list = section(text, 'Before you begin');
  for (const part of ['`TOKEN`', 'doctor'].slice(1)) expect(list).not.toContain(part);
  expect(list).toContain('`ship.token`');
  expect(list).toContain('`REGION`');
  expect(list).toContain('be ready to confirm `wipe-it`');
  expect(list).toContain('does not say `nobody owns it`');
  expect(list).toContain('the plan tells nobody');
});

test('each step with what is to be seen, and how it is put back', async () => {
  const steps = section(await printed(ship()), 'Steps');
  expect(steps).toContain(
    "- [ ] **1** `derives here: make 'a|b'`\n  - see: it ends with status 0, within 1 min 30 s\n",
  );
  expect(steps).toContain('- [ ] **3** `derives here: mend` (only if what is asked before says so)\n');
  expect(steps).toContain(
    '  - see: `current` is there, mode 0600\n  - ↩ `changes here: write current (3 bytes, mode 0600)`\n',
  );
  expect(steps).toContain("``changes here: warm '`x`' (env TOKEN)``");
  expect(steps).toContain('- [ ] **9** `reads here: ask` (as often as needed)');
});

test('a value of a repetition is told by the step that it comes from; no id is left', async () => {
  const text = await printed(each(), [], [{ reason: 'acts', step: 'each/1' }]);
  expect(text).toContain('`derives here: stop ‹one of step 1›`');
  expect(text).toContain('Runs because step 1 does more than derive files here.');
});

test('the failure table follows scopes: guards, branches, what stays once it is done', async () => {
  const rows = section(await printed(ship()), 'If something fails')
    .split('\n')
    .filter((row) => /^\| (?:step|one of|refused|not within)/.test(row))
    .map((row) => row.slice(2, -2).split(' | '));
  const back = '↩ `changes here: write current (3 bytes, mode 0600)`';
  const guarded = 'by itself; then what the plan has instead, and the run goes on';
  expect(rows).toEqual([
    ['one of steps 1 to 4 fails', 'by itself; status 1', 'nothing was changed'],
    ['refused: `nobody owns it`', 'put that right, run it again; status 3', 'nothing was changed'],
    ['step 5 fails', 'by itself; status 1', back],
    ['step 6 fails', guarded, '↩ `changes here: cool`'],
    ['step 7 fails', 'by itself; status 1', back],
    ['step 8 fails', 'by itself; status 1', '↩ `changes here: restore`<br>then steps 6, 5, as above'],
    ['step 9 fails', 'by itself; status 1', '↩ `changes here: cool`<br>then step 5, as above'],
    ['not within 5.0 s: `it answers`', 'by itself; status 1', '↩ `changes here: cool`<br>then step 5, as above'],
    ['step 10 fails', 'by itself; status 1', '↩ `changes here: cool`<br>then step 5, as above'],
  ]);
});

const failure: Failure = { reason: 'exit-non-zero', command: 'is-ready', exitCode: 7, tail: [] };

function pastRun(
  run: string,
  day: string,
  durationMs: number,
  outcome: 'done' | 'failed',
  goal: Need = ship(),
): ToldRun {
  const { plan } = makePlan([goal], sha256);
  const lines: readonly JournalLine[] = [
    line(0, { type: 'task-started', task: 'ship' }),
    line(1, {
      type: 'step-started',
      id: 'ship/1',
      task: 'ship',
      place: 'here',
      effect: 'reads',
      line: 'reads here: is-ready',
    }),
    outcome === 'done'
      ? line(2, { type: 'step-finished', id: 'ship/1', value: { ok: true, by: run } })
      : line(2, { type: 'step-failed', id: 'ship/1', failure }),
    line(
      3,
      outcome === 'done'
        ? { type: 'task-finished', task: 'ship', outcome, durationMs }
        : { type: 'task-finished', task: 'ship', outcome, durationMs, failure },
    ),
    line(durationMs, { type: 'run-finished', run, outcome, status: 0, durationMs }),
  ];
  const at = `${day}T05:06:07.000Z`;
  const shift = Date.parse(at) - Date.parse('2026-03-04T05:06:07.000Z');
  return toldRun(
    plan,
    lines.map((one) => ({ ...one, at: new Date(Date.parse(one.at) + shift).toISOString() })),
    { run, at },
  );
}

test('journals tell how long it takes, what steps answered, and what went wrong; only runs of the same goals count', async () => {
  const runs = [
    pastRun('r6', '2026-03-09', 90_000, 'done', ship({ token: 'x' as never })),
    pastRun('r5', '2026-03-08', 400, 'failed'),
    pastRun('r4', '2026-03-07', 9_000, 'done'),
    pastRun('r3', '2026-03-06', 300, 'failed'),
    pastRun('r2', '2026-03-05', 3_000, 'done'),
    pastRun('r1', '2026-03-04', 5_000, 'done'),
  ];
  const text = await printed(ship(), runs);
  expect(section(text, 'Expected duration')).toBe(
    'About 5.0 s (3 kept runs that ended well, 3.0 s to 9.0 s). A task that was fresh then took no time.',
  );
  expect(text).toContain('see: it ends with status 0; last time `{"ok":true,"by":"r4"}`');
  expect(section(text, 'Known issues')).toBe(
    '- ship, `reads here: is-ready`: `is-ready ended with status 7` (2 times, last on 2026-03-08: `show r5`)',
  );
  expect(section(await printed(ship(), runs.slice(4)), 'Known issues')).toBe(
    'None: of 2 kept runs of these goals none failed.',
  );
});

test('a text stays one line, and ends neither its code span nor its cell', () => {
  expect(code('a `b` ``c')).toBe('```a `b` ``c```');
  expect(code('`a`')).toBe('`` `a` ``');
  expect(code('a\nb\x1b[31m\x00')).toBe('`a⏎b`');
  expect(prose('a_b <i> *c* [d](e) #f')).toBe('a\\_b \\<i\\> \\*c\\* \\[d\\](e) \\#f');
  expect(table(['x'], [['`a|b`']])).toEqual(['| x |', '| --- |', '| `a\\|b` |']);
});
