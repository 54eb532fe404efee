import { expect, test } from 'vitest';
import type { ShownStep } from '../../lib/engine/show.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { PlanNode } from '../../lib/model/plan.ts';
import { wantsColor } from '../../lib/report/colors.ts';
import { shownJson, shownText } from '../../lib/report/dry-run.ts';
import { explain, explainFailure } from '../../lib/report/explain.ts';
import { jsonReporter } from '../../lib/report/json.ts';
import { Lines, neutral } from '../../lib/report/neutral.ts';
import { plainReporter } from '../../lib/report/plain.ts';
import { around, failure, node, planOf } from './around.ts';

const plan = planOf(
  [node('build(for=jetson)', { params: { for: 'jetson', fast: false } }), node('deploy')],
  ['deploy'],
);

function played(events: readonly RunEvent[], of = plan): string {
  let out = '';
  const reporter = plainReporter((text) => (out += text), { color: false, plan: of, around });
  for (const event of events) reporter.event(event);
  return out;
}

const start = (id: string, task: string): RunEvent => ({
  type: 'step-started',
  id,
  task,
  place: 'here',
  effect: 'derives',
  line: `derives here: make ${task}`,
});
const build = 'build(for=jetson)';

test('plain: a message of several lines, from a device, steers no terminal', () => {
  const refused = {
    reason: 'device-refused',
    place: 'board',
    code: 'service-ended',
    detail: 'web ended\nno \x1b[2Jconfiguration',
  } as const;
  const text = played([
    { type: 'task-started', task: 'deploy' },
    start('deploy/1', 'deploy'),
    { type: 'step-failed', id: 'deploy/1', failure: refused },
    { type: 'task-finished', task: 'deploy', outcome: 'failed', durationMs: 100, failure: refused },
    { type: 'run-finished', run: 'r', outcome: 'failed', status: 1, durationMs: 100 },
  ]);
  expect(text).toContain(
    'deploy            │ failed: board refused (service-ended): web ended\ndeploy            │   no configuration\n',
  );
  expect(text).toContain(
    'deploy failed: board refused (service-ended): web ended\n  no configuration\n  see what is there now: status\n',
  );
});

test('plain: how far a step has come, once it takes long, and at most every five seconds', () => {
  let [out, ms] = ['', 0];
  const reporter = plainReporter((text) => (out += text), { color: false, plan, around, nowMs: () => ms });
  const at = (seconds: number, done: number, leftS: number | null): void => {
    ms = seconds * 1000;
    reporter.event({ type: 'step-progress', id: 'deploy/1', done, total: 2e8, unit: 'bytes', ratePerS: 5.06e6, leftS });
  };
  reporter.event(start('deploy/1', 'deploy'));
  out = '';
  at(1, 1e6, 40);
  at(5.9, 3e6, 40);
  at(6, 12.34e6, 37);
  at(10.9, 50e6, 30);
  at(11, 60e6, null);
  expect(out).toBe(`deploy            │   12.3 of 200.0 MB (6 %), 5.1 MB/s, 37 s left
deploy            │   60.0 of 200.0 MB (30 %), 5.1 MB/s
`);
});

test('plain: lines behind their task; what failed is told last and whole, with the command that runs only it', () => {
  const text = played([
    { type: 'task-started', task: build },
    start(`${build}/1`, build),
    { type: 'step-output', id: `${build}/1`, stream: 'stdout', text: 'one\ntw' },
    { type: 'task-started', task: 'deploy' },
    start('deploy/1', 'deploy'),
    { type: 'step-output', id: `${build}/1`, stream: 'stdout', text: 'o\x1b[2J\n\x1b[31mthree' },
    { type: 'step-failed', id: `${build}/1`, failure },
    { type: 'undo-started', id: 'deploy/1', because: { reason: 'cancelled', signal: 'SIGINT' } },
    { type: 'step-undone', id: 'deploy/1.undo.1', line: 'changes here: put back x' },
    { type: 'undo-finished', id: 'deploy/1' },
    { type: 'task-finished', task: build, outcome: 'failed', durationMs: 1200, failure },
    { type: 'task-finished', task: 'deploy', outcome: 'cancelled', durationMs: 100 },
    { type: 'run-finished', run: 'r', outcome: 'failed', status: 1, durationMs: 65_000 },
  ]);
  expect(text).toBe(`build(for=jetson) │ derives here: make build(for=jetson)
build(for=jetson) │   one
deploy            │ derives here: make deploy
build(for=jetson) │   two
build(for=jetson) │   three
build(for=jetson) │ failed: make ended with status 2
deploy            │ ↩ changes here: put back x
build(for=jetson) │ failed · 1.2 s
deploy            │ cancelled · 0.1 s
── output of build(for=jetson) ──
one
two
three
──
build(for=jetson) failed: make ended with status 2
  its output above says why
  whole output of build(for=jetson)/1: logs/build(for=jetson)/1
  only this task again: npm run task build -- --for jetson
put back: 1 change
1 failed · 1 cancelled · 1 min 5 s
`);
});

test('plain: a signal is acknowledged at once, in a line of the run, with what becomes of another one', () => {
  expect(
    played([
      { type: 'task-started', task: 'deploy' },
      { type: 'run-stopping', goesOn: false },
    ]),
  ).toBe('stopping: what was begun is put back, or finished where it is confirmed; another Ctrl-C changes nothing\n');
  expect(played([{ type: 'run-stopping', goesOn: true }])).toBe(
    'an undo goes on to its end; another Ctrl-C changes nothing\n',
  );
});

test('plain: the column of names is as wide as the longest of the plan from the first line on', () => {
  const wide = planOf([node('build:wheels(to=rehearsal)'), node('a'), node('x'.repeat(40))]);
  const lines = played(
    [
      start('a/1', 'a'),
      start('build:wheels(to=rehearsal)/1', 'build:wheels(to=rehearsal)'),
      start('x/1', 'x'.repeat(40)),
    ],
    wide,
  ).split('\n');
  expect(lines.slice(0, 3).map((line) => line.indexOf('│'))).toEqual([33, 33, 41]);
});

test('plain: output that nothing stands between is not told twice; what was not put back is', () => {
  const text = played([
    { type: 'task-started', task: 'deploy' },
    start('deploy/1', 'deploy'),
    { type: 'step-output', id: 'deploy/1', stream: 'stderr', text: 'no\n' },
    { type: 'step-failed', id: 'deploy/1', failure },
    { type: 'undo-failed', id: 'deploy/1', failure: { reason: 'connection-lost', place: 'jetson', doing: 'undoing' } },
    { type: 'task-finished', task: 'deploy', outcome: 'failed', durationMs: 5, failure },
    { type: 'run-finished', run: 'r', outcome: 'not-put-back', status: 4, durationMs: 5 },
  ]);
  expect(text.match(/ no\n/g)).toHaveLength(1);
  expect(text).toContain(
    'NOT PUT BACK: deploy/1: the connection to jetson was lost while undoing; finish it with: recover\nnot run: build(for=jetson)\n1 failed · 1 not run · 0.0 s\n',
  );
});

test('json: one line for each event of the contract, no other', () => {
  const lines: string[] = [];
  const reporter = jsonReporter((text) => lines.push(text));
  const finished: RunEvent = { type: 'task-finished', task: 'a', outcome: 'fresh', durationMs: 1 };
  for (const event of [{ type: 'run-resumed', run: 'r', pid: 1 } as const, finished]) reporter.event(event);
  expect(lines).toEqual([`${JSON.stringify(finished)}\n`]);
});

test('json: a value is one line whatever it holds, and no command in a log of GitHub', () => {
  let out = '';
  const value = `\u2028\r\n${'x'.repeat(10_000_000)}##[error]::error::`;
  jsonReporter((text) => (out += text)).event({ type: 'step-finished', id: 'a/1', value });
  expect(out.trimEnd().split('\n')).toHaveLength(1);
  expect(out).not.toContain('##[');
  expect(JSON.parse(out)).toEqual({ type: 'step-finished', id: 'a/1', value });
});

const step = (id: string, more: Partial<ShownStep>): ShownStep => ({
  id,
  task: 'deploy',
  kind: 'link',
  place: 'jetson',
  effect: 'changes',
  certainty: 'certain',
  parent: 'deploy/2',
  line: `changes jetson: link ${id}`,
  leaseMs: null,
  undo: ['changes jetson: link back'],
  ...more,
});
const shown = {
  tasks: [
    { task: 'build', state: 'fresh', check: { state: 'fresh', tookMs: 1 }, steps: [] },
    {
      task: 'deploy',
      state: 'runs',
      check: {
        state: 'stale',
        because: [{ reason: 'declares-no-inputs' }, { reason: 'acts', step: 'deploy/2' }],
        store: 'not-asked',
      },
      steps: [
        step('deploy/1', {
          effect: 'reads',
          place: 'here',
          line: 'reads here: ls',
          undo: [],
          parent: null,
          certainty: 'repeated',
        }),
        step('deploy/2.1', { certainty: 'conditional' }),
        step('deploy/2.2', { leaseMs: 30_000 }),
      ],
    },
  ],
  refusal: null,
  facts: { fact: () => ({ known: false }) },
} as never;

test('a dry run for people: marks, columns, each undo once, the legend once', () => {
  expect(shownText(plan, shown, false)).toBe(`build fresh (nothing changed)
deploy (it declares no inputs and outputs, or does more than derive files here)
* reads        here    ls
? changes      jetson  link deploy/2.1
                       from here to the confirmation jetson itself puts back, after 30 s without a word from here
  changes      jetson  link deploy/2.2
                       ↩ changes jetson: link back

? only if what is asked before says so · * as often as needed · ‹…› known when it runs · ↩ how it is put back
3 steps, nothing performed · plan dddddddddddd
`);
});

test('a dry run that explains: every reason beneath its task, and a line for programs before the steps', () => {
  expect(shownText(plan, shown, false, true).split('\n').slice(0, 5)).toEqual([
    'build is skipped: nothing changed',
    'deploy runs, because',
    '  it declares no inputs',
    '  step deploy/2 does more than derive files here',
    '* reads        here    ls',
  ]);
  expect(shownJson(plan, shown, true).split('\n')[0]).toBe(
    '{"type":"task-checked","task":"build","check":{"state":"fresh","tookMs":1}}',
  );
});

test('a dry run for programs: the contract’s lines', () => {
  const lines = shownJson(plan, shown)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(Object.keys(lines[0] ?? {})).toEqual([
    'type',
    'id',
    'task',
    'kind',
    'place',
    'effect',
    'certainty',
    'parent',
    'line',
    'undo',
  ]);
  expect(lines.at(-1)).toEqual({ type: 'plan', digest: plan.digest, steps: 3 });
});

test.each([
  ['\x1b[31mred\x1b[0m', 'red', '\x1b[31mred\x1b[0m'],
  ['\x1b[31mred', 'red', '\x1b[31mred\x1b[0m'],
  ['a\x1b[2Jb\x1b[1;1Hc\x1b]0;title\x07d\x1b]52;c;eA==\x1b\\e\x1bcf', 'abcdef', 'abcdef'],
  ['10%\r20%\r', '20%', '20%'],
  ['a\x07\x08b\u202ec\u009b2Jd\te', 'abcd\te', 'abcd\te'],
  ['cut \x1b[3', 'cut ', 'cut '],
])('%j cannot steer the terminal', (raw, plain, colored) => {
  expect(neutral(raw, false)).toBe(plain);
  expect(neutral(raw, true)).toBe(colored);
});

test('lines are put together from pieces, and never grow without end', () => {
  const lines = new Lines();
  expect(lines.add('a', 'x\ny')).toEqual(['x']);
  expect(lines.add('b', 'z\n')).toEqual(['z']);
  expect(lines.end('a')).toEqual(['y']);
  for (let piece = 0; piece < 160; piece++) expect(lines.add('a', 'x'.repeat(65_536))).toEqual([]);
  expect(lines.add('a', 'end\nnext\n')).toEqual([`${'x'.repeat(16_384)}…`, 'next']);
});

test('a line that is written over and over shows what was written last', () => {
  const lines = new Lines();
  for (let share = 0; share < 9_999; share++) lines.add('a', `${String(share)} of 9999\r`);
  const [line = ''] = lines.add('a', 'done\n');
  expect(neutral(line, false)).toBe('done');
  for (let share = 0; share < 9_999; share++) lines.add('b', `${String(share)} of 9999\r`);
  expect(neutral(lines.end('b')[0] ?? '', false)).toBe('9998 of 9999');
});

test('every failure is told in lower case, with what to try next', () => {
  expect(explainFailure({ reason: 'file-system', code: 'ENOSPC', path: 'a', operation: 'write' })).toEqual({
    message: 'write a: ENOSPC',
    next: 'make room on that disk (df -h), then run it again',
  });
  expect(explainFailure({ reason: 'unreachable', place: 'jetson', address: 'h:22', code: 'X' }).next).toBe(
    'try: ssh h true',
  );
  for (const words of Object.values(explain)) {
    const { message, next } = words({
      tail: [],
      what: 'it',
      last: '',
      message: 'it',
      names: [],
      actual: '',
      expected: '',
      address: '',
      holder: 'a run',
      state: 'changed',
      why: 'not-allowed',
      place: 'jetson',
    } as never);
    expect(`${message}|${next}`).toMatch(/^[^A-Z].*\|[^A-Z].+/);
  }
});

test.each([
  [true, {}, true, true],
  [true, {}, false, false],
  [false, { FORCE_COLOR: '1' }, true, false],
  [true, { NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
  [true, { NO_COLOR: '' }, true, true],
  [true, { FORCE_COLOR: '1' }, false, true],
  [true, { FORCE_COLOR: '0' }, true, false],
  [true, { TERM: 'dumb' }, true, false],
])('colours: asked %s, %o, terminal %s', (asked, env, terminal, expected) => {
  expect(wantsColor(asked, env, terminal)).toBe(expected);
});

test('what a sudo or an ssh said stands in the message, and what to set beside it', () => {
  const refused = { reason: 'sudo-refused', place: 'my-board', user: 'ann' } as const;
  expect(explainFailure({ ...refused, why: 'password-needed', said: 'sudo: a password is required' })).toEqual({
    message: 'sudo on my-board does not let ann in without a password; it said: sudo: a password is required',
    next: 'set MY_BOARD_SUDO_PASSWORD, or allow it there without one (NOPASSWD in sudoers)',
  });
  expect(explainFailure({ ...refused, why: 'wrong-password', said: '' }).next).toBe(
    'it was tried once; correct MY_BOARD_SUDO_PASSWORD',
  );
  const failed = {
    reason: 'ssh-failed',
    place: 'board',
    address: 'h:22',
    through: 'proxyjump b',
    status: 255,
  } as const;
  expect(explainFailure({ ...failed, said: 'no route' }).message).toBe(
    'ssh does not get into board (h:22, through proxyjump b): no route',
  );
});

test('what is up is told of goals alone, with where it answers as far as the plan knows', () => {
  const service = (id: string, spec: object, needs: readonly string[] = []): PlanNode =>
    node(id, {
      needs,
      body: {
        items: [
          {
            type: 'step',
            id: `${id}/1`,
            kind: 'service',
            place: 'here',
            effect: 'changes',
            args: { operation: 'start', name: id, spec: { argv: [id], ...spec } },
            yields: { type: 'null' },
          },
          { type: 'hold', id: `${id}/2` },
        ],
        result: null,
      },
    });
  const services = [
    service('web', { port: 5173, ready: 'http://127.0.0.1:5173/health' }),
    service('db', { ready: { tcp: 5432 } }),
    service('queue', { port: 5672, ready: { log: 'up' } }),
    service('worker', {}, ['db']),
    service('other', {}),
  ];
  const dev = planOf([...services, node('dev', { needs: ['web', 'queue', 'worker'] })], ['dev']);
  expect(
    played(
      [
        { type: 'task-up', task: 'web' },
        { type: 'task-up', task: 'dev' },
        { type: 'task-finished', task: 'dev', outcome: 'done', durationMs: 5 },
      ],
      dev,
    ),
  ).toBe('dev    │ up: web http://127.0.0.1:5173/, db :5432, queue :5672, worker; Ctrl-C ends\n');
});

test('advice names the variable of the device that it is about', () => {
  const unknown = { reason: 'unreachable', place: 'my-board', address: 'nowhere:22', code: 'ENOTFOUND' } as const;
  expect(explainFailure(unknown).next).toBe('the name is unknown: see MY_BOARD_HOST in "config"');
  const refused = { reason: 'authentication', place: 'my-board', address: 'b:22', user: 'u' } as const;
  expect(explainFailure(refused).next).toContain('MY_BOARD_KEY and MY_BOARD_USER');
});
