import { describe, expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { createFreshness, ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { readJournal, replayPerformer } from '../../lib/engine/journal.ts';
import { showPlan } from '../../lib/engine/show.ts';
import { webhook } from '../../lib/model/channel.ts';
import { textOf } from '../../lib/model/json.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { secret } from '../../lib/model/ref.ts';
import type { Known } from '../../lib/model/fact.ts';
import type { Performed, Performing } from '../../lib/model/ports.ts';
import type { Step } from '../../lib/model/step.ts';
import { HandClock, Scripted, ask, boom, change, hash, interrupted, planOf, run, type RunSettings } from './rig.ts';
import { MemoryStore } from './memory-store.ts';

const to = webhook({ url: secret('URL') });

/** Writes down what is told among what is done: `tell taken-back exit-non-zero`. */
class Heard extends Scripted {
  override perform(step: Step, performing: Performing): Promise<Performed<Known>> {
    if (step.kind !== 'notify') return super.perform(step, performing);
    const because = step.args.because === undefined ? '' : ` ${textOf(step.args.because)}`;
    this.did.push(`tell ${textOf(step.args.event)}${because}`);
    return Promise.resolve({ ok: true, fact: { known: true, value: { sent: [], unsent: [], off: [] } } });
  }
}

type Answers = ConstructorParameters<typeof Scripted>[0];
const told = (p: Recorder, body: (p: Recorder) => void): void => void p.notifying({ to, text: 'it' }, body);

async function runs(steps: (p: Recorder) => void, answers: Answers = {}, settings: RunSettings = {}) {
  const heard = new Heard(answers);
  return { ...(await run(planOf(steps), heard, settings)), did: heard.did };
}

describe('a block that tells', () => {
  test('tells before it begins, and when it is done', async () => {
    const { did, status } = await runs((p) => told(p, (p) => change(p, 'a')));
    expect(did).toEqual(['tell start', 'a', 'tell success']);
    expect(status).toBe(0);
  });

  test('tells that all was taken back only after it was, and once its locks are free', async () => {
    const steps = (p: Recorder): void =>
      told(p, (p) => void p.within(p.on(deviceName('board')).lock('deploy'), (p) => (change(p, 'a'), change(p, 'b'))));
    const { did, status } = await runs(steps, { b: { fails: boom } });
    expect(did).toEqual([
      'tell start',
      'enter deploy',
      'a',
      'b',
      'not b',
      'not a',
      'leave deploy',
      'tell taken-back exit-non-zero',
    ]);
    expect(status).toBe(1);
  });

  test('tells a failure that left nothing to take back', async () => {
    const { did } = await runs((p) => told(p, (p) => p.probe(ask, { name: 'x' })), { x: { fails: boom } });
    expect(did).toEqual(['tell start', 'x', 'tell failure exit-non-zero']);
  });

  test('tells what was not put back', async () => {
    const { did, status } = await runs((p) => told(p, (p) => (change(p, 'a'), change(p, 'b'))), {
      b: { fails: boom },
      'not b': { fails: boom },
    });
    expect(did).toEqual(['tell start', 'a', 'b', 'not b', 'tell not-put-back exit-non-zero']);
    expect(status).toBe(4);
  });

  test('tells that what had settled stays, though something after it failed', async () => {
    const { did } = await runs((p) => told(p, (p) => (change(p, 'a'), p.settle(), change(p, 'b'))), {
      b: { fails: boom },
    });
    expect(did).toEqual(['tell start', 'a', 'b', 'not b', 'tell unfinished exit-non-zero']);
  });

  test('tells so when a later failure of the task takes back what it had done', async () => {
    const { did } = await runs((p) => (told(p, (p) => change(p, 'a')), change(p, 'b')), { b: { fails: boom } });
    expect(did).toEqual(['tell start', 'a', 'tell success', 'b', 'not b', 'not a', 'tell taken-back exit-non-zero']);
  });

  test('tells each of two blocks what became of it', async () => {
    const steps = (p: Recorder): void => (told(p, (p) => change(p, 'a')), told(p, (p) => p.probe(ask, { name: 'x' })));
    const { did } = await runs(steps, { x: { fails: boom } });
    expect(did.slice(3)).toEqual([
      'tell start',
      'x',
      'tell failure exit-non-zero',
      'not a',
      'tell taken-back exit-non-zero',
    ]);
  });

  test('tells that it was taken back when a signal came, however often', async () => {
    const cancel = new CancelSource();
    const stop = (): Performed<Known> => (cancel.cancel(interrupted), { ok: false, failure: interrupted });
    const { did, status } = await runs(
      (p) => told(p, (p) => (change(p, 'a'), change(p, 'b'))),
      { b: stop },
      { cancel },
    );
    expect(did.at(-1)).toBe('tell taken-back cancelled');
    expect(status).toBe(130);
  });

  test('is no change: a device is left as it was', async () => {
    const { events } = await runs((p) => told(p, (p) => p.on(deviceName('board')).probe(ask, { name: 'x' })));
    expect(events.find(({ type }) => type === 'task-finished')).toMatchObject({ outcome: 'fresh' });
  });

  test('stands in the plan with what is sure and what is not', async () => {
    const shown = await showPlan(
      planOf((p) => told(p, (p) => change(p, 'a'))),
      { performer: dryPerformer, clock: new HandClock(), freshness: ALWAYS_RUN, force: false, line: ({ id }) => id },
    );
    const steps = shown.tasks.flatMap(({ steps }) => steps);
    expect(steps.map(({ id, certainty, effect }) => `${id} ${certainty} ${effect}`)).toEqual([
      't/1.start.1 certain tells',
      't/1.1.1 certain changes',
      't/1.success.1 certain tells',
      't/1.failure.1 conditional tells',
    ]);
  });

  test('is never skipped as fresh, though nothing that it reads has changed', async () => {
    const store = new MemoryStore();
    store.files.set('out', 'x');
    const freshness = createFreshness(store, hash);
    const plan = planOf((p) => void p.notify({ to, text: 'hello' }), { inputs: ['in'], outputs: ['out'] });
    for (let time = 0; time < 2; time++) {
      const heard = new Heard();
      await run(plan, heard, { freshness });
      expect(heard.did).toEqual(['tell message']);
    }
  });
});

test('telling stands where it can be neither taken back nor repeated', () => {
  const tell = (p: Recorder): void => void p.notify({ to, text: 'it' });
  const changing = (p: Recorder): void => void p.change({ touches: [], do: tell, undo: tell });
  expect(() => planOf(changing)).toThrow('a change, which may be put back, tells nothing');
  const waiting = (p: Recorder): void =>
    void p.waitUntil('so', (p) => ({ until: true, value: tell(p) }), { timeoutMs: 1 });
  expect(() => planOf(waiting)).toThrow('a wait repeats reading steps only');
  const guarded = (p: Recorder): void => void p.guard((p) => told(p, tell), tell);
  expect(() => planOf(guarded)).toThrow('notifying concerns the whole task');
  const shown = (p: Recorder): void => void p.notify({ to, text: secret('URL') });
  expect(() => planOf(shown)).toThrow('puts the secret URL where it would show');
});

describe('a resumed run', () => {
  const plan = planOf((p) => told(p, (p) => (change(p, 'a'), change(p, 'b'))));
  const settling = planOf((p) => told(p, (p) => (change(p, 'a'), p.settle(), change(p, 'b'))));

  /** What is told in a first life that ends before its line `killAt`, and in those that recover from it. */
  async function lives(plan: Plan, killAt: number, answers: Answers): Promise<readonly (readonly string[])[]> {
    const first = new Heard(answers);
    let { status, journal } = await run(plan, first, { killAt });
    const told = [first.did];
    while (
      status === 'killed' &&
      readJournal(journal).open.length + Number(readJournal(journal).unfinishedAfterSettling) > 0
    ) {
      const next = new Heard();
      const past = readJournal(journal);
      const ran = await run(plan, replayPerformer(past, next), { past });
      told.push(next.did);
      ({ status } = ran);
      journal = [...journal, ...ran.journal];
    }
    return told.map((did) => did.filter((line) => line.startsWith('tell')));
  }

  test.each([
    ['cut off', plan, {}],
    ['that had failed', plan, { b: { fails: boom } }],
    ['that had settled', settling, {}],
  ])('%s: who heard of the beginning hears of the end, and of no end twice', async (_, plan, answers) => {
    const whole = await run(plan, new Heard(answers));
    for (let killAt = 0; killAt < whole.journal.length; killAt++) {
      const [first = [], ...later] = await lives(plan, killAt, answers);
      const again = later.flat();
      expect(again, `killed at ${String(killAt)}`).not.toContain('tell start');
      if (later.length === 0) continue;
      expect(first[0], `killed at ${String(killAt)}`).toBe('tell start');
      // A first life that died right after it had told of success is taken back, and that is told, too.
      const settled = whole.journal.slice(0, killAt).some(({ type }) => type === 'settled');
      const end = settled ? 'tell success' : 'tell taken-back';
      expect([...first, ...again].at(-1), `killed at ${String(killAt)}`).toContain(end);
      expect(again.length, again.join()).toBeLessThanOrEqual(1);
    }
  });

  test('tells that what was cut off is taken back', async () => {
    const whole = await run(plan, new Heard());
    const at = whole.journal.findIndex((event) => event.type === 'step-started' && event.id === 't/1.2.1');
    expect(await lives(plan, at, {})).toEqual([['tell start'], ['tell taken-back cut-off']]);
  });
});
