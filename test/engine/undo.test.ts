import { describe, expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import {
  ByHand,
  HandClock,
  Scripted,
  act,
  ask,
  boom,
  change,
  interrupted,
  planOf,
  run,
  runSteps,
  settled,
  short,
  yes,
} from './rig.ts';

const probe = (p: Recorder, name: string) => p.probe(ask, { name });

describe('undoing', () => {
  test('goes from the last change to the first, the one that failed too', async () => {
    const { did, status, events } = await runSteps((p) => ['a', 'b', 'c', 'd'].forEach((name) => change(p, name)), {
      c: { fails: boom },
    });
    expect(did).toEqual(['a', 'b', 'c', 'not c', 'not b', 'not a']);
    expect(status).toBe(1);
    expect(short(events, 'undo-started', 'step-undone', 'undo-finished').slice(0, 3)).toEqual([
      'undo-started t/3',
      'step-undone t/3.undo.1',
      'undo-finished t/3',
    ]);
  });

  test('says each intent before it acts', async () => {
    const { events } = await runSteps((p) => change(p, 'a'), { a: { fails: boom } });
    expect(
      short(
        events,
        'change-started',
        'step-started',
        'step-failed',
        'undo-started',
        'step-undone',
        'undo-finished',
        'task-finished',
      ).map((line) => line.split(' ')[0]),
    ).toEqual([
      'change-started',
      'step-started',
      'step-failed',
      'undo-started',
      'step-undone',
      'undo-finished',
      'task-finished',
    ]);
  });

  test('leaves out what is undone only unless it was done', async () => {
    expect((await runSteps((p) => (change(p, 'a', 'unless-done'), probe(p, 'x')), { x: { fails: boom } })).did).toEqual(
      ['a', 'x'],
    );
    expect((await runSteps((p) => change(p, 'a', 'unless-done'), { a: { fails: boom } })).did).toEqual(['a', 'not a']);
  });

  test('that fails halts, leaves the rest alone, and ends with status 4', async () => {
    const { did, status, events } = await runSteps((p) => ['a', 'b', 'c'].forEach((name) => change(p, name)), {
      c: { fails: boom },
      'not b': { fails: boom },
    });
    expect(did).toEqual(['a', 'b', 'c', 'not c', 'not b']);
    expect(status).toBe(4);
    expect(events.filter((event) => event.type === 'undo-failed')).toEqual([
      { type: 'undo-failed', id: 't/2', failure: boom },
    ]);
    expect(events.at(-1)).toMatchObject({ outcome: 'not-put-back', status: 4 });
  });

  test.each<[string, (p: Recorder) => void, readonly string[]]>([
    [
      'a guard: it does not recover',
      (p) => (
        change(p, 'a'),
        p.guard(
          (p) => (change(p, 'b'), probe(p, 'x')),
          (p) => probe(p, 'instead'),
        )
      ),
      ['a', 'b', 'x', 'not b'],
    ],
    [
      'a scope: it is left',
      (p) => (change(p, 'a'), p.within(p.scratch('s'), (p) => (change(p, 'b'), probe(p, 'x')))),
      ['a', 'enter s', 'b', 'x', 'not b', 'leave s'],
    ],
    [
      'a scope that was entered again',
      (p) => (change(p, 'a'), p.within(p.scratch('s'), (p) => change(p, 'b')), probe(p, 'x')),
      ['a', 'enter s', 'b', 'leave s', 'x', 'enter s', 'not b', 'leave s'],
    ],
    [
      'a branch',
      (p) => (change(p, 'a'), p.parallel({ l: (p) => change(p, 'c'), r: (p) => change(p, 'b') }), probe(p, 'x')),
      ['a', 'c', 'b', 'x', 'not b'],
    ],
  ])('that fails inside %s', async (_, steps, expected) => {
    const { did, status } = await runSteps(steps, { x: { fails: boom }, 'not b': { fails: boom } });
    expect(did).toEqual(expected);
    expect(status).toBe(4);
  });

  test('is stranded when the scope cannot be entered again', async () => {
    const performer: Scripted = new Scripted({
      x: () => (performer.locked.set('s', boom), { ok: false, failure: boom } as const),
    });
    const { status, events } = await run(
      planOf((p) => (change(p, 'a'), p.within(p.scratch('s'), (p) => change(p, 'b')), probe(p, 'x'))),
      performer,
    );
    expect(performer.did).toEqual(['a', 'enter s', 'b', 'leave s', 'x']);
    expect(status).toBe(4);
    expect(short(events, 'undo-failed')).toEqual(['undo-failed t/2']);
  });
});

describe('settled', () => {
  test('changes stay, those of the scopes around too; later ones do not', async () => {
    const { did, status, events } = await runSteps(
      (p) => {
        change(p, 'a');
        p.within(p.scratch('s'), (p) => {
          change(p, 'b');
          p.settle();
          change(p, 'c');
        });
        change(p, 'd');
        probe(p, 'x');
      },
      { x: { fails: boom } },
    );
    expect(did).toEqual(['a', 'enter s', 'b', 'c', 'leave s', 'd', 'x', 'not d', 'enter s', 'not c', 'leave s']);
    expect(status).toBe(1);
    expect(events).toContainEqual({ type: 'settled', id: 't/2.2', task: 't' });
  });

  test('a cancel no longer ends the task, and still is the outcome of the run', async () => {
    const cancel = new CancelSource();
    const plan = planOf((p) => (change(p, 'a'), p.settle(), change(p, 'b'), change(p, 'c')));
    const performer = new Scripted({
      b: () => (cancel.cancel(interrupted), { ok: true, fact: { known: true, value: null } }),
    });
    const { status } = await run(plan, performer, { cancel });
    expect([performer.did, status]).toEqual([['a', 'b', 'c'], 130]);
  });
});

describe('cancelling', () => {
  const signals = [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const;

  test.each(signals)('by %s while a step runs puts back and ends with %i', async (signal, expected) => {
    const cancel = new CancelSource();
    const performer = new ByHand();
    const ended = run(
      planOf((p) => ['a', 'b', 'c'].forEach((name) => change(p, name))),
      performer,
      { cancel },
    );
    await settled();
    await performer.finish('a');
    cancel.cancel({ reason: 'cancelled', signal });
    expect(performer.steps.at(-1)?.performing.cancel.cancelled).toEqual({ reason: 'cancelled', signal });
    await performer.finish('b');
    expect([...performer.open.keys()]).toEqual(['not b']);
    await performer.finish('not b');
    await performer.finish('not a');
    const { status, events } = await ended;
    expect(status).toBe(expected);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({ outcome: 'cancelled' });
  });

  test('never reaches an undo, neither a first nor a second time', async () => {
    const cancel = new CancelSource();
    const performer = new ByHand();
    const ended = run(
      planOf((p) => (change(p, 'a'), change(p, 'b'))),
      performer,
      { cancel },
    );
    await settled();
    await performer.finish('a');
    await performer.fail('b');
    cancel.cancel(interrupted);
    expect(performer.steps.at(-1)?.performing).toMatchObject({ undoing: true, cancel: { cancelled: null } });
    await performer.finish('not b');
    await performer.finish('not a');
    expect((await ended).status).toBe(130);
  });

  test('before it begins does nothing', async () => {
    const cancel = new CancelSource();
    cancel.cancel(interrupted);
    expect(await runSteps((p) => change(p, 'a'), {}, { cancel })).toMatchObject({ did: [], status: 130 });
  });

  test('inside a guard does not recover', async () => {
    const cancel = new CancelSource();
    const { did, status } = await runSteps(
      (p) => (
        change(p, 'a'),
        p.guard(
          (p) => (change(p, 'b'), probe(p, 'x'), probe(p, 'y')),
          (p) => probe(p, 'instead'),
        )
      ),
      { x: () => (cancel.cancel(interrupted), { ok: true, fact: { known: true, value: 1 } }) },
      { cancel },
    );
    expect(did).toEqual(['a', 'b', 'x', 'not b', 'not a']);
    expect(status).toBe(130);
  });

  test('inside each, within, parallel and a hold puts everything back', async () => {
    const bodies: readonly ((p: Recorder, stop: (p: Recorder) => void) => void)[] = [
      (p, stop) => void p.each(['1', '2'], (p) => (change(p, 'b'), stop(p))),
      (p, stop) =>
        void p.within(p.on(deviceName('board')).lock('l'), (p) => (change(p, 'b'), stop(p), change(p, 'never'))),
      (p, stop) =>
        void p.parallel({ l: (p) => (change(p, 'b'), stop(p), change(p, 'never')), r: (p) => probe(p, 'y') }),
      (p, stop) => (change(p, 'b'), p.parallel({ l: (p) => stop(p) }), p.hold()),
    ];
    for (const body of bodies) {
      const cancel = new CancelSource();
      const { did, status } = await runSteps(
        (p) => (change(p, 'a'), body(p, (p) => probe(p, 'stop')), change(p, 'never')),
        { stop: () => (cancel.cancel(interrupted), { ok: true, fact: { known: true, value: 1 } }) },
        { cancel },
      );
      expect(status).toBe(130);
      expect(did).not.toContain('never');
      expect(did.filter((name) => name.startsWith('not '))).toEqual(['not b', 'not a']);
    }
  });
});

test('a hold lasts until a service ends, and what was started is stopped', async () => {
  const performer = new Scripted();
  const ended = run(
    planOf((p) => (change(p, 'up'), p.hold())),
    performer,
  );
  await settled();
  expect(performer.did).toEqual(['up']);
  performer.endService({ reason: 'service-ended', service: 'up', exitCode: 1, tail: [] });
  expect((await ended).status).toBe(1);
  expect(performer.did).toEqual(['up', 'not up']);
});

describe('a task', () => {
  test('with a limit of time is put back when it reaches it', async () => {
    const clock = new HandClock();
    const performer = new ByHand();
    const ended = run(
      planOf((p) => (change(p, 'a'), probe(p, 'b')), { timeoutMs: 1_000 }),
      performer,
      { clock },
    );
    await settled();
    await performer.finish('a');
    await clock.turn(999);
    expect(performer.steps.at(-1)?.performing.cancel.cancelled).toBeNull();
    await clock.turn(1);
    const why = performer.steps.at(-1)?.performing.cancel.cancelled;
    expect(why).toEqual({ reason: 'timed-out', what: 't', timeoutMs: 1_000 });
    await performer.fail('b', why ?? boom);
    await performer.finish('not a');
    expect((await ended).status).toBe(1);
    expect(clock.sleepers).toBe(0);
  });

  test('is tried again from its start, resting twice as long each time', async () => {
    const clock = new HandClock();
    const performer = new Scripted({ b: { fails: boom } });
    const ended = run(
      planOf((p) => (change(p, 'a'), probe(p, 'b')), { retries: { times: 2, backoffMs: 100 } }),
      performer,
      { clock },
    );
    const once = ['a', 'b', 'not a'];
    await settled();
    expect(performer.did).toEqual(once);
    await clock.turn(100);
    expect(performer.did).toEqual([...once, ...once]);
    await clock.turn(199);
    expect(performer.did).toHaveLength(6);
    await clock.turn(1);
    const { status, events } = await ended;
    expect(status).toBe(1);
    expect(performer.did).toHaveLength(9);
    expect(short(events, 'task-started', 'task-retried', 'task-finished').map((line) => line.split(' ')[0])).toEqual([
      'task-started',
      'task-retried',
      'task-retried',
      'task-finished',
    ]);
  });

  test('is not tried again when a cancel comes while it rests', async () => {
    const [clock, cancel] = [new HandClock(), new CancelSource()];
    const performer = new Scripted({ a: { fails: boom } });
    const plan = planOf((p) => void probe(p, 'a'), { retries: { times: 2, backoffMs: 100 } });
    const ended = run(plan, performer, { clock, cancel });
    await settled();
    cancel.cancel(interrupted);
    const { status, events } = await ended;
    expect(status).toBe(130);
    expect(performer.did).toEqual(['a']);
    expect(short(events, 'task-retried')).toEqual([]);
    expect(events.at(-2)).toMatchObject({ type: 'task-finished', outcome: 'cancelled', failure: interrupted });
  });

  test.each<[string, (p: Recorder) => void]>([
    ['was refused', (p) => p.require(p.probe(yes, { name: 'no' }), 'no')],
    ['had settled', (p) => (p.settle(), probe(p, 'x'))],
    [
      'was not put back',
      (p) => (
        p.change({ touches: [], do: (p) => p.call(act, { name: 'a' }), undo: (p) => p.call(act, { name: 'x' }) }),
        probe(p, 'x')
      ),
    ],
  ])('that %s is not tried again', async (_, steps) => {
    const { events } = await run(
      planOf(steps, { retries: { times: 3, backoffMs: 1 } }),
      new Scripted({ no: false, x: { fails: boom } }),
    );
    expect(short(events, 'task-retried')).toEqual([]);
  });
});
