import { describe, expect, test } from 'vitest';
import { makePlan } from '../../lib/engine/graph.ts';
import type { Reason } from '../../lib/model/check.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Turns } from '../../lib/model/ports.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { string } from '../../lib/model/param.ts';
import { secret } from '../../lib/model/ref.ts';
import { task, type Need, type Task } from '../../lib/model/task.ts';
import { Checkout } from './checkout.ts';
import { ask, boom, hash, make } from './rig.ts';

const IO = { inputs: ['src/'], outputs: ['out/'] } as const;
const build = (p: Recorder) => p.call(make, { name: 'build' });
const plan = (goal: Need): Plan => makePlan([goal], hash).plan;
const builder = (extra: object = {}, steps: (p: Recorder) => unknown = build): Task<{}> =>
  task('build', { summary: 's', ...IO, ...extra, steps });
const usual = plan(builder()());

describe('a task with declared inputs and outputs', () => {
  test('is skipped when nothing changed, and hands on what it yielded', async () => {
    const checkout = new Checkout();
    const top = plan(
      task('top', {
        summary: 's',
        needs: { build: task('build', { summary: 's', ...IO, steps: (p) => ({ got: build(p) }) })() },
        steps: (p, { needs }) => p.probe(ask, { name: 'top', got: needs.build.got }),
      })(),
    );
    expect((await checkout.run(top)).outcomes).toEqual(['build done', 'top done']);
    const { outcomes, did, events } = await checkout.run(top);
    expect(outcomes).toEqual(['build fresh', 'top done']);
    expect(did).toEqual(['top']);
    expect(events.find((event) => event.type === 'task-facts')).toEqual({
      type: 'task-facts',
      task: 'build',
      facts: { 'build/1': 'built' },
    });
  });

  test.each<[string, (checkout: Checkout) => unknown, readonly Reason[], Plan?]>([
    [
      'an input changes',
      (checkout) => checkout.files.set('src/a', 'two'),
      [{ reason: 'input', change: 'changed', path: 'src/a' }],
    ],
    [
      'an input is added',
      (checkout) => checkout.files.set('src/b', ''),
      [{ reason: 'input', change: 'added', path: 'src/b' }],
    ],
    [
      'an input goes',
      (checkout) => checkout.files.delete('src/a'),
      [{ reason: 'input', change: 'removed', path: 'src/a' }],
    ],
    [
      'a step changes',
      () => undefined,
      [{ reason: 'step', change: 'changed', step: 'build/1', parts: ['args'] }],
      plan(builder({}, (p) => p.call(make, { name: 'build', more: 1 }))()),
    ],
    [
      'a step is added',
      () => undefined,
      [{ reason: 'step', change: 'added', step: 'build/2', parts: [] }],
      plan(builder({}, (p) => (build(p), build(p)))()),
    ],
    [
      'its output globs change',
      () => undefined,
      [{ reason: 'output-globs' }],
      plan(builder({ outputs: ['out/', 'out/a'] })()),
    ],
    [
      'a declared variable is set',
      (checkout) => checkout.variables.set('MODE', 'x'),
      [{ reason: 'variable', change: 'added', name: 'MODE' }],
      plan(builder({ env: ['MODE'] })()),
    ],
  ])('runs when %s, and says so', async (_, alter, because, then = usual) => {
    const checkout = new Checkout();
    await checkout.run(usual);
    alter(checkout);
    const { outcomes, checks } = await checkout.run(then);
    expect(outcomes).toEqual(['build done']);
    expect(checks).toEqual([{ state: 'stale', because, store: 'missed' }]);
    expect((await checkout.run(then)).outcomes).toEqual(['build fresh']);
  });

  test('runs when a command is another one', async () => {
    const checkout = new Checkout();
    const tool = plan(builder({}, (p) => (build(p), p.run(['node'], { effect: 'derives' })))());
    checkout.tools.set('node', '20');
    await checkout.run(tool);
    expect((await checkout.run(tool)).outcomes).toEqual(['build fresh']);
    checkout.tools.set('node', '22');
    expect((await checkout.run(tool)).checks).toEqual([
      { state: 'stale', because: [{ reason: 'tool', change: 'changed', name: 'node' }], store: 'missed' },
    ]);
  });

  test.each<[string, (checkout: Checkout) => unknown, readonly Reason[]]>([
    [
      'an output is altered',
      (checkout) => checkout.files.set('out/a', 'x'),
      [{ reason: 'output', change: 'modified', path: 'out/a' }],
    ],
    [
      'an output goes',
      (checkout) => checkout.files.delete('out/a'),
      [{ reason: 'output', change: 'missing', path: 'out/a' }],
    ],
    [
      'an output is added',
      (checkout) => checkout.files.set('out/b', ''),
      [{ reason: 'output', change: 'extra', path: 'out/b' }],
    ],
    ['its state is lost', (checkout) => checkout.states.clear(), [{ reason: 'never-ran' }]],
  ])('is restored when %s; where nothing is kept it runs', async (_, alter, because) => {
    const checkout = new Checkout();
    await checkout.run(usual);
    alter(checkout);
    const { outcomes, checks, did } = await checkout.run(usual);
    expect([outcomes, did]).toEqual([['build restored'], []]);
    expect(checks).toEqual([{ state: 'restored', because, tookMs: 0 }]);
    expect([...checkout.files].filter(([path]) => path.startsWith('out/'))).toEqual([['out/a', 'one']]);
    expect((await checkout.run(usual)).outcomes).toEqual(['build fresh']);
    checkout.entries.clear();
    alter(checkout);
    expect((await checkout.run(usual)).outcomes).toEqual(['build done']);
  });

  test('goes back and forth between two contents: the second time each is restored, with what it yielded', async () => {
    const checkout = new Checkout();
    const outcomes: string[] = [];
    for (const content of ['one', 'two', 'one', 'two']) {
      checkout.files.set('src/a', content);
      outcomes.push(...(await checkout.run(usual)).outcomes);
      expect(checkout.files.get('out/a')).toBe(content);
    }
    expect(outcomes).toEqual(['build done', 'build done', 'build restored', 'build restored']);
    expect((await checkout.run(usual)).events.find((event) => event.type === 'task-facts')).toMatchObject({
      facts: { 'build/1': 'built' },
    });
  });

  test('runs when what is kept turns out damaged, and is not fresh if that fails', async () => {
    const checkout = new Checkout();
    await checkout.run(usual);
    checkout.files.set('out/a', 'x');
    checkout.damaged = true;
    const failing = { answers: { build: { fails: boom } } };
    const { outcomes, checks } = await checkout.run(usual, failing);
    expect(outcomes).toEqual(['build failed']);
    expect(checks).toMatchObject([{ state: 'stale', store: 'damaged' }]);
    expect(checkout.states.get('build')).toBe('begun');
  });

  test.each([
    ['somebody else', ['task-waits']],
    ['', []],
  ])('is looked at again after it waited for its turn: %j', async (holder, told) => {
    const checkout = new Checkout();
    await checkout.run(usual);
    checkout.files.delete('out/a');
    const turns: Turns = {
      take(_task, _outputs, _cancel, waiting) {
        waiting(holder);
        checkout.files.set('src/a', 'two');
        return Promise.resolve(() => undefined);
      },
    };
    const { outcomes, checks, events } = await checkout.run(usual, { turns });
    expect(outcomes).toEqual(['build done']);
    expect(checks).toMatchObject([{ state: 'stale', because: [{ reason: 'input', path: 'src/a' }] }]);
    expect(checkout.files.get('out/a')).toBe('two');
    expect(events.map(({ type }) => type).filter((type) => type === 'task-waits')).toEqual(told);
  });

  test('stands at the end of a chain of any length of tasks without outputs', async () => {
    const checkout = new Checkout();
    let last = builder()();
    for (let at = 0; at < 4_000; at++) last = task(`group${String(at)}`, { summary: 's', needs: { last } })();
    const steps = (p: Recorder): void => void p.call(make, { name: 'top' });
    const chain = plan(task('top', { summary: 's', needs: { last }, inputs: ['src/'], outputs: [], steps })());
    const top = async (): Promise<unknown> => (await checkout.run(chain)).outcomes.at(-1);
    expect(await top()).toBe('top done');
    expect(await top()).toBe('top fresh');
    expect((await checkout.show(chain)).at(-1)).toBe('top fresh: ');
    checkout.files.set('src/a', 'two');
    const meanwhile = () => (
      checkout.files.set('out/a', 'by hand'),
      { ok: true, fact: { known: true, value: null } } as const
    );
    expect((await checkout.run(chain, { answers: { top: meanwhile } })).outcomes.at(-1)).toBe('top done');
    expect(checkout.states.get('top')).toEqual({ edited: 'out/' });
  });

  test('is not kept where it says so', async () => {
    const checkout = new Checkout();
    const one = plan(builder({ cache: false })());
    await checkout.run(one);
    checkout.files.set('out/a', 'x');
    expect((await checkout.run(one)).outcomes).toEqual(['build done']);
    expect(checkout.entries.size).toBe(0);
  });

  test('runs when what a need made changed, though it declares that as no input of its own', async () => {
    const checkout = new Checkout();
    const group = task('group', { summary: 's', needs: { build: builder()() } });
    const lint = plan(
      task('lint', {
        summary: 's',
        inputs: ['rules'],
        outputs: [],
        needs: { group: group() },
        steps: (p) => p.call(make, { name: 'lint' }),
      })(),
    );
    await checkout.run(lint);
    expect((await checkout.run(lint)).outcomes).toEqual(['build fresh', 'group fresh', 'lint fresh']);
    checkout.files.set('src/a', 'two');
    const { outcomes, checks } = await checkout.run(lint);
    expect(outcomes).toEqual(['build done', 'group done', 'lint done']);
    expect(checks.at(-1)).toMatchObject({ because: [{ reason: 'need-output', change: 'changed', need: 'group' }] });
  });

  test.each([
    ['the input is there already', ['src/', 'out/a']],
    ['the task makes it', ['src/', 'out/']],
  ])('is refused when an output glob matches an input: %s', async (when, inputs) => {
    const checkout = new Checkout();
    if (when !== 'the task makes it') checkout.files.set('out/a', 'precious');
    const { outcomes, status, events, did } = await checkout.run(plan(builder({ inputs })()));
    expect([outcomes, status]).toEqual([['build failed'], 1]);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
      failure: { reason: 'output-is-input', task: 'build', path: 'out/a' },
    });
    expect(did).toEqual(when === 'the task makes it' ? ['build'] : []);
    if (when !== 'the task makes it') expect(checkout.files.get('out/a')).toBe('precious');
  });

  test('runs when a param changes, and goes back', async () => {
    const checkout = new Checkout();
    const one = task('build', {
      summary: 's',
      ...IO,
      params: { mode: string({ summary: 'm', default: 'a' }) },
      steps: (p, { params }) => p.call(make, { name: 'build', mode: params.mode }),
    });
    expect((await checkout.run(plan(one()))).outcomes).toEqual(['build done']);
    expect((await checkout.run(plan(one({ mode: 'b' })))).outcomes).toEqual(['build(mode=b) done']);
    expect((await checkout.run(plan(one()))).outcomes).toEqual(['build fresh']);
    const other = plan(builder({ params: { mode: string({ summary: 'm', default: 'x' }) } })());
    expect((await checkout.run(other)).checks).toMatchObject([
      { state: 'stale', because: [{ reason: 'step' }, { reason: 'param', change: 'changed', name: 'mode' }] },
    ]);
  });

  test('runs when a need yields another value, and not when another task does', async () => {
    const checkout = new Checkout();
    const asks = task('asks', { summary: 's', steps: (p) => ({ got: p.probe(ask, { name: 'asked' }) }) });
    const top = plan(
      task('build', {
        summary: 's',
        ...IO,
        needs: { asks: asks() },
        steps: (p, { needs }) => p.call(make, { name: 'build', got: needs.asks.got }),
      })(),
    );
    for (const [value, outcome] of [
      ['x', 'done'],
      ['x', 'fresh'],
      ['y', 'done'],
      ['y', 'fresh'],
    ] as const) {
      expect((await checkout.run(top, { answers: { asked: value } })).outcomes.at(-1)).toBe(`build ${outcome}`);
    }
    expect(await checkout.show(top)).toEqual(['asks runs: certain', 'build may be skipped: conditional']);
  });

  test('runs though it is fresh when forced', async () => {
    const checkout = new Checkout();
    await checkout.run(usual);
    expect((await checkout.run(usual, { force: true })).did).toEqual(['build']);
    expect((await checkout.run(usual)).outcomes).toEqual(['build fresh']);
    expect(await checkout.show(usual, true)).toEqual(['build runs: certain']);
  });

  test('fails when it made no output, and is not fresh then', async () => {
    const checkout = new Checkout();
    checkout.build = () => undefined;
    const { outcomes, status, events } = await checkout.run(usual);
    expect([outcomes, status]).toEqual([['build failed'], 1]);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
      failure: { reason: 'output-missing', task: 'build', path: 'out/' },
    });
    expect(checkout.states.get('build')).toBe('begun');
  });

  test('is not fresh after a failure or while it runs: its state goes before it begins', async () => {
    const checkout = new Checkout();
    await checkout.run(usual);
    checkout.files.set('src/a', 'two');
    let during: unknown;
    await checkout.run(usual, {
      answers: { build: () => ((during = checkout.states.get('build')), { ok: false, failure: boom }) },
    });
    expect(during).toBe('begun');
    const { checks } = await checkout.run(usual);
    expect(checks).toEqual([{ state: 'stale', because: [{ reason: 'failed-last-time' }], store: 'missed' }]);
  });

  test('is neither fresh nor kept when what a need had made was overwritten while it ran', async () => {
    const checkout = new Checkout();
    const needs = { between: task('between', { summary: 's', needs: { build: builder()() } })() };
    const top = plan(
      task('top', {
        summary: 's',
        needs,
        inputs: [],
        outputs: ['top/'],
        steps: (p) => void p.call(make, { name: 'top' }),
      })(),
    );
    const copies = (after: () => void) => ({
      top: () => {
        after();
        checkout.files.set('top/a', checkout.files.get('out/a') ?? '');
        return { ok: true, fact: { known: true, value: null } } as const;
      },
    });
    await checkout.run(top, { answers: copies(() => checkout.files.set('out/a', 'by another run')) });
    checkout.files.set('out/a', 'one');
    const { outcomes, checks } = await checkout.run(top, { answers: copies(() => undefined) });
    expect(outcomes).toEqual(['build fresh', 'between fresh', 'top done']);
    expect(checks.at(-1)).toMatchObject({ because: [{ reason: 'edited-meanwhile', path: 'out/' }] });
    expect(checkout.files.get('top/a')).toBe('one');
    expect((await checkout.run(top)).outcomes).toEqual(['build fresh', 'between fresh', 'top fresh']);
  });

  test('asks each need once what it made, on however many ways it is needed', async () => {
    const checkout = new Checkout();
    let asked = 0;
    const outputs = checkout.outputs.bind(checkout);
    checkout.outputs = (globs) => (globs.includes('out/') && asked++, outputs(globs));
    let layer = [builder()()];
    for (let depth = 0; depth < 14; depth++) {
      const needs = Object.fromEntries(layer.map((need) => [need.task.taskName, need]));
      layer = ['a', 'b'].map((name) => task(`${name}${String(depth)}`, { summary: 's', needs })());
    }
    const needs = { a: layer[0] as Need, b: layer[1] as Need };
    const top = task('top', { summary: 's', needs, inputs: [], outputs: [], steps: build })();
    expect((await checkout.run(plan(top))).outcomes.at(-1)).toBe('top done');
    expect(asked).toBeLessThan(10);
  });

  test('of which a look throws fails alone: others come to their ends', async () => {
    const checkout = new Checkout();
    const inputs = checkout.inputs.bind(checkout);
    checkout.inputs = (globs) => {
      if (globs.includes('odd/')) throw new TypeError('a defect');
      return inputs(globs);
    };
    const odd = task('odd', { summary: 's', inputs: ['odd/'], outputs: [], steps: build })();
    const { status, outcomes, events } = await checkout.run(makePlan([builder()(), odd], hash).plan);
    expect([status, outcomes]).toEqual([1, ['odd failed', 'build done']]);
    expect(events.at(-1)).toMatchObject({ type: 'run-finished', outcome: 'failed' });
    expect(events).toContainEqual(
      expect.objectContaining({
        failure: { reason: 'broken', message: expect.stringContaining('a defect') as string },
      }),
    );
  });

  test('is neither fresh nor kept when an input was edited while it ran, even when that is taken back', async () => {
    const checkout = new Checkout();
    const builds = checkout.build;
    checkout.build = () => (checkout.files.set('src/a', 'edited meanwhile'), builds());
    await checkout.run(usual);
    checkout.build = builds;
    checkout.files.set('src/a', 'one');
    const { outcomes, checks } = await checkout.run(usual);
    expect(outcomes).toEqual(['build done']);
    expect(checks).toMatchObject([{ because: [{ reason: 'edited-meanwhile', path: 'src/a' }], store: 'missed' }]);
    expect(checkout.files.get('out/a')).toBe('one');
  });
});

describe('never skipped is a task that', () => {
  test.each<[string, Task<{}>]>([
    ['declares no inputs', task('build', { summary: 's', outputs: ['out/'], steps: build })],
    ['declares no outputs', task('build', { summary: 's', inputs: ['src/'], steps: build })],
    ['changes something', builder({}, (p) => (build(p), p.write('x', 'y')))],
    ['uses a secret', builder({}, (p) => (build(p), p.call(make, { name: 'x', token: secret('TOKEN') })))],
    ['collects', builder({}, (p) => (build(p), p.remove('x', { effect: 'collects' })))],
    [
      'holds',
      builder({}, (p) => (build(p), p.when(false, () => null), void p.within(p.scratch('s'), (p) => p.hold()))),
    ],
    ['asks a device', builder({}, (p) => (build(p), p.on('board' as never).probe(ask)))],
  ])('%s', async (_, one) => {
    const checkout = new Checkout();
    await checkout.run(usual);
    expect(await checkout.show(plan(one()))).toEqual([expect.stringMatching(/^build runs: certain/)]);
  });
});

describe('shown', () => {
  const second = task('second', {
    summary: 's',
    inputs: ['out/'],
    outputs: ['end/'],
    needs: { build: builder()() },
    steps: (p) => p.call(make, { name: 'second' }),
  });
  const third = plan(
    task('third', {
      summary: 's',
      inputs: ['end/'],
      outputs: ['last/'],
      needs: { second: second() },
      steps: (p) => p.call(make, { name: 'third' }),
    })(),
  );

  const prepared = async (): Promise<Checkout> => {
    const checkout = new Checkout();
    checkout.files.set('end/a', 'same').set('last/a', 'same');
    await checkout.run(third);
    return checkout;
  };

  test('is what is fresh, without steps', async () => {
    expect(await (await prepared()).show(third)).toEqual(['build fresh: ', 'second fresh: ', 'third fresh: ']);
  });

  test('are the steps of what may turn out stale, because a need writes its inputs', async () => {
    const checkout = await prepared();
    checkout.files.set('src/a', 'two');
    expect(await checkout.show(third)).toEqual([
      'build runs: certain',
      'second may be skipped: conditional',
      'third may be skipped: conditional',
    ]);
    expect((await checkout.run(third)).outcomes).toEqual(['build done', 'second done', 'third fresh']);
  });

  test('as fresh is what needs only tasks that read', async () => {
    const reads = task('reads', { summary: 's', steps: (p) => void p.probe(ask, { name: 'r' }) });
    const goal = plan(task('build', { summary: 's', ...IO, needs: { reads: reads() }, steps: build })());
    const checkout = new Checkout();
    await checkout.run(goal);
    expect(await checkout.show(goal)).toEqual(['reads runs: certain', 'build fresh: ']);
  });
});
