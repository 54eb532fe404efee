import { describe, expect, test } from 'vitest';
import { createFreshness, type FreshnessStore } from '../../lib/engine/freshness.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { showPlan } from '../../lib/engine/show.ts';
import type { Json } from '../../lib/model/json.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { string } from '../../lib/model/param.ts';
import { task, type Need, type Task } from '../../lib/model/task.ts';
import { HandClock, Scripted, ask, boom, hash, make, run, type Ran } from './rig.ts';

/** Files by path, variables, and what was stored, in memory. `src/` and the like stand for globs. */
class Store implements FreshnessStore {
  readonly files = new Map<string, string>();
  readonly variables = new Map<string, string>();
  readonly states = new Map<string, Json>();

  fingerprint(globs: readonly string[]): Json {
    return [...this.files]
      .filter(([path]) => globs.some((glob) => path.startsWith(glob)))
      .sort()
      .map(([path, content]) => [path, 'file', false, content]);
  }

  variable(name: string): string | undefined {
    return this.variables.get(name);
  }

  read(node: string): Json | null {
    return this.states.get(node) ?? null;
  }

  write(node: string, state: Json | null): void {
    if (state === null) this.states.delete(node);
    else this.states.set(node, state);
  }
}

/** A checkout in which `build` copies `src/` to `out/`, unless a test says otherwise. */
class Checkout extends Store {
  build: () => void = () => void this.files.set('out/a', this.files.get('src/a') ?? '');

  constructor() {
    super();
    this.files.set('src/a', 'one');
  }

  async run(
    plan: Plan,
    {
      answers = {},
      force = false,
    }: { readonly answers?: ConstructorParameters<typeof Scripted>[0]; readonly force?: boolean } = {},
  ): Promise<Ran & { readonly did: readonly string[]; readonly outcomes: readonly string[] }> {
    const performer = new Scripted({
      build: () => (this.build(), { ok: true, fact: { known: true, value: 'built' } }),
      ...answers,
    });
    const ran = await run(plan, performer, { freshness: createFreshness(this, hash), force });
    return {
      ...ran,
      did: performer.did,
      outcomes: ran.events.flatMap((event) =>
        event.type === 'task-finished' ? [`${event.task} ${event.outcome}`] : [],
      ),
    };
  }

  async show(plan: Plan, force = false): Promise<readonly string[]> {
    const { tasks } = await showPlan(plan, {
      performer: dryPerformer,
      clock: new HandClock(),
      freshness: createFreshness(this, hash),
      force,
      line: (step) => step.id,
    });
    return tasks.map((one) => `${one.task} ${one.state}: ${one.steps.map((step) => step.certainty).join(',')}`);
  }
}

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

  test.each<[string, (checkout: Checkout) => unknown, Plan?]>([
    ['an input changes', (checkout) => checkout.files.set('src/a', 'two')],
    ['an input is added', (checkout) => checkout.files.set('src/b', '')],
    ['an input goes', (checkout) => checkout.files.delete('src/a')],
    ['an output is altered', (checkout) => checkout.files.set('out/a', 'x')],
    ['an output goes', (checkout) => checkout.files.delete('out/a')],
    ['an output is added', (checkout) => checkout.files.set('out/b', '')],
    ['its state is lost', (checkout) => checkout.states.clear()],
    ['a step changes', () => undefined, plan(builder({}, (p) => p.call(make, { name: 'build', more: 1 }))())],
    [
      'a declared variable is set',
      (checkout) => checkout.variables.set('MODE', 'x'),
      plan(builder({ env: ['MODE'] })()),
    ],
  ])('runs when %s', async (_, alter, then = usual) => {
    const checkout = new Checkout();
    await checkout.run(then === usual || then.nodes[0]?.env.length === 1 ? then : usual);
    alter(checkout);
    expect((await checkout.run(then)).outcomes).toEqual(['build done']);
    if (_ !== 'an output is added') expect((await checkout.run(then)).outcomes).toEqual(['build fresh']);
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
    expect(checkout.states.size).toBe(0);
  });

  test('is not fresh after a failure or while it runs: its state goes before it begins', async () => {
    const checkout = new Checkout();
    await checkout.run(usual);
    checkout.files.set('src/a', 'two');
    let during: number | undefined;
    await checkout.run(usual, {
      answers: { build: () => ((during = checkout.states.size), { ok: false, failure: boom }) },
    });
    expect(during).toBe(0);
    checkout.files.set('src/a', 'one');
    expect((await checkout.run(usual)).outcomes).toEqual(['build done']);
  });

  test('is not fresh when an input was edited while it ran', async () => {
    const checkout = new Checkout();
    const builds = checkout.build;
    checkout.build = () => (builds(), void checkout.files.set('src/a', 'edited meanwhile'));
    await checkout.run(usual);
    checkout.build = builds;
    expect((await checkout.run(usual)).outcomes).toEqual(['build done']);
    expect(checkout.files.get('out/a')).toBe('edited meanwhile');
  });
});

describe('never skipped is a task that', () => {
  test.each<[string, Task<{}>]>([
    ['declares no inputs', task('build', { summary: 's', outputs: ['out/'], steps: build })],
    ['declares no outputs', task('build', { summary: 's', inputs: ['src/'], steps: build })],
    ['changes something', builder({}, (p) => (build(p), p.write('x', 'y')))],
    ['collects', builder({}, (p) => (build(p), p.remove('x', { effect: 'collects' })))],
    [
      'holds',
      builder({}, (p) => (build(p), p.when(false, () => null), void p.within(p.scratch('s'), (p) => p.hold()))),
    ],
    ['asks a device', builder({}, (p) => (build(p), p.on('board' as never).probe(ask)))],
  ])('%s', async (_, one) => {
    const checkout = new Checkout();
    checkout.states.set('build', { key: 'x', outputs: [], facts: {} });
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
