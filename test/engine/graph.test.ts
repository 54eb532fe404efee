import { describe, expect, test } from 'vitest';
import { makePlan } from '../../lib/engine/graph.ts';
import { UsageError } from '../../lib/model/failure.ts';
import { choice, device, deviceName, flag, number, string } from '../../lib/model/param.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { Ref } from '../../lib/model/ref.ts';
import { task, type Need, type Needs, type Task } from '../../lib/model/task.ts';
import { ask, hash } from './rig.ts';

const plan = (...goals: readonly Need[]) => makePlan(goals, hash).plan;
const plain = (name: string, needs: Needs = {}): Task<{}> => task(name, { summary: name, needs });
const steps = (body: (p: Recorder) => unknown): Task<{}> => task('t', { summary: 't', steps: body });

function usageErrorOf(body: () => unknown): UsageError {
  try {
    body();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('needs', () => {
  test('come first, and a shared one once', () => {
    const base = plain('base');
    const left = plain('left', { base: base() });
    const right = plain('right', { base: base() });
    expect(
      plan(plain('top', { left: left(), right: right(), base: base() })(), right()).nodes.map(({ id, needs }) => [
        id,
        needs,
      ]),
    ).toEqual([
      ['base', []],
      ['left', ['base']],
      ['right', ['base']],
      ['top', ['left', 'right', 'base']],
    ]);
  });

  test('with other params are other nodes, and defaults are not shown', () => {
    const one = task('one', {
      summary: 's',
      params: {
        to: device({ summary: 'd' }),
        fast: flag({ summary: 'f' }),
        n: number({ summary: 'n', default: 3 }),
        c: choice({ summary: 'c', choices: ['x', 'y'], default: 'x' }),
      },
    });
    const to = deviceName('board');
    const ids = plan(
      one({ to }),
      one({ to, fast: false, n: 3, c: 'x' }),
      one({ to, fast: true, n: 4, c: 'y' }),
    ).nodes.map((node) => node.id);
    expect(ids).toEqual(['one(to=board)', 'one(to=board,fast=true,n=4,c=y)']);
  });

  test('with params that only look alike are other nodes', () => {
    const two = task('two', {
      summary: 's',
      params: { a: string({ summary: 'a' }), b: string({ summary: 'b', default: '' }) },
    });
    expect(plan(two({ a: 'x,b=y' }), two({ a: 'x', b: 'y' })).nodes).toHaveLength(2);
    expect(plan(two({ a: 'x' }), two({ a: '"x"' })).nodes).toHaveLength(2);
  });

  test('hand on what they returned', () => {
    const from = task('from', { summary: 's', steps: (p) => ({ value: p.probe(ask, { name: 'a' }), path: 'out' }) });
    const to = task('to', {
      summary: 's',
      needs: { from: from() },
      steps: (p, { needs }) =>
        p.run(['cat', needs.from.path], { effect: 'reads', summary: 'x', env: { A: needs.from.value as Ref<string> } }),
    });
    expect(plan(to()).nodes[1]?.body.items[0]).toMatchObject({
      args: { argv: ['cat', 'out'], env: { A: { $ref: 'from/1', at: [] } } },
    });
  });

  test('may be ten thousand in a chain', () => {
    let last = plain('task-0');
    for (let index = 1; index < 10_000; index++) last = plain(`task-${String(index)}`, { before: last() });
    const { nodes } = plan(last());
    expect(nodes).toHaveLength(10_000);
    expect(nodes[9_999]?.needs).toEqual(['task-9998']);
  });
});

describe('refused', () => {
  test('a circle, with its whole path and where each task is declared', () => {
    const a: Task<{}> = task('a', { summary: 'a', needs: (): Needs => ({ b: b() }) });
    const b: Task<{}> = task('b', { summary: 'b', needs: (): Needs => ({ c: c() }) });
    const c: Task<{}> = task('c', { summary: 'c', needs: (): Needs => ({ a: a() }) });
    const top = plain('top', { a: a() });
    const { message } = usageErrorOf(() => plan(top()));
    const here = String.raw`\S*test/engine/graph\.test\.ts:\d+`;
    expect(message).toMatch(
      new RegExp(
        `^tasks need each other in a circle: a \\(${here}\\) → b \\(${here}\\) → c \\(${here}\\) → a \\(${here}\\)$`,
      ),
    );
    const lines = [...message.matchAll(/ts:(\d+)/g)].map((match) => Number(match[1]));
    expect([lines[1], lines[2], lines[3]]).toEqual([(lines[0] as number) + 1, (lines[0] as number) + 2, lines[0]]);
  });

  test('a task that needs itself', () => {
    const a: Task<{}> = task('a', { summary: 'a', needs: (): Needs => ({ a: a() }) });
    expect(usageErrorOf(() => plan(a())).message).toMatch(/^tasks need each other in a circle: a \(.*\) → a \(.*\)$/);
  });

  test('needs that make ever new params', () => {
    const more: Task<{ n: ReturnType<typeof number> }> = task('more', {
      summary: 'm',
      params: { n: number({ summary: 'n' }) },
      needs: ({ params }): Needs => ({ next: more({ n: params.n + 1 }) }),
    });
    expect(usageErrorOf(() => plan(more({ n: 1 }))).hint).toContain('ever new params');
  });

  test('two tasks of one name, with both places', () => {
    expect(usageErrorOf(() => plan(plain('same')(), plain('same')())).message).toMatch(
      /^two tasks are named same: \S+graph\.test\.ts:\d+ and \S+graph\.test\.ts:\d+$/,
    );
  });

  test('a task without a param that it must have, before its functions see it', () => {
    const one = task('one', {
      summary: 's',
      params: { to: device({ summary: 'd' }) },
      needs: ({ params }) => (params.to.length > 0 ? {} : {}),
      steps: (p, { params }) => p.on(params.to).remove('x'),
    });
    expect(usageErrorOf(() => plan({ task: one, params: {} })).message).toMatch(
      /^one \(\S+:\d+\) is called without its param to$/,
    );
  });

  test.each([
    ['dist', 'dist'],
    ['dist/**', 'dist'],
    ['dist/a', 'dist/**'],
    ['./dist/', 'dist/x'],
    ['**', 'anything'],
    ['dist/*.js', 'dist/sub/**'],
    ['a/{b,c}/d', 'a/b'],
    ['a/@(b|c)', 'a/b'],
    ['a//b', 'a/b'],
    ['a/./b', 'a/b'],
    ['.', 'a'],
  ])('outputs that overlap: %s and %s', (one, other) => {
    const making = (name: string, output: string) => task(name, { summary: 's', outputs: [output] })();
    expect(usageErrorOf(() => plan(making('one', one), making('other', other))).message).toMatch(/overlap$/);
    expect(usageErrorOf(() => plan(making('one', other), making('other', one))).message).toMatch(/overlap$/);
  });

  test.each([
    ['dist', 'distant'],
    ['a/x.js', 'a/y.js'],
    ['a/b/**', 'a/c/**'],
  ])('but not outputs side by side: %s and %s', (one, other) => {
    const making = (name: string, output: string) => task(name, { summary: 's', outputs: [output, output] })();
    expect(plan(making('one', one), making('other', other)).nodes).toHaveLength(2);
  });

  test.each(['.', './', '*', '**', './**/*', '**/**', '*/**'])('nor the whole project: %s', (output) => {
    const all = task('all', { summary: 's', outputs: [output] })();
    expect(usageErrorOf(() => plan(all)).message).toMatch(/are the whole project/);
  });

  test('nor what both leave out', () => {
    const making = (name: string) => task(name, { summary: 's', outputs: [`${name}/**`, '!**/*.map'] })();
    expect(plan(making('one'), making('other')).nodes).toHaveLength(2);
  });
});

describe('refs', () => {
  const leak = (body: (p: Recorder, keep: (ref: Ref<unknown>) => void, kept: () => Ref<string>) => void) =>
    plan(
      steps((p) => {
        let ref: Ref<unknown> | undefined;
        body(
          p,
          (one) => (ref = one),
          () => ref as Ref<string>,
        );
      })(),
    );
  const read = (p: Recorder, ref: Ref<string>): void => p.run(['echo', ref], { effect: 'reads' });

  test.each<[string, (p: Recorder, keep: (ref: Ref<unknown>) => void, kept: () => Ref<string>) => void]>([
    ['when', (p, keep, kept) => (p.when(true, (p) => keep(p.probe(ask))), read(p, kept()))],
    [
      'the other branch of a when',
      (p, keep, kept) =>
        void p.when(
          true,
          (p) => keep(p.probe(ask)),
          (p) => read(p, kept()),
        ),
    ],
    ['each', (p, keep, kept) => (p.each(['a'], (p) => keep(p.probe(ask))), read(p, kept()))],
    ['the item of an each', (p, keep, kept) => (p.each(['a'], (_, item) => keep(item)), read(p, kept()))],
    [
      'guard',
      (p, keep, kept) =>
        void p.guard(
          (p) => keep(p.probe(ask)),
          (p) => read(p, kept()),
        ),
    ],
    [
      'do, in the undo',
      (p, keep, kept) => void p.change({ touches: [], do: (p) => keep(p.probe(ask)), undo: (p) => read(p, kept()) }),
    ],
    ['parallel', (p, keep, kept) => void p.parallel({ a: (p) => keep(p.probe(ask)), b: (p) => read(p, kept()) })],
    [
      'a wait',
      (p, keep, kept) => (
        p.waitUntil('w', (p) => (keep(p.probe(ask)), { until: true, value: 1 }), { timeoutMs: 1 }),
        read(p, kept())
      ),
    ],
    ['a scope', (p, keep, kept) => (p.within(p.scratch('s'), (_, value) => keep(value)), read(p, kept()))],
    [
      'a block result',
      (p, keep, kept) => (p.when(true, (p) => keep(p.probe(ask))), void p.when(true, () => ({ out: kept() }))),
    ],
  ])('that leak out of %s are refused', (_, body) => {
    expect(() => leak(body)).toThrow(
      /^t\/\S+ uses t\/\S+, which may not have happened by then|^the result of a block uses/,
    );
  });

  test('of a task that is not needed are refused', () => {
    let stolen: Ref<unknown> | undefined;
    const from = task('from', { summary: 's', steps: (p) => void (stolen = p.probe(ask)) });
    const thief = task('thief', {
      summary: 's',
      needs: { from: from() },
      steps: (p) => read(p, stolen as Ref<string>),
    });
    expect(() => plan(thief())).toThrow(/thief\/1 uses from\/1/);
  });

  test('to secrets stand only where they do not show', () => {
    const one = (use: (p: Recorder, token: Ref<string>) => unknown) =>
      task('one', {
        summary: 's',
        params: { token: string({ summary: 't', secret: true }) },
        steps: (p, { params }) => use(p, params.token),
      });
    const recorded = (use: (p: Recorder, token: Ref<string>) => unknown) =>
      plan({ task: one(use), params: { token: 'hunter2' } });
    expect(() => recorded((p, token) => p.run(['curl', token], { effect: 'reads' }))).toThrow(
      'puts the secret one.token where it would show',
    );
    expect(() => recorded((p, token) => p.shell(token, { effect: 'reads' }))).toThrow('where it would show');
    expect(() => recorded((p, token) => p.write(token, 'x'))).toThrow('where it would show');
    expect(() => recorded((_, token) => ({ token }))).toThrow('where it would show');
    expect(() => recorded((p, token) => p.require(token, token))).toThrow('where it would show');
    expect(
      JSON.stringify(
        recorded((p, token) => (p.write('x', token), p.run(['x'], { effect: 'reads', env: { TOKEN: token } }))),
      ),
    ).not.toContain('hunter2');
  });
});

test('what follows -- is refused by a task that does not ask for it: a dry run would have been meant', () => {
  const takes = task('takes', {
    summary: 's',
    steps: (p, { rest }) => void p.run(['echo', ...rest], { effect: 'reads' }),
  });
  const leaves = task('leaves', { summary: 's', steps: (p) => void p.run(['true'], { effect: 'reads' }) });
  const group = task('group', { summary: 's', needs: { takes: takes() } });
  expect(makePlan([{ ...takes(), rest: ['-n'] }], hash).plan.nodes).toHaveLength(1);
  for (const one of [leaves, group])
    expect(() => makePlan([{ ...one(), rest: ['-n'] }], hash)).toThrow(
      `${one.taskName} takes nothing after --, and was given -n`,
    );
});
