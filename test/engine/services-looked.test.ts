import { describe, expect, test } from 'vitest';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { ALWAYS_RUN, createFreshness, type Freshness } from '../../lib/engine/freshness.ts';
import { showPlan } from '../../lib/engine/show.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { MemoryStore } from './memory-store.ts';
import { HandClock, Scripted, hash, run } from './rig.ts';
import { looked, planned, service, user } from './service-tasks.ts';

describe('inputs that a service leaves out', () => {
  const withTests = (spec: object): Plan => {
    const db = service('db', {}, { inputs: ['app/', '!app/test'] });
    return planned(user('one', { db }, { inputs: ['app/test'], outputs: [], ...spec }));
  };
  const ended = async (store: MemoryStore, plan: Plan): Promise<unknown> => {
    const { events } = await run(plan, new Scripted(), { freshness: createFreshness(store, hash) });
    return events.find((event) => event.type === 'task-finished' && event.task === 'one');
  };

  test('are still inputs of who needs it', async () => {
    const store = new MemoryStore();
    store.files.set('app/main', '1').set('app/test', '1');
    expect(await ended(store, withTests({}))).toMatchObject({ outcome: 'done' });
    expect(await ended(store, withTests({}))).toMatchObject({ outcome: 'fresh' });
    store.files.set('app/test', '2');
    expect(await ended(store, withTests({}))).toMatchObject({ outcome: 'done' });
    expect(await ended(store, withTests({}))).toMatchObject({ outcome: 'fresh' });
    store.files.set('app/main', '2');
    expect(await ended(store, withTests({}))).toMatchObject({ outcome: 'done' });
  });

  test('are told apart from its others, which no output of who needs it may be', async () => {
    const store = new MemoryStore();
    store.files.set('app/main', '1').set('app/test', '1');
    const failed = { outcome: 'failed', failure: { reason: 'output-is-input', task: 'one', path: 'app/main' } };
    const made = { outputs: ['app/main'] };
    expect(await ended(store, withTests(made))).toMatchObject({ ...failed, failure: { service: 'db' } });
    const own = await ended(store, withTests({ ...made, inputs: ['app/'] }));
    expect(own).toMatchObject(failed);
    expect(own).not.toHaveProperty('failure.service');
  });
});

describe('a dry run', () => {
  const shown = async (
    plan: Plan,
    states: { readonly [task: string]: 'fresh' | 'stale' },
  ): Promise<readonly unknown[]> => {
    const freshness: Freshness = {
      ...ALWAYS_RUN,
      look: ({ id }) =>
        looked(
          states[id] === 'fresh'
            ? { state: 'fresh', tookMs: 1 }
            : { state: 'stale', because: [{ reason: 'never-ran' }], store: 'missed' },
        ),
    };
    const options = { performer: dryPerformer, clock: new HandClock(true), freshness, force: false };
    const { tasks } = await showPlan(plan, { ...options, line: (step) => step.id });
    return tasks.map(({ task, state, check, steps }) => [
      task,
      state,
      check.state === 'service' ? check.users : check.state,
      steps.map(({ certainty }) => certainty),
    ]);
  };

  test('shows a service with why and how long it is up', async () => {
    const db = service('db');
    const plan = planned(user('one', { db }), user('two', { api: service('api', { db }) }));
    expect(await shown(plan, { one: 'fresh' })).toEqual([
      ['db', 'runs', ['one', 'api'], ['certain', 'certain']],
      ['one', 'fresh', 'fresh', []],
      ['api', 'runs', ['two'], ['certain', 'certain']],
      ['two', 'runs', 'stale', ['certain']],
    ]);
    expect((await shown(plan, { one: 'fresh', two: 'fresh' }))[0]).toEqual([
      ...['db', 'may be skipped', ['one', 'api']],
      ['conditional', 'conditional'],
    ]);
    expect(await shown(planned(db), {})).toEqual([['db', 'runs', [], ['certain', 'certain']]]);
  });
});
