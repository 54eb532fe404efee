import fc from 'fast-check';
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Recorder } from '../../lib/model/recorder.ts';
import { task, type Need, type Needs } from '../../lib/model/task.ts';
import { MemoryStore } from '../engine/memory-store.ts';
import { HandClock, Scripted, hash, make, run } from '../engine/rig.ts';
import { createFreshness } from '../../lib/engine/freshness.ts';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { showPlan } from '../../lib/engine/show.ts';
import { Checkout, build, script } from './checkout.ts';

/** Task at an index: which earlier ones it needs and reads, and whether it takes part. */
const graph = fc.array(
  fc.record({ needs: fc.array(fc.nat(9), { maxLength: 3 }), declared: fc.boolean(), reads: fc.boolean() }),
  { minLength: 1, maxLength: 8 },
);
/** Edits between runs: sources by index, or outputs by index. */
const edits = fc.array(
  fc.array(fc.record({ at: fc.nat(9), what: fc.constantFrom('source', 'output'), content: fc.nat(2) }), {
    maxLength: 3,
  }),
  { minLength: 1, maxLength: 5 },
);

test('what a dry run says will be skipped is skipped, and only what it says may run does', async () => {
  await fc.assert(
    fc.asyncProperty(graph, edits, async (nodes, rounds) => {
      const store = new MemoryStore();
      const goals: Need[] = [];
      nodes.forEach(({ needs, declared, reads }, at) => {
        const mine = [...new Set(needs.filter((need) => need < at))];
        const own: Needs = Object.fromEntries(mine.map((need) => [`n${String(need)}`, goals[need] as Need]));
        const io = declared
          ? {
              inputs: [`src/${String(at)}/`, ...mine.map((need) => `out/${String(need)}/`)],
              outputs: [`out/${String(at)}/`],
            }
          : {};
        const steps = (p: Recorder): void =>
          void (reads && !declared
            ? p.shell('', { effect: 'reads' })
            : p.call(make, { name: String(at), needs: mine }));
        goals.push(task(`t-${String(at)}`, { summary: 's', needs: own, ...io, steps })());
        store.files.set(`src/${String(at)}/a`, '0');
      });
      const { plan } = makePlan(goals, hash);
      const perform = (at: number, mine: readonly number[]): void => {
        const read = [`src/${String(at)}/`, ...mine.map((need) => `out/${String(need)}/`)];
        const contents = [...store.files].filter(([path]) => read.some((start) => path.startsWith(start))).sort();
        // Few results, so that another input often makes the same output.
        store.files.set(`out/${String(at)}/a`, String(hash(JSON.stringify(contents)).charCodeAt(0) % 3));
      };
      const answers = Object.fromEntries(
        nodes.map(({ needs }, at) => [
          String(at),
          () => (
            perform(at, [...new Set(needs.filter((need) => need < at))]),
            { ok: true, fact: { known: true, value: null } } as const
          ),
        ]),
      );
      for (const round of [[], ...rounds]) {
        for (const { at, what, content } of round)
          if (at < nodes.length)
            store.files.set(`${what === 'source' ? 'src' : 'out'}/${String(at)}/a`, String(content));
        const { tasks } = await showPlan(plan, {
          performer: dryPerformer,
          clock: new HandClock(),
          freshness: createFreshness(store, hash),
          force: false,
          line: (step) => step.id,
        });
        const { events } = await run(plan, new Scripted(answers), { freshness: createFreshness(store, hash) });
        const outcomes = new Map(
          events.flatMap((event) => (event.type === 'task-finished' ? [[event.task, event.outcome]] : [])),
        );
        for (const { task, state } of tasks) {
          const outcome = outcomes.get(task);
          if (state === 'fresh') expect(outcome, task).toBe('fresh');
          if (state === 'runs') expect(outcome, task).toBe('done');
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('with real files: a dry run says of a kept output that it may be restored, and changes nothing', async () => {
  const checkout = new Checkout().put('src/a', 'one');
  expect((await checkout.show(build())).states).toEqual(['build runs']);
  await checkout.run(build());
  expect((await checkout.show(build())).states).toEqual(['build fresh']);
  rmSync(checkout.path('out'), { recursive: true });
  const before = checkout.tree('.slipway');
  const { states, checks } = await checkout.show(build());
  expect(states).toEqual(['build may be skipped']);
  expect(checks.get('build')).toMatchObject({ state: 'kept', because: [{ reason: 'output', change: 'missing' }] });
  expect([checkout.tree('.slipway'), checkout.tree('out')]).toEqual([before, {}]);
  const after = script('after', 'cat out/a > after', {
    inputs: ['out/a'],
    outputs: ['after'],
    needs: { build: build() },
  });
  await checkout.run(after());
  expect((await checkout.show(after())).states).toEqual(['build fresh', 'after fresh']);
});
