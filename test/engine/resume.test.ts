import { describe, expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { readJournal, replayPerformer } from '../../lib/engine/journal.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { text } from '../../lib/model/ref.ts';
import { task } from '../../lib/model/task.ts';
import {
  HandClock,
  Scripted,
  act,
  ask,
  boom,
  change,
  hash,
  interrupted,
  planOf,
  run,
  settled,
  short,
  yes,
  type Ran,
  type RunSettings,
} from './rig.ts';

const probe = (p: Recorder, name: string) => p.probe(ask, { name });
type Answers = ConstructorParameters<typeof Scripted>[0];

/** What the journal holds when the runner dies while this step runs. */
async function diedIn(
  name: string,
  plan: Plan,
  answers: Answers = {},
  settings: RunSettings = {},
): Promise<readonly RunEvent[]> {
  const seen: RunEvent[] = [];
  void run(plan, new Scripted({ ...answers, [name]: () => new Promise(() => undefined) }), { ...settings, seen });
  for (let turn = 0; turn < 3; turn++) await settled();
  return seen;
}

async function resume(
  plan: Plan,
  journal: readonly RunEvent[],
  performer = new Scripted(),
  settings: RunSettings = {},
): Promise<Ran & { readonly did: readonly string[]; readonly all: readonly RunEvent[] }> {
  const past = readJournal(journal);
  const ran = await run(plan, replayPerformer(past, performer), {
    past,
    capacity: { jobs: 1, memoryMb: 1, cpu: 1 },
    ...settings,
  });
  return { ...ran, did: performer.did, all: [...journal, ...ran.events] };
}

describe('a resumed run', () => {
  test('puts back what was begun, and says that the run was cut off', async () => {
    const plan = planOf((p) => (change(p, 'a'), change(p, 'b')));
    const { did, status, events, all } = await resume(plan, await diedIn('b', plan));
    expect(did).toEqual(['not b', 'not a']);
    expect(status).toBe(0);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
      outcome: 'cancelled',
      failure: { reason: 'cut-off' },
    });
    expect(readJournal(all)).toMatchObject({ finishedRun: true, open: [] });
  });

  test('finishes what had settled, without doing anything twice', async () => {
    const plan = planOf((p) => (change(p, 'a'), p.settle(), change(p, 'b'), change(p, 'c')));
    const { did, status } = await resume(plan, await diedIn('c', plan));
    expect(did).toEqual(['c']);
    expect(status).toBe(0);
  });

  test('that fails to finish what had settled has failed', async () => {
    const plan = planOf((p) => (change(p, 'a'), p.settle(), change(p, 'b'), change(p, 'c')));
    const { did, status } = await resume(plan, await diedIn('c', plan), new Scripted({ c: { fails: boom } }));
    expect(did).toEqual(['c', 'not c', 'not b']);
    expect(status).toBe(1);
  });

  test('does not go past a settle that was not reached', async () => {
    const plan = planOf((p) => (change(p, 'a'), p.settle(), change(p, 'b')));
    const journal = await diedIn('b', plan);
    const { did } = await resume(
      plan,
      journal.slice(
        0,
        journal.findIndex((event) => event.type === 'settled'),
      ),
    );
    expect(did).toEqual(['not a']);
  });

  test('does not let a guard take being cut off for a failure of its body', async () => {
    const plan = planOf(
      (p) => (
        change(p, 'a'),
        p.guard(
          (p) => change(p, 'b'),
          () => null,
        )
      ),
    );
    expect((await resume(plan, await diedIn('b', plan))).did).toEqual(['not b', 'not a']);
  });

  test('puts back what a guard did instead', async () => {
    const plan = planOf(
      (p) => (
        change(p, 'a'),
        p.guard(
          (p) => (
            change(p, 'b'),
            p.waitUntil('w', (p) => ({ until: p.probe(yes, { name: 'up' }), value: 1 }), { timeoutMs: 1 })
          ),
          (p) => (change(p, 'c'), change(p, 'd')),
        )
      ),
    );
    expect((await resume(plan, await diedIn('d', plan, { up: false }))).did).toEqual(['not d', 'not c', 'not a']);
  });

  test('does not put back twice', async () => {
    const plan = planOf((p) => (change(p, 'a'), change(p, 'b'), probe(p, 'x')));
    expect((await resume(plan, await diedIn('not a', plan, { x: { fails: boom } }))).did).toEqual(['not a']);
  });

  test('puts back both branches, whatever made them end', async () => {
    const plan = planOf((p) =>
      p.parallel({
        l: (p) => (p.parallel({ x: (p) => probe(p, '1') }), change(p, 'a'), probe(p, '2'), probe(p, 'last')),
        r: (p) => probe(p, 'x'),
      }),
    );
    const journal = await diedIn('last', plan, { x: () => settled().then(() => ({ ok: false, failure: boom })) });
    // Gone through again, the right branch fails before anything of the left one was come to.
    expect(short(journal, 'change-finished', 'step-failed')).toEqual([
      'change-finished t/1.l.2',
      'step-failed t/1.r.1',
    ]);
    expect((await resume(plan, journal)).did).toEqual(['not a']);
  });

  test('once settled, does nothing more of what was being put back', async () => {
    const plan = planOf((p) => (p.settle(), change(p, 'a'), change(p, 'b'), probe(p, 'x'), change(p, 'c')));
    const journal = await diedIn('not a', plan, { x: { fails: boom } });
    expect((await resume(plan, journal)).did).toEqual(['not a']);
  });

  test('gets to every task, one after the other', async () => {
    const tasks = ['one', 'two'].map((name) =>
      task(name, { summary: name, steps: (p) => (change(p, name), probe(p, `${name}!`)) }),
    );
    const { plan } = makePlan(
      tasks.map((one) => one()),
      hash,
    );
    const { did, status } = await resume(
      plan,
      await diedIn('two!', plan, { 'one!': () => new Promise(() => undefined) }),
    );
    expect(did.toSorted()).toEqual(['not one', 'not two']);
    expect(status).toBe(0);
  });

  test('puts everything back although it is cancelled before it begins', async () => {
    const plan = planOf(
      (p) => (
        change(p, 'a'),
        p.parallel({ l: (p) => change(p, 'b') }),
        p.guard(
          (p) => change(p, 'c'),
          () => null,
        ),
        change(p, 'd')
      ),
    );
    const cancel = new CancelSource();
    cancel.cancel(interrupted);
    const { did, status } = await resume(plan, await diedIn('d', plan), new Scripted(), { cancel });
    expect(did).toEqual(['not d', 'not c', 'not b', 'not a']);
    expect(status).toBe(130);
  });

  test('that is cancelled while it finishes stops there, and puts back what had not settled', async () => {
    const plan = planOf((p) => (change(p, 'a'), p.settle(), change(p, 'b'), change(p, 'c')));
    const cancel = new CancelSource();
    cancel.cancel(interrupted);
    expect((await resume(plan, await diedIn('c', plan), new Scripted(), { cancel })).did).toEqual(['not c', 'not b']);
  });

  test('that cannot take the lock leaves the run to be recovered, with status 4', async () => {
    const plan = planOf((p) => p.within(p.on(deviceName('board')).lock('l'), (p) => (change(p, 'a'), probe(p, 'x'))));
    const held = new Scripted();
    held.locked.set('l', { reason: 'lock-held', place: 'board', name: 'l', holder: 'other' });
    const { did, status, all, events } = await resume(plan, await diedIn('x', plan), held);
    expect(did).toEqual([]);
    expect(status).toBe(4);
    expect(short(events, 'undo-failed')).toEqual(['undo-failed t/1']);
    expect(readJournal(all).finishedRun).toBe(false);
    expect((await resume(plan, all)).did).toEqual(['enter l', 'not a', 'leave l']);
  });

  test('of which an undo fails can be resumed again', async () => {
    const plan = planOf((p) => (change(p, 'a'), change(p, 'b')));
    const { status, all } = await resume(plan, await diedIn('b', plan), new Scripted({ 'not b': { fails: boom } }));
    expect(status).toBe(4);
    const again = await resume(plan, all);
    expect(again).toMatchObject({ did: ['not b', 'not a'], status: 0 });
    expect(readJournal(again.all).finishedRun).toBe(true);
  });

  test('knows what finished tasks returned, from blocks as well as from steps', async () => {
    const from = task('from', {
      summary: 's',
      steps: (p) => ({ step: p.probe(ask, { name: 'v' }), block: p.when(true, (p) => p.probe(ask, { name: 'v' })) }),
    });
    const to = task('to', {
      summary: 's',
      needs: { from: from() },
      steps: (p, { needs }) => {
        const value = text`not ${needs.from.step as never} ${needs.from.block as never}`;
        p.change({ touches: [], do: (p) => p.call(act, { name: 'a' }), undo: (p) => p.call(act, { name: value }) });
        probe(p, 'x');
      },
    });
    const { plan } = makePlan([to()], hash);
    expect((await resume(plan, await diedIn('x', plan, { v: 'seen' }))).did).toEqual(['not seen seen']);
  });

  test('begins a retried task from its last start', async () => {
    const plan = planOf((p) => (change(p, 'a'), probe(p, 'x'), change(p, 'b')), {
      retries: { times: 1, backoffMs: 1 },
    });
    let tries = 0;
    const journal = await diedIn('b', plan, {
      x: () => (++tries === 1 ? { ok: false, failure: boom } : { ok: true, fact: { known: true, value: 1 } }),
    });
    expect(short(journal, 'task-retried')).toHaveLength(1);
    expect((await resume(plan, journal)).did).toEqual(['not b', 'not a']);
  });

  test('does not sit through a wait again', async () => {
    const clock = new HandClock();
    const plan = planOf(
      (p) => (
        change(p, 'a'),
        p.waitUntil('w', (p) => ({ until: p.probe(yes, { name: 'up' }), value: 1 }), {
          timeoutMs: 60_000,
          everyMs: 500,
        })
      ),
    );
    const journal = await diedIn('never', plan, { up: false }, { clock });
    expect((await resume(plan, journal, new Scripted(), { clock })).did).toEqual(['not a']);
  });

  test('is the same with lines that stand twice', async () => {
    const plan = planOf(
      (p) => (change(p, 'a'), p.settle(), change(p, 'b'), p.each(['1', '2'], (p) => change(p, 'c')), change(p, 'd')),
    );
    for (const name of ['a', 'b', 'c', 'd']) {
      const journal = await diedIn(name, plan);
      const doubled = journal.flatMap((line) => [line, line]);
      expect(readJournal(doubled)).toEqual(readJournal(journal));
      expect((await resume(plan, doubled)).did).toEqual((await resume(plan, journal)).did);
    }
  });
});

test('an empty journal leaves nothing to be done', () => {
  expect(readJournal([])).toMatchObject({ finishedRun: false, open: [], goals: [] });
});
