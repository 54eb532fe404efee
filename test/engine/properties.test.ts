import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dryPerformer, previewPerformer } from '../../lib/engine/dry.ts';
import { ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { showPlan, type ShowOptions } from '../../lib/engine/show.ts';
import { canonical, type Json } from '../../lib/model/json.ts';
import { string } from '../../lib/model/param.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Performer } from '../../lib/model/ports.ts';
import { isExpr } from '../../lib/model/ref.ts';
import type { Block, Step } from '../../lib/model/step.ts';
import { blocksIn } from '../../lib/model/step.ts';
import { task } from '../../lib/model/task.ts';
import { fill, moves, planFrom, type Kinds, type Move } from './random-plan.ts';
import { HandClock, act, hash, run } from './rig.ts';
import { Life, World, locksOf } from './world.ts';

const RUNS = 150;
const bodies = (kinds?: Kinds): fc.Arbitrary<readonly (readonly Move[])[]> =>
  fc.array(moves(kinds), { minLength: 1, maxLength: 3 });
const options = (performer: Performer): ShowOptions => ({
  performer,
  clock: new HandClock(true),
  freshness: ALWAYS_RUN,
  force: false,
  line: (step) => step.id,
});
const show = (plan: Plan, performer: Performer = dryPerformer) => showPlan(plan, options(performer));

/** Every step of a plan by id, those of undos too. */
function stepsOf(plan: Plan): ReadonlyMap<string, Step> {
  const steps = new Map<string, Step>();
  const visit = (block: Block): void => {
    for (const item of block.items) {
      if (item.type === 'step') steps.set(item.id, item);
      if (item.type === 'change') visit(item.undo);
      blocksIn(item).forEach(visit);
    }
  };
  for (const node of plan.nodes) visit(node.body);
  return steps;
}

/** A performed value with the plan's refs put back wherever the plan has one. */
function withRefs(planned: Json, performed: Json): Json {
  if (isExpr(planned)) return planned;
  if (planned === null || performed === null || typeof planned !== 'object' || typeof performed !== 'object')
    return performed;
  if (Array.isArray(planned) || Array.isArray(performed)) {
    return Array.isArray(planned) && Array.isArray(performed)
      ? performed.map((one, at) => withRefs((planned as readonly Json[])[at] ?? null, one as Json))
      : performed;
  }
  const fields = planned as { readonly [key: string]: Json };
  return Object.fromEntries(Object.entries(performed).map(([key, one]) => [key, withRefs(fields[key] ?? null, one)]));
}

describe('a plan of random tasks', () => {
  test('is the same after a round trip through JSON, and has the same digest when recorded twice', () => {
    fc.assert(
      fc.property(bodies(), (all) => {
        const plan = planFrom(all);
        expect(JSON.parse(JSON.stringify(plan))).toEqual({ ...plan });
        expect(planFrom(all).digest).toBe(plan.digest);
        expect(canonical(JSON.parse(JSON.stringify(plan.nodes)) as Json)).toBe(
          canonical(plan.nodes as unknown as Json),
        );
      }),
      { numRuns: RUNS },
    );
  });

  test('runs the same after a round trip through JSON', async () => {
    await fc.assert(
      fc.asyncProperty(bodies(), async (all) => {
        const ends = [];
        for (const plan of [planFrom(all), JSON.parse(JSON.stringify(planFrom(all))) as Plan]) {
          const inWorld = fill(new World(), all.length);
          const { status, events } = await run(plan, new Life(inWorld, { locks: locksOf(plan) }));
          ends.push({ status, events, world: inWorld.snapshot() });
        }
        expect(ends[1]).toEqual(ends[0]);
      }),
      { numRuns: 50 },
    );
  });

  test('performs nothing that a dry run does not show, and on success everything that it shows as certain', async () => {
    await fc.assert(
      fc.asyncProperty(bodies(), async (all) => {
        const plan = planFrom(all);
        const shown = (await show(plan)).tasks.flatMap((one) => one.steps);
        const life = new Life(fill(new World(), all.length), { locks: locksOf(plan) });
        const { status } = await run(plan, life);
        const done = new Set(life.performed.filter((one) => !one.undoing).map((one) => one.step.id));
        const undone = life.performed.filter((one) => one.undoing).map((one) => one.step.id);
        const shownIds = new Set(shown.map((one) => one.id));
        const shownUndos = new Set(shown.flatMap((one) => one.undo));
        expect([...done].filter((id) => !shownIds.has(id))).toEqual([]);
        expect(undone.filter((id) => !shownUndos.has(id))).toEqual([]);
        if (status === 0) expect(shown.filter((one) => one.certainty === 'certain' && !done.has(one.id))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test('performs each step as the plan has it, with values for refs', async () => {
    await fc.assert(
      fc.asyncProperty(bodies(), async (all) => {
        const plan = planFrom(all);
        const planned = stepsOf(plan);
        const life = new Life(fill(new World(), all.length), { locks: locksOf(plan) });
        await run(plan, life);
        for (const { step } of life.performed) {
          const original = planned.get(step.id) as Step;
          expect({ ...step, args: withRefs(original.args as unknown as Json, step.args as unknown as Json) }).toEqual(
            original,
          );
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('is shown connected by named questions alone, and what really runs is in it', async () => {
    await fc.assert(
      fc.asyncProperty(bodies(), async (all) => {
        const plan = planFrom(all);
        const inWorld = fill(new World(), all.length);
        const before = inWorld.snapshot();
        const asked = new Life(inWorld, { locks: new Map() });
        const shown = (await show(plan, previewPerformer(asked))).tasks.flatMap((one) => one.steps);
        expect(asked.performed.filter((one) => one.step.kind !== 'probe')).toEqual([]);
        expect(inWorld.snapshot()).toBe(before);
        inWorld.asked.clear();
        const life = new Life(inWorld, { locks: locksOf(plan) });
        const { status } = await run(plan, life, { capacity: { jobs: 1, memoryMb: 1, cpu: 1 } });
        const done = new Set(life.performed.filter((one) => !one.undoing).map((one) => one.step.id));
        expect([...done].filter((id) => !shown.some((one) => one.id === id))).toEqual([]);
        if (status === 0) expect(shown.filter((one) => one.certainty === 'certain' && !done.has(one.id))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test('leaves the world as it was, wherever it fails, and undoes under the locks of its changes', async () => {
    await fc.assert(
      fc.asyncProperty(
        moves({ fails: true, settles: false, parallel: true }),
        fc.integer({ min: 1, max: 40 }),
        async (body, failAt) => {
          const plan = planFrom([[...body, { move: 'fail' }]]);
          const inWorld = fill(new World(), 1);
          const before = inWorld.snapshot();
          const life = new Life(inWorld, { locks: locksOf(plan), failAt });
          const { status } = await run(plan, life);
          expect(status).toBe(1);
          expect(inWorld.snapshot()).toBe(before);
          expect(life.unlocked).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

test('a digest depends on what is done, and never on a secret', () => {
  const plan = (token: string, name: string): Plan => {
    const one = task('one', {
      summary: 's',
      params: { token: string({ summary: 'secret', secret: true }) },
      steps: (p, { params }) =>
        p.change({
          touches: [],
          do: (p) => p.call(act, { name, token: params.token }),
          undo: (p) => p.call(act, { name: 'back' }),
        }),
    });
    return makePlan([{ task: one, params: { token } }], hash).plan;
  };
  expect(plan('a', 'x').digest).toBe(plan('b', 'x').digest);
  expect(plan('a', 'y').digest).not.toBe(plan('a', 'x').digest);
  expect(JSON.stringify(plan('hunter2', 'x'))).not.toContain('hunter2');
});
