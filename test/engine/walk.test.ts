import { describe, expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { showPlan } from '../../lib/engine/show.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { text } from '../../lib/model/ref.ts';
import {
  ByHand,
  HandClock,
  Scripted,
  act,
  ask,
  boom,
  change,
  maybe,
  names,
  planOf,
  run,
  runSteps,
  settled,
  yes,
} from './rig.ts';

/** What a dry run shows: `name certainty`. */
async function shown(steps: (p: Recorder) => unknown): Promise<readonly string[]> {
  const { tasks } = await showPlan(planOf(steps), {
    performer: dryPerformer,
    clock: new HandClock(),
    freshness: ALWAYS_RUN,
    force: false,
    line: (step) => step.id,
  });
  return tasks.flatMap((one) => one.steps.map((step) => `${step.line} ${step.certainty}`));
}
const probe = (p: Recorder, name: string) => p.probe(ask, { name });

describe('when', () => {
  const body = (p: Recorder): void => {
    const value = p.when(
      p.probe(yes, { name: 'cond' }),
      (p) => ({ of: probe(p, 'then') }),
      (p) => ({ of: probe(p, 'else') }),
    );
    p.run([text`${value.get('of') as never}`], { effect: 'reads' });
  };

  test.each([
    [true, 'then'],
    [false, 'else'],
  ])('takes one branch for %s and yields its value', async (cond, taken) => {
    const performer = new Scripted({ cond, then: 'then!', else: 'else!' });
    expect((await run(planOf(body), performer)).status).toBe(0);
    expect(performer.did).toEqual(['cond', taken, 't/3']);
    expect(performer.steps[2]?.step.args).toMatchObject({ argv: [`${taken}!`] });
  });

  test('shows both as conditional', async () => {
    expect(await shown(body)).toEqual(['t/1 certain', 't/2.1 conditional', 't/2.else.1 conditional', 't/3 certain']);
  });

  test('shows only the branch that is known', async () => {
    expect(
      await shown((p) =>
        p.when(
          false,
          (p) => probe(p, 'a'),
          (p) => probe(p, 'b'),
        ),
      ),
    ).toEqual(['t/1.else.1 certain']);
  });

  test('without the other branch yields null', async () => {
    const performer = new Scripted({ cond: false });
    await run(
      planOf((p) => p.probe(ask, { name: 'last', got: p.when(p.probe(yes, { name: 'cond' }), () => 'x') })),
      performer,
    );
    expect(performer.steps[1]?.step.args).toMatchObject({ args: { got: null } });
  });
});

describe('each', () => {
  const body = (p: Recorder): void => {
    const all = p.each(p.probe(names, { name: 'names' }), (p, item) => ({
      item,
      got: p.probe(ask, { name: 'one', item }),
    }));
    p.probe(ask, { name: 'last', all });
  };

  test('repeats its body with the item, and yields a list', async () => {
    const performer = new Scripted({ names: ['a', 'b'], one: 7 });
    const { events } = await run(planOf(body), performer);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({
      args: {
        all: [
          { item: 'a', got: 7 },
          { item: 'b', got: 7 },
        ],
      },
    });
    expect(performer.steps.map(({ performing }) => performing.iteration)).toEqual(['', '1', '2', '']);
    expect(events.flatMap((event) => (event.type === 'step-finished' ? [event.iteration ?? ''] : []))).toEqual([
      '',
      '1',
      '2',
      '',
    ]);
  });

  test('does nothing for none, and yields an empty list', async () => {
    const performer = new Scripted({ names: [] });
    await run(planOf(body), performer);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { all: [] } });
  });

  test('nested, counts both passes', async () => {
    const performer = new Scripted({});
    await run(
      planOf((p) =>
        p.each(['a', 'b'], (p) =>
          p.each(['x', 'y'], (p, item) => {
            probe(p, 'in');
            return p.probe(ask, { name: 'item', item });
          }),
        ),
      ),
      performer,
    );
    expect(performer.steps.map(({ performing }) => performing.iteration)).toEqual([
      '1.1',
      '1.1',
      '1.2',
      '1.2',
      '2.1',
      '2.1',
      '2.2',
      '2.2',
    ]);
  });

  test('is shown once as repeated, or as often as is known', async () => {
    expect(await shown(body)).toEqual(['t/1 certain', 't/2.1 repeated', 't/3 certain']);
    expect(await shown((p) => p.each(['a', 'b'], (p) => probe(p, 'x')))).toEqual(['t/1.1 certain', 't/1.1 certain']);
  });

  test('undoes its passes from the last, each with its own values', async () => {
    const performer = new Scripted({ names: ['a', 'b'], fails: { fails: boom } });
    await run(
      planOf((p) => {
        p.each(p.probe(names, { name: 'names' }), (p, item) =>
          p.change({
            touches: [],
            do: (p) => p.call(act, { name: item }),
            undo: (p) => p.call(act, { name: text`not ${item}` }),
          }),
        );
        probe(p, 'fails');
      }),
      performer,
    );
    expect(performer.did).toEqual(['names', 'a', 'b', 'fails', 'not b', 'not a']);
  });
});

describe('guard', () => {
  const body = (p: Recorder): void => {
    change(p, 'before');
    const value = p.guard(
      (p) => (change(p, 'inside'), { of: probe(p, 'risky') }),
      (p) => ({ of: probe(p, 'instead') }),
    );
    p.probe(ask, { name: 'last', value });
  };

  test('goes on after its body', async () => {
    const performer = new Scripted({ risky: 1 });
    expect((await run(planOf(body), performer)).status).toBe(0);
    expect(performer.did).toEqual(['before', 'inside', 'risky', 'last']);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { value: { of: 1 } } });
  });

  test('undoes what failed inside, recovers, and yields what that returned', async () => {
    const performer = new Scripted({ risky: { fails: boom }, instead: 2 });
    expect((await run(planOf(body), performer)).status).toBe(0);
    expect(performer.did).toEqual(['before', 'inside', 'risky', 'not inside', 'instead', 'last']);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { value: { of: 2 } } });
  });

  test('that fails to recover fails the task', async () => {
    const { status, did } = await runSteps(body, { risky: { fails: boom }, instead: { fails: boom } });
    expect(status).toBe(1);
    expect(did).toEqual(['before', 'inside', 'risky', 'not inside', 'instead', 'not before']);
  });

  test('is undone by a later failure', async () => {
    const { did } = await runSteps(body, { last: { fails: boom } });
    expect(did).toEqual(['before', 'inside', 'risky', 'last', 'not inside', 'not before']);
  });

  test('shows both sides as conditional', async () => {
    expect(await shown(body)).toEqual([
      't/1.1 certain',
      't/2.1.1 conditional',
      't/2.2 conditional',
      't/2.recover.1 conditional',
      't/3 certain',
    ]);
  });
});

describe('within', () => {
  const lock = (p: Recorder, name: string) => p.on(deviceName('board')).lock(name);

  test('holds a scope around its body and hands out its value', async () => {
    const performer = new Scripted();
    await run(
      planOf((p) => p.within(p.scratch('s'), (p, path) => p.probe(ask, { name: 'in', path }))),
      performer,
    );
    expect(performer.did).toEqual(['enter s', 'in', 'leave s']);
    expect(performer.steps[0]?.step.args).toMatchObject({ args: { path: '/s' } });
  });

  test('leaves after a failure, once what is inside was put back', async () => {
    const { did } = await runSteps((p) => p.within(lock(p, 'l'), (p) => (change(p, 'a'), probe(p, 'fails'))), {
      fails: { fails: boom },
    });
    expect(did).toEqual(['enter l', 'a', 'fails', 'not a', 'leave l']);
  });

  test('is entered again for an undo that comes later, each scope once and in reverse', async () => {
    const { did, status } = await runSteps(
      (p) => {
        p.within(lock(p, 'l'), (p) => {
          change(p, 'a');
          p.within(lock(p, 'm'), (p) => (change(p, 'b'), change(p, 'c')));
        });
        change(p, 'd');
        probe(p, 'fails');
      },
      { fails: { fails: boom } },
    );
    expect(did).toEqual([
      'enter l',
      'a',
      'enter m',
      'b',
      'c',
      'leave m',
      'leave l',
      'd',
      'fails',
      'not d',
      'enter l',
      'enter m',
      'not c',
      'not b',
      'leave m',
      'not a',
      'leave l',
    ]);
    expect(status).toBe(1);
  });

  test('gives an undo the value of the scope as entered again', async () => {
    let entered = 0;
    const performer = new Scripted({ fails: { fails: boom } });
    performer.enter = () =>
      Promise.resolve({ ok: true, entered: { value: `/s${String(++entered)}`, leave: () => Promise.resolve() } });
    await run(
      planOf((p) => {
        p.within(p.scratch('s'), (p, path) =>
          p.change({
            touches: [],
            do: (p) => p.call(act, { name: path }),
            undo: (p) => p.call(act, { name: text`not ${path}` }),
          }),
        );
        probe(p, 'fails');
      }),
      performer,
    );
    expect(performer.did).toEqual(['/s1', 'fails', 'not /s2']);
  });

  test('that cannot be entered fails the task, with status 3 for a lock', async () => {
    const performer = new Scripted();
    performer.locked.set('l', { reason: 'lock-held', place: 'board', name: 'l', holder: 'x' });
    expect(
      (
        await run(
          planOf((p) => (change(p, 'a'), p.within(lock(p, 'l'), (p) => probe(p, 'b')))),
          performer,
        )
      ).status,
    ).toBe(3);
    expect(performer.did).toEqual(['a', 'not a']);
  });
});

describe('wait', () => {
  const waiting = (p: Recorder, orElse: 'fail' | 'go-on' = 'fail', times = 2): void => {
    const last = p.waitUntil(
      'it is up',
      (p) => {
        const up = p.probe(yes, { name: 'up' });
        return { until: up, value: { up } };
      },
      { times, everyMs: 100, timeoutMs: 250, orElse },
    );
    p.probe(ask, { name: 'last', last });
  };
  const inTurn = (...answers: readonly boolean[]) => {
    let at = 0;
    return () => ({ ok: true, fact: { known: true, value: answers[at++] ?? false } }) as const;
  };

  test('asks until it holds so often in a row, resting between', async () => {
    const clock = new HandClock();
    const performer = new Scripted({ up: inTurn(true, false, true, false) });
    const ended = run(
      planOf((p) => waiting(p)),
      performer,
      { clock },
    );
    for (let round = 1; round <= 3; round++) {
      await settled();
      expect(performer.did).toHaveLength(round);
      await clock.turn(99);
      expect(performer.did).toHaveLength(round);
      await clock.turn(1);
    }
    const { status, events } = await ended;
    expect(status).toBe(1);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
      failure: { reason: 'not-in-time', timeoutMs: 250, last: '{"up":false}' },
    });
  });

  test('yields the last value', async () => {
    const performer = new Scripted({ up: inTurn(false, true, true) });
    const { status, events } = await run(
      planOf((p) => waiting(p)),
      performer,
    );
    expect(status).toBe(0);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { last: { up: true } } });
    expect(performer.steps.slice(0, 3).map(({ performing }) => performing.iteration)).toEqual(['1', '2', '3']);
    expect(events.find((event) => event.type === 'wait-finished')).toEqual({
      type: 'wait-finished',
      id: 't/1',
      value: { up: true },
    });
  });

  test('goes on at the timeout if it may', async () => {
    const performer = new Scripted({ up: false });
    expect(
      (
        await run(
          planOf((p) => waiting(p, 'go-on')),
          performer,
        )
      ).status,
    ).toBe(0);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { last: { up: false } } });
  });

  test('ends at once when cancelled while it rests', async () => {
    const cancel = new CancelSource();
    const performer = new Scripted({ up: false });
    const ended = run(
      planOf((p) => (change(p, 'a'), waiting(p))),
      performer,
      { clock: new HandClock(), cancel },
    );
    await settled();
    cancel.cancel({ reason: 'cancelled', signal: 'SIGTERM' });
    expect((await ended).status).toBe(143);
    expect(performer.did).toEqual(['a', 'up', 'not a']);
  });

  test('is shown as repeated', async () => {
    expect(await shown((p) => waiting(p))).toEqual(['t/1.1 repeated', 't/2 certain']);
  });
});

describe('require', () => {
  test.each([
    [true, 0],
    [false, 3],
  ])('of %s ends with status %i', async (value, status) => {
    const { events, ...ran } = await runSteps(
      (p) => p.require(p.probe(yes, { name: 'ok' }), text`no: ${p.probe(ask, { name: 'why' }) as never}`),
      { ok: value, why: 'because' },
    );
    expect(ran.status).toBe(status);
    if (status !== 0)
      expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
        failure: { reason: 'refused', message: 'no: because' },
      });
  });

  test('narrows null and passes the value on; zero and empty texts are values', async () => {
    const performer = new Scripted({ name: '' });
    expect(
      (
        await run(
          planOf((p) => p.probe(ask, { name: 'last', got: p.require(p.probe(maybe, { name: 'name' }), 'no') })),
          performer,
        )
      ).status,
    ).toBe(0);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { got: '' } });
    expect((await runSteps((p) => p.require(p.probe(maybe, { name: 'name' }), 'no'), { name: null })).status).toBe(3);
  });
});

describe('parallel', () => {
  const body = (p: Recorder): void => {
    const both = p.parallel({
      left: (p) => (change(p, 'l1'), change(p, 'l2'), 'l'),
      right: (p) => (change(p, 'r1'), change(p, 'r2'), { r: 1 }),
    });
    p.probe(ask, { name: 'last', both });
  };

  test('does its branches at the same time and yields what each returned', async () => {
    const performer = new ByHand();
    const ended = run(planOf(body), performer);
    await settled();
    expect([...performer.open.keys()]).toEqual(['l1', 'r1']);
    for (const name of ['r1', 'r2', 'l1', 'l2', 'last']) await performer.finish(name);
    expect((await ended).status).toBe(0);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { both: { left: 'l', right: { r: 1 } } } });
  });

  test('lets what runs end when a branch fails, begins nothing new, and puts both back', async () => {
    const performer = new ByHand();
    const ended = run(planOf(body), performer);
    await settled();
    await performer.finish('l1');
    await performer.fail('l2');
    expect(performer.steps.find(({ step }) => step.id.includes('right'))?.performing.cancel.cancelled).toEqual(boom);
    expect([...performer.open.keys()]).toEqual(['r1']);
    await performer.finish('r1');
    for (const undo of ['not r1', 'not l2', 'not l1']) await performer.finish(undo);
    expect((await ended).status).toBe(1);
    expect(performer.did).toEqual(['l1', 'r1', 'l2', 'not r1', 'not l2', 'not l1']);
  });

  test('nested, is not cut short by a branch that has already ended well', async () => {
    const { status } = await runSteps((p) =>
      p.parallel({
        a: (p) => p.parallel({ b: (p) => probe(p, 'x'), c: (p) => probe(p, 'y') }),
        d: (p) => probe(p, 'z'),
      }),
    );
    expect(status).toBe(0);
  });
});
