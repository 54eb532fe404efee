import { describe, expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { ALWAYS_RUN, createFreshness, type Freshness } from '../../lib/engine/freshness.ts';
import { Holding } from '../../lib/engine/holding.ts';
import { readJournal, replayPerformer } from '../../lib/engine/journal.ts';
import { showPlan } from '../../lib/engine/show.ts';
import { retrace } from '../../lib/engine/undo.ts';
import { MemoryStore } from './memory-store.ts';
import { looked, planned, service, user } from './service-tasks.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Cancel } from '../../lib/model/ports.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { secret } from '../../lib/model/ref.ts';
import { task, type Need } from '../../lib/model/task.ts';
import {
  ByHand,
  HandClock,
  Scripted,
  ask,
  boom,
  change,
  hash,
  interrupted,
  run,
  settled,
  short,
  type Ran,
} from './rig.ts';

const died = { reason: 'service-ended', service: 'x', exitCode: 9, tail: [] } as const;
describe('a task that needs a service', () => {
  test('waits until it is up, and it ends with the last that needs it, also one at a time', async () => {
    const db = service('db');
    const performer = new ByHand();
    const ran = run(planned(user('one', { db }), user('two', { db })), performer, {
      capacity: { jobs: 1, memoryMb: 1, cpu: 1 },
    });
    await settled();
    await performer.finish('db address', 'here');
    expect(performer.did).toEqual(['db address', 'db up']);
    await performer.finish('db up');
    expect(performer.did.slice(2)).toEqual(['one']);
    await performer.finish('one');
    await settled();
    expect(performer.did.slice(3)).toEqual(['two']);
    await performer.finish('two');
    expect(performer.did.slice(4)).toEqual(['not db up']);
    await performer.finish('not db up');
    const { status, events } = await ran;
    expect(status).toBe(0);
    expect(short(events, 'task-started', 'task-finished')).toEqual([
      'task-started one',
      'task-started db',
      'task-finished one',
      'task-started two',
      'task-finished two',
      'task-finished db',
    ]);
    expect(events.filter((event) => event.type === 'task-finished').map(({ outcome }) => outcome)).toEqual([
      'done',
      'done',
      'done',
    ]);
  });

  test('has what it occupies beside it: what does not fit waits until it has ended', async () => {
    const db = service('db', { disk: service('disk', {}, { resources: { memoryMb: 60 } }) });
    const performer = new ByHand();
    const ran = run(planned(user('one', { db }), user('big', {}, { resources: { memoryMb: 50 } })), performer, {
      capacity: { jobs: 4, memoryMb: 100, cpu: 1 },
    });
    for (const name of ['disk address', 'disk up', 'db address', 'db up', 'one']) {
      await settled();
      expect(performer.did.at(-1)).toBe(name);
      await performer.finish(name, 'here');
    }
    for (const name of ['not db up', 'not disk up', 'big']) {
      await settled();
      expect(performer.did.at(-1)).toBe(name);
      await performer.finish(name, 'here');
    }
    expect((await ran).status).toBe(0);
  });

  test('gets what the service yielded, through a task without steps as well', async () => {
    const up = task('up', { summary: 'all', needs: { db: service('db') } });
    const db = service('db');
    const reader = task('reader', {
      summary: 'reads',
      needs: { up: task('all', { summary: 'all', needs: { db } })(), db: db as Need<{ url: string }> },
      steps: (p, { needs }) => void p.probe(ask, { name: 'read', at: needs.db.url }),
    })();
    const performer = new Scripted({ 'db address': 'over there' });
    expect((await run(planned(reader), performer)).status).toBe(0);
    expect(performer.steps.find(({ step }) => step.id === 'reader/1')?.step.args).toMatchObject({
      args: { at: 'over there' },
    });
    const through = new Scripted();
    expect((await run(planned(user('one', { up: up() })), through)).status).toBe(0);
    expect(through.did).toEqual(['db address', 'db up', 'one', 'not db up']);
  });

  test('ends when the service dies for good, with why; so does what needs a service that needs it', async () => {
    for (const needs of [{ db: service('db') }, { api: service('api', { db: service('db') }) }]) {
      const performer = new Scripted({
        one: ({ cancel }) => new Promise((resolve) => cancel.onCancel((failure) => resolve({ ok: false, failure }))),
      });
      const anyEnds = performer.serviceEnded;
      performer.serviceEnded = (task, performing) =>
        task === 'db' ? anyEnds(task, performing) : new Promise((resolve) => performing.cancel.onCancel(resolve));
      const ran = run(planned(user('one', needs)), performer);
      while (!performer.did.includes('one')) await settled();
      performer.endService(died);
      const { status, events } = await ran;
      expect(status).toBe(1);
      const finished = events.filter((event) => event.type === 'task-finished');
      expect(finished.map(({ outcome, failure }) => [outcome, failure])).toEqual(finished.map(() => ['failed', died]));
      expect(performer.did.at(-1)).toMatch(/^not /);
    }
  });

  test('is not begun when the service does not come up; what else needs it neither', async () => {
    const db = service('db');
    const performer = new Scripted({ 'db up': { fails: boom } });
    const { status, events } = await run(
      planned(user('one', { db }), user('two', { db }), user('other', {})),
      performer,
      {
        keepGoing: true,
      },
    );
    expect(status).toBe(1);
    expect(performer.did.filter((name) => name === 'one' || name === 'two')).toEqual([]);
    expect(performer.did).toContain('other');
    expect(
      events.flatMap((event) => (event.type === 'task-finished' ? [`${event.task} ${event.outcome}`] : [])).sort(),
    ).toEqual(['db failed', 'one cancelled', 'other done', 'two cancelled']);
  });

  test('that is fresh does not start it', async () => {
    const fresh: Freshness = {
      ...ALWAYS_RUN,
      look: ({ id }) => (id === 'one' ? looked({ state: 'fresh', tookMs: 1 }) : null),
    };
    const performer = new Scripted();
    expect((await run(planned(user('one', { db: service('db') })), performer, { freshness: fresh })).status).toBe(0);
    expect(performer.did).toEqual([]);
  });

  test('that fails ends it as well', async () => {
    const performer = new Scripted({ one: { fails: boom } });
    expect(
      (
        await run(planned(user('one', { db: service('db') }), user('never', {})), performer, {
          capacity: { jobs: 1, memoryMb: 1, cpu: 1 },
        })
      ).status,
    ).toBe(1);
    expect(performer.did).toEqual(['db address', 'db up', 'one', 'not db up']);
  });
});

test('Ctrl-C puts back what the tasks did before it ends the services, the latest first', async () => {
  const cancel = new CancelSource();
  const writer = task('writer', {
    summary: 'changes',
    needs: { api: service('api', { db: service('db') }) },
    steps: (p) => (change(p, 'written'), void p.probe(ask, { name: 'long' })),
  })();
  const performer = new Scripted({
    long: () => (cancel.cancel(interrupted), { ok: false, failure: interrupted }),
  });
  expect((await run(planned(writer), performer, { cancel })).status).toBe(130);
  expect(performer.did).toEqual([
    ...['db address', 'db up', 'api address', 'api up', 'written', 'long'],
    ...['not written', 'not api up', 'not db up'],
  ]);
});

test('a service that is a goal, also through a task without steps, is up until Ctrl-C', async () => {
  const db = service('db');
  for (const goal of [db, task('dev', { summary: 'all', needs: { db } })()]) {
    const cancel = new CancelSource();
    const performer = new Scripted();
    const ran = run(planned(goal, user('one', { db })), performer, { cancel });
    await settled();
    await settled();
    expect(performer.did.toSorted()).toEqual(['db address', 'db up', 'one']);
    cancel.cancel(interrupted);
    expect((await ran).status).toBe(130);
    expect(performer.did.at(-1)).toBe('not db up');
  }
});

describe('a goal without steps that stands for services', () => {
  const dev = (): Plan =>
    planned(task('dev', { summary: 'all', needs: { one: service('one'), two: service('two') } })());
  const told = ['task-started', 'task-up', 'task-finished'] as const;
  const endOf = (events: readonly RunEvent[], id: string): RunEvent | undefined =>
    events.find((event) => event.type === 'task-finished' && event.task === id);

  test('is up once all of them are, and ends with them', async () => {
    const cancel = new CancelSource();
    const performer = new ByHand();
    const seen: RunEvent[] = [];
    const ran = run(dev(), performer, { cancel, seen });
    await settled();
    for (const name of ['one address', 'one up']) await performer.finish(name);
    await settled();
    expect(short(seen, ...told)).not.toContain('task-up dev');
    for (const name of ['two address', 'two up']) await performer.finish(name);
    await settled();
    expect(short(seen, ...told).slice(3)).toEqual(['task-up one', 'task-up two', 'task-up dev']);
    cancel.cancel(interrupted);
    await settled();
    for (const name of ['not two up', 'not one up']) {
      await performer.finish(name);
      await settled();
    }
    const { events } = await ran;
    expect(short(events, ...told).at(-1)).toBe('task-finished dev');
    expect(endOf(events, 'dev')).toMatchObject({ outcome: 'cancelled' });
  });

  test('has failed when one of them did', async () => {
    const performer = new Scripted();
    const ran = run(dev(), performer);
    await settled();
    performer.endService(died);
    const { events } = await ran;
    expect(endOf(events, 'dev')).toMatchObject({ outcome: 'failed' });
    expect(endOf(events, 'dev')).not.toHaveProperty('failure');
    const never = await run(dev(), new Scripted({ 'one up': { fails: boom } }));
    expect(endOf(never.events, 'dev')).toMatchObject({ outcome: 'failed' });
    expect(short(never.events, 'task-up')).not.toContain('task-up dev');
  });

  test('is done once they are up where they outlive the run, and fresh where they were', async () => {
    const holding = new Holding();
    const first = await run(dev(), new Scripted(), { holding });
    expect(short(first.events, 'task-up', 'task-finished').slice(-2)).toEqual(['task-up dev', 'task-finished dev']);
    expect(endOf(first.events, 'dev')).toMatchObject({ outcome: 'done' });
    const again = await run(dev(), new Scripted(), { holding });
    expect(short(again.events, 'task-up')).toEqual([]);
    expect(endOf(again.events, 'dev')).toMatchObject({ outcome: 'fresh' });
    await holding.end(holding.ids, { reason: 'no-longer-needed' });
  });
});

test('the death of one that is a goal ends the others', async () => {
  const performer = new Scripted();
  const ran = run(planned(service('db')), performer);
  await settled();
  performer.endService(died);
  const { status, events } = await ran;
  expect(status).toBe(1);
  expect(events.at(-2)).toMatchObject({ type: 'task-finished', task: 'db', outcome: 'failed', failure: died });
});

test('one that outlives its run is found up by the next, and known by what it yielded', async () => {
  const db = service('db') as Need<{ url: string }>;
  const reader = task('reader', {
    summary: 'reads',
    needs: { db },
    steps: (p, { needs }) => void p.probe(ask, { name: 'read', at: needs.db.url }),
  })();
  const holding = new Holding();
  const performer = new Scripted({ 'db address': 'over there' });
  expect((await run(planned(reader), performer, { holding })).status).toBe(0);
  const again = await run(planned(reader), performer, { holding });
  expect(performer.did).toEqual(['db address', 'db up', 'read', 'read']);
  expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { at: 'over there' } });
  expect(again.events).toContainEqual({ type: 'task-finished', task: 'db', outcome: 'fresh', durationMs: 0 });
  await holding.end(['db'], { reason: 'no-longer-needed' });
  expect(performer.did.at(-1)).toBe('not db up');
  expect(holding.ids).toEqual([]);
});

test('a run that is over listens no longer to what outlives it', async () => {
  let listening = 0;
  const source = new CancelSource();
  const cancel: Cancel = {
    cancelled: null,
    onCancel(listener) {
      const withdraw = source.onCancel(listener);
      listening++;
      return () => (listening--, withdraw());
    },
  };
  const [plan, holding] = [planned(user('one', { db: service('db') })), new Holding()];
  await run(plan, new Scripted(), { holding, cancel });
  const before = listening;
  await run(plan, new Scripted(), { holding, cancel });
  expect(listening).toBe(before);
});

describe('one that an earlier run left starting', () => {
  const begun = async (): Promise<{
    readonly performer: ByHand;
    readonly again: Promise<Ran>;
    readonly seen: RunEvent[];
  }> => {
    const [bad, db] = [service('bad'), service('db') as Need<{ url: string }>];
    const reader = task('reader', {
      summary: 'reads',
      needs: { bad, db },
      steps: (p, { needs }) => void p.probe(ask, { name: 'read', at: needs.db.url }),
    })();
    const [holding, performer, seen] = [new Holding(), new ByHand(), [] as RunEvent[]];
    const ran = run(planned(reader), performer, { holding });
    await settled();
    await performer.fail('bad address');
    expect((await ran).status).toBe(1);
    const again = run(planned(reader), performer, { holding, seen });
    await settled();
    expect(performer.did).toEqual(['bad address', 'db address', 'bad address']);
    return { performer, again, seen };
  };
  const ends = (events: readonly RunEvent[]): readonly string[] =>
    events.flatMap((event) => (event.type === 'task-finished' ? [`${event.task} ${event.outcome}`] : []));

  test('is waited for by the next, and known by what it yielded', async () => {
    const { performer, again, seen } = await begun();
    await performer.finish('bad address', 'here');
    await performer.finish('bad up');
    await performer.finish('db address', 'over there');
    expect(ends(seen)).toEqual([]);
    await performer.finish('db up');
    expect(ends(seen)).toEqual(['db fresh']);
    expect(performer.steps.at(-1)?.step.args).toMatchObject({ args: { at: 'over there' } });
    await performer.finish('read');
    expect((await again).status).toBe(0);
  });

  test('and that does not come up fails the next', async () => {
    const { performer, again, seen } = await begun();
    await performer.fail('db address', boom);
    expect((await again).status).toBe(1);
    expect(ends(seen)).toEqual(['db failed', 'reader cancelled']);
  });

  test('says nothing in the next when that is over before it is up', async () => {
    const { performer, again, seen } = await begun();
    await performer.fail('bad address');
    expect((await again).status).toBe(1);
    const before = seen.length;
    await performer.finish('db address', 'over there');
    await performer.finish('db up');
    expect(seen.length).toBe(before);
  });
});

test('a run that died with a service up is put back like any other', async () => {
  const plan = planned(user('one', { db: service('db') }));
  const killed = await run(plan, new Scripted(), { killAt: 11 });
  expect(killed.status).toBe('killed');
  const past = readJournal(killed.journal);
  expect(past.open).toEqual(['db/2']);
  const performer = new Scripted();
  await run(plan, replayPerformer(past, performer), { past });
  expect(performer.did).toEqual(['not db up']);
});

test('undoing a run puts back what its tasks changed; its services are over', async () => {
  const writer = task('writer', {
    summary: 'changes',
    needs: { db: service('db') },
    steps: (p) => change(p, 'written'),
  });
  const plan = planned(writer());
  const { status, journal } = await run(plan, new Scripted());
  expect(status).toBe(0);
  const traced = await retrace(plan, readJournal(journal), { run: 'r', clock: new HandClock(true) });
  expect(traced.ok && traced.standing.map(({ node, made }) => [node.id, made.length])).toEqual([['writer', 1]]);
});

test("a service's inputs, variables and steps count for who needs it; one without inputs keeps nobody fresh", async () => {
  const store = new MemoryStore();
  store.files.set('src/a', '1').set('made/b', '1');
  store.variables.set('PORT', '1');
  const setup = task('setup', {
    summary: 's',
    inputs: ['conf'],
    outputs: ['made'],
    steps: (p) => p.run(['make'], { effect: 'derives' }),
  });
  const planWith = (spec: object, name = 'up', more: object = {}): Plan => {
    const steps = (p: Recorder): void => (change(p, name), void p.probe(ask, { name: 'ask', ...more }), p.hold());
    const db = task('db', { summary: 's', needs: { setup: setup() }, ...spec, steps })();
    return planned(user('one', { db }, { inputs: ['tests'], outputs: [] }));
  };
  const why = async (plan: Plan, goal = 'one'): Promise<unknown> => {
    const { events } = await run(plan, new Scripted(), { freshness: createFreshness(store, hash) });
    const check = events.flatMap((event) =>
      event.type === 'task-checked' && event.task === goal ? [event.check] : [],
    );
    return check.map((one) => ('because' in one ? one.because : one.state))[0];
  };
  const ported = { inputs: ['src'], env: ['PORT'] };
  expect(await why(planWith({ inputs: ['src'] }))).toEqual([{ reason: 'never-ran' }]);
  expect(await why(planWith({ inputs: ['src'] }))).toBe('fresh');
  store.files.set('src/a', '2');
  expect(await why(planWith({ inputs: ['src'] }))).toEqual([{ reason: 'input', change: 'changed', path: 'src/a' }]);
  expect(await why(planWith(ported))).toEqual([{ reason: 'variable', change: 'added', name: 'PORT' }]);
  expect(await why(planWith(ported, 'else'))).toEqual([{ reason: 'service', change: 'changed', service: 'db' }]);
  // What it needs itself made something else.
  store.files.set('conf', '2').set('made/b', '2');
  expect(await why(planWith(ported, 'else'))).toEqual([{ reason: 'need-output', change: 'changed', need: 'setup' }]);
  expect(await why(planWith(ported, 'else'))).toBe('fresh');
  const options = { performer: dryPerformer, clock: new HandClock(true), force: false, line: () => '' };
  const shown = await showPlan(planWith(ported, 'else'), { ...options, freshness: createFreshness(store, hash) });
  expect(shown.tasks.map(({ state }) => state)).toEqual(['fresh', 'may be skipped', 'fresh']);
  const unknown = [{ reason: 'unknown-service', service: 'db' }];
  for (const plan of [planWith({}), planWith(ported, 'up', { key: secret('KEY') })]) {
    expect(await why(plan)).toEqual(unknown);
    expect(await why(plan)).toEqual(unknown);
  }
  expect(await why(planWith({}), 'db')).toBe('service');
});

test('the commands that start a service and tell that it is ready count for who needs it', async () => {
  const store = new MemoryStore();
  const tools = ['bin/srv.sh', 'bin/ready', 'prepare'];
  for (const tool of tools) store.tools.set(tool, '1');
  const web = { name: 'web', cwd: 'bin', argv: ['./srv.sh'], ready: { command: ['./ready'] } };
  const db = task('db', {
    summary: 's',
    inputs: [],
    steps: (p) => (p.run(['prepare'], { effect: 'reads' }), p.serve([web])),
  });
  const plan = planned(user('one', { db: db() }, { inputs: [], outputs: [] }));
  const check = async (): Promise<unknown> => {
    const { events } = await run(plan, new Scripted(), { freshness: createFreshness(store, hash) });
    return events.flatMap((event) => (event.type === 'task-checked' && event.task === 'one' ? [event.check] : []))[0];
  };
  await check();
  expect(await check()).toMatchObject({ state: 'fresh' });
  for (const name of tools) {
    store.tools.set(name, '2');
    expect(await check()).toMatchObject({ because: [{ reason: 'tool', change: 'changed', name }] });
  }
  expect(await check()).toMatchObject({ state: 'fresh' });
});
