import { describe, expect, test } from 'vitest';
import { dryPerformer, previewPerformer } from '../../lib/engine/dry.ts';
import { ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { showPlan, type Shown } from '../../lib/engine/show.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Performer } from '../../lib/model/ports.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { secret, text } from '../../lib/model/ref.ts';
import { task, type Need } from '../../lib/model/task.ts';
import { HandClock, Scripted, ask, change, hash, make, nameOf, planOf, yes } from './rig.ts';

const board = deviceName('board');
const options = (performer: Performer) => ({
  performer,
  clock: new HandClock(),
  freshness: ALWAYS_RUN,
  force: false,
  line: nameOf,
});
const show = (steps: (p: Recorder) => unknown, performer: Performer): Promise<Shown> =>
  showPlan(planOf(steps), options(performer));
const lines = ({ tasks }: Shown): readonly string[] =>
  tasks.flatMap((one) => one.steps.map((step) => `${step.line} ${step.certainty}`));
const probe = (p: Recorder, name: string) => p.probe(ask, { name });

describe('a step is shown', () => {
  test('with its block around, its place and the lines that put it back', async () => {
    const { tasks } = await show(
      (p) => p.within(p.on(board).lock('l'), (p) => (probe(p, 'q'), change(p, 'a'))),
      dryPerformer,
    );
    expect(tasks[0]?.steps).toEqual([
      {
        id: 't/1.1',
        task: 't',
        kind: 'probe',
        place: 'here',
        effect: 'reads',
        certainty: 'certain',
        parent: 't/1',
        leaseMs: null,
        line: 'q',
        undo: [],
      },
      {
        id: 't/1.2.1',
        task: 't',
        kind: 'call',
        place: 'here',
        effect: 'changes',
        certainty: 'certain',
        parent: 't/1.2',
        leaseMs: null,
        line: 'a',
        undo: ['not a'],
      },
    ]);
  });

  test('under a task that runs, and why', async () => {
    expect((await show((p) => probe(p, 'q'), dryPerformer)).tasks).toMatchObject([
      { task: 't', state: 'runs', check: { state: 'stale', because: [] } },
    ]);
  });
});

describe('the preview', () => {
  test('asks until the first change of that place, and of the others on', async () => {
    const live = new Scripted();
    await show((p) => {
      p.on(board).probe(ask, { name: 'board 1' });
      probe(p, 'here 1');
      p.on(board).remove('x', { effect: 'derives' });
      p.on(board).probe(ask, { name: 'board 2' });
      probe(p, 'here 2');
      change(p, 'a');
      probe(p, 'here 3');
    }, previewPerformer(live));
    expect(live.did).toEqual(['board 1', 'here 1', 'here 2']);
  });

  test('never runs a command of the author, not even one that reads', async () => {
    const live = new Scripted();
    await show((p) => {
      p.run(['ls'], { effect: 'reads' });
      p.shell('ls', { effect: 'reads' });
      p.opaque('look', { effect: 'reads', summary: 's' }, () => Promise.resolve());
      p.call(make, { name: 'made' });
    }, previewPerformer(live));
    expect(live.did).toEqual([]);
  });

  test('remembers from task to task what was altered', async () => {
    const live = new Scripted();
    const one = task('one', { summary: 's', steps: (p) => void p.call(make, { name: 'made' }) });
    const two: Need = task('two', { summary: 's', needs: { one: one() }, steps: (p) => void probe(p, 'two') })();
    await showPlan(makePlan([two], hash).plan, options(previewPerformer(live)));
    expect(live.did).toEqual([]);
  });

  test('asks no question about what is not known yet, but one with a secret', async () => {
    const live = new Scripted();
    await show((p) => {
      const unknown = p.run(['x'], { effect: 'reads', yields: { type: 'string' } });
      p.probe(ask, { name: 'no', of: text`a ${unknown as never}` });
      p.probe(ask, { name: 'yes', of: secret('k') });
    }, previewPerformer(live));
    expect(live.did).toEqual(['yes']);
  });

  test('shows the branch that will be taken, and each pass that is known', async () => {
    const live = new Scripted({ cond: true, all: ['a', 'b'] });
    const shown = await show((p) => {
      p.when(
        p.probe(yes, { name: 'cond' }),
        (p) => probe(p, 'then'),
        (p) => probe(p, 'else'),
      );
      p.each(
        p.probe({ name: 'q', effect: 'reads', yields: { type: 'list', of: { type: 'string' } } } as never, {
          name: 'all',
        }) as never,
        (p) => probe(p, 'pass'),
      );
    }, previewPerformer(live));
    expect(lines(shown)).toEqual(['cond certain', 'then certain', 'all certain', 'pass certain', 'pass certain']);
  });

  test('takes no lock, and says already now what a run would be refused for', async () => {
    const live = new Scripted({ ok: false });
    const shown = await show(
      (p) =>
        p.within(p.on(board).lock('l'), (p) => (p.require(p.probe(yes, { name: 'ok' }), 'not now'), change(p, 'a'))),
      previewPerformer(live),
    );
    expect(shown.refusal).toEqual({ reason: 'refused', message: 'not now' });
    expect(live.did).toEqual(['ok']);
    expect(shown.facts.fact('t/1.1')).toEqual({ known: true, value: false });
  });

  test('asks each round of a wait once', async () => {
    const live = new Scripted({ up: false });
    const shown = await show(
      (p) =>
        p.waitUntil('w', (p) => ({ until: p.probe(yes, { name: 'up' }), value: 1 }), { timeoutMs: 1000, times: 3 }),
      previewPerformer(live),
    );
    expect(live.did).toEqual(['up']);
    expect(lines(shown)).toEqual(['up repeated']);
  });
});

test('the dry performer knows nothing, whatever it is asked', async () => {
  const shown = await show((p) => (probe(p, 'q'), change(p, 'a'), p.hold()), dryPerformer);
  expect(lines(shown)).toEqual(['q certain', 'a certain']);
  expect([...shown.facts.entries()].filter(([, fact]) => fact.known)).toEqual([]);
  await expect(dryPerformer.serviceEnded('t', {} as never)).rejects.toThrow('a dry run holds nothing');
});
