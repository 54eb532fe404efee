import { describe, expect, test } from 'vitest';
import { readJournal, replayPerformer } from '../../lib/engine/journal.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Failure } from '../../lib/model/failure.ts';
import { equals } from '../../lib/model/choice.ts';
import { textOf } from '../../lib/model/json.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { LivePerformer, SwitchOutcome } from '../../lib/model/ports.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { act, ask, boom, change, maybe, nameOf, planOf, run, Scripted, short, type Ran } from './rig.ts';

const board = deviceName('board');
const unreachable: Failure = { reason: 'left-to-device', place: 'board', because: 'unreachable' };

/** A change on the board that is only a name. */
const there = (p: Recorder, name: string, undone: 'always' | 'unless-done' = 'always'): void =>
  void p.change({
    touches: [],
    undone,
    do: (p) => p.on(board).call(act, { name }),
    undo: (p) => p.on(board).call(act, { name: `not ${name}` }),
  });

const switching = (p: Recorder, body: (p: Recorder) => void): void =>
  void p.within(p.on(board).deadMan({ release: 'new', from: 'old', leaseMs: 1000 }), body);

/** Here, then a switch of two changes, then one more. */
const steps = (p: Recorder): void => {
  change(p, 'upload');
  switching(p, (p) => {
    there(p, 'stop');
    there(p, 'confirm');
  });
  change(p, 'resume');
};

/** A board whose switch ends as told; it says whether the walk had come to its end. */
class Board extends Scripted {
  readonly ends: boolean[] = [];
  readonly #outcome: (walked: boolean) => SwitchOutcome | Failure;

  constructor(
    outcome: (walked: boolean) => SwitchOutcome | Failure,
    answers: ConstructorParameters<typeof Scripted>[0] = {},
  ) {
    super(answers);
    this.#outcome = outcome;
  }

  override enter: LivePerformer['enter'] = (scope, performing) => {
    this.did.push(performing.undoing ? 'look' : scope.kind === 'deadMan' ? `arm ${textOf(scope.release)}` : scope.kind);
    const settle = (walked: boolean) => {
      this.ends.push(walked);
      const outcome = this.#outcome(walked);
      return Promise.resolve(
        'reason' in outcome ? { ok: false as const, failure: outcome } : { ok: true as const, outcome },
      );
    };
    return Promise.resolve({ ok: true, entered: { value: 'switch', leave: () => Promise.resolve(), settle } });
  };
}

const confirmed = (): SwitchOutcome => ({ state: 'confirmed' });
const takenBack = (): SwitchOutcome => ({ state: 'taken-back', why: 'silence' });

describe('inside a dead-man’s switch', () => {
  test('each change carries what puts it back, with its refs replaced', async () => {
    const performer = new Board(confirmed, { where: 'there' });
    const plan = planOf((p) => {
      const where = p.on(board).probe(maybe, { name: 'where' });
      switching(p, (p) => {
        p.change({
          touches: [],
          do: (p) => p.on(board).call(act, { name: 'go' }),
          undo: (p) => p.when(equals(where, 'there'), (p) => p.on(board).call(act, { name: 'back', where })),
        });
      });
    });
    await run(plan, performer);
    const [go] = performer.steps.filter(({ step }) => nameOf(step) === 'go');
    expect(go?.performing.armed).toMatchObject({ id: 't/2.1#', undone: 'always' });
    expect(go?.performing.armed?.undo).toMatchObject([{ args: { args: { name: 'back', where: 'there' } } }]);
  });

  test('confirmed, the task has settled: what fails later takes nothing back', async () => {
    const performer = new Board(confirmed, { resume: { fails: boom } });
    const { status, events } = await run(planOf(steps), performer);
    expect(performer.did).toEqual(['upload', 'arm new', 'stop', 'confirm', 'resume', 'not resume']);
    expect(performer.ends).toEqual([true]);
    expect(short(events, 'settled')).toEqual(['settled t/2']);
    expect(status).toBe(1);
  });

  test('what fails is put back by the device alone, and told as such; what was done around it from here', async () => {
    const performer = new Board(takenBack, { confirm: { fails: boom } });
    const { status, events } = await run(planOf(steps), performer);
    expect(performer.did).toEqual(['upload', 'arm new', 'stop', 'confirm', 'not upload']);
    expect(performer.ends).toEqual([false]);
    // Whoever looks on sees it before it is done.
    expect(short(events, 'device-undoes', 'undo-step-started')).toEqual([
      'device-undoes t/2',
      'undo-step-started t/1.undo.1',
    ]);
    expect(short(events, 'step-undone')).toEqual([
      'step-undone t/2.2.undo.1',
      'step-undone t/2.1.undo.1',
      'step-undone t/1.undo.1',
    ]);
    expect(status).toBe(1);
    expect(readJournal(events).open).toEqual([]);
  });

  test('a confirmation that was heard by the device counts, though its answer was not', async () => {
    const performer = new Board(confirmed, { confirm: { fails: unreachable } });
    const { status } = await run(planOf(steps), performer);
    expect(performer.did).toEqual(['upload', 'arm new', 'stop', 'confirm', 'resume']);
    expect(status).toBe(0);
  });

  test('a body that confirmed nothing has not switched', async () => {
    const performer = new Board(takenBack);
    const { status, events } = await run(planOf(steps), performer);
    expect(performer.did).toEqual(['upload', 'arm new', 'stop', 'confirm', 'not upload']);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
      failure: { code: 'taken-back', detail: 'silence' },
    });
    expect(status).toBe(1);
  });

  test('stuck or unreachable: not put back, and nothing around it is touched', async () => {
    const stuck = (): SwitchOutcome => ({ state: 'stuck', change: 't/2.1#', failure: boom });
    for (const [outcome, undone] of [
      [stuck, ['step-undone t/2.2.undo.1']],
      [() => unreachable, []],
    ] as const) {
      const performer = new Board(outcome, { confirm: { fails: boom } });
      const { status, events } = await run(planOf(steps), performer);
      expect(performer.did).not.toContain('not upload');
      expect(short(events, 'step-undone')).toEqual(undone);
      expect(status).toBe(4);
    }
  });
});

describe('recovered', () => {
  const recover = async (journal: readonly RunEvent[], performer: Board): Promise<Ran> => {
    const past = readJournal(journal);
    const capacity = { jobs: 1, memoryMb: 1, cpu: 1 };
    return run(planOf(steps), replayPerformer(past, performer), { past, capacity });
  };

  /** The device confirmed if the step was performed there, whatever the client still wrote down. */
  const ended = (performer: Board) => (performer.did.includes('confirm') ? confirmed() : takenBack());

  test('after a death anywhere: what the device decided is finished, or put back, and never armed again', async () => {
    let killed = 0;
    for (let killAt = 1; ; killAt++) {
      const first = new Board(confirmed);
      const { status, journal } = await run(planOf(steps), first, { killAt });
      if (status !== 'killed') break;
      killed++;
      const second = new Board(() => ended(first));
      const again = await recover(journal, second);
      const all = [...journal, ...again.events];
      expect(second.did, String(killAt)).not.toContain('arm new');
      expect(readJournal(all), String(killAt)).toMatchObject({ open: [], unfinishedAfterSettling: false });
      const done = [...first.did, ...second.did];
      if (first.did.includes('confirm')) expect(done, String(killAt)).toContain('resume');
      else if (done.includes('upload')) expect(done, String(killAt)).toContain('not upload');
      expect(second.did.filter((name) => name === 'not stop' || name === 'not confirm')).toEqual([]);
    }
    expect(killed).toBeGreaterThan(10);
  });
});

describe('refused when it is recorded', () => {
  const inside = (body: (p: Recorder) => unknown) => () => planOf((p) => switching(p, body));

  test.each([
    [
      'a guard',
      (p: Recorder) =>
        void p.guard(
          (p) => there(p, 'a'),
          () => undefined,
        ),
      /a guard cannot stand/,
    ],
    ['a change here', (p: Recorder) => change(p, 'a'), /an undo on here cannot stand/],
    [
      'a change of two steps',
      (p: Recorder) =>
        void p.change({
          touches: [],
          do: (p) => (p.on(board).call(act, { name: 'a' }), p.on(board).call(act, { name: 'b' })),
          undo: (p) => p.on(board).call(act, { name: 'c' }),
        }),
      /more than one step/,
    ],
    ['settle', (p: Recorder) => p.settle(), /settle concerns the whole task/],
    ['a value', (p: Recorder) => p.on(board).probe(ask, { name: 'x' }), /yields nothing/],
  ])('%s', (_, body, message) => {
    expect(inside(body)).toThrow(message);
  });
});
