import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readJournal, replayPerformer } from '../../lib/engine/journal.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { fill, moves, planFrom, type Move } from './random-plan.ts';
import { run, type Ran } from './rig.ts';
import { Life, World, locksOf } from './world.ts';

interface Case {
  readonly plan: Plan;
  readonly tasks: number;
  /** Per task: the world before, and at the end of a run that nobody kills. */
  readonly ends: readonly (readonly [string, string])[];
}

/** A run or a recovery in a world, over the journal so far; killed at a line or not. */
async function live(
  { plan }: Case,
  inWorld: World,
  journal: readonly RunEvent[] | null,
  killAt?: number,
): Promise<Ran> {
  const life = new Life(inWorld, { locks: locksOf(plan) });
  const kill = killAt === undefined ? {} : { killAt, onKill: () => life.kill() };
  if (journal === null) return run(plan, life, kill);
  const past = readJournal(journal);
  const ran = await run(plan, replayPerformer(past, life), {
    ...kill,
    past,
    keepGoing: true,
    capacity: { jobs: 1, memoryMb: 1, cpu: 1 },
  });
  return { ...ran, journal: [...journal, ...ran.journal] };
}

async function caseOf(plan: Plan, tasks: number): Promise<Case> {
  const inWorld = fill(new World(), tasks);
  const folders = Array.from({ length: tasks }, (_, index) => `t${String(index)}/`);
  const before = folders.map((folder) => inWorld.snapshot(folder));
  await live({ plan, tasks, ends: [] }, inWorld, null);
  return { plan, tasks, ends: folders.map((folder, at) => [before[at] as string, inWorld.snapshot(folder)]) };
}

function expectWhole({ ends }: Case, inWorld: World, when: string): void {
  ends.forEach((end, at) => {
    const now = inWorld.snapshot(`t${String(at)}/`);
    if (!end.includes(now)) expect({ when, now }).toEqual({ when, now: end[0] });
  });
}

/** Kills a run at each of its lines, recovers, and recovers once more; `again` is called with what the first kill left. */
async function killEverywhere(
  one: Case,
  again?: (journal: readonly RunEvent[], left: () => Promise<World>, when: string) => Promise<void>,
): Promise<void> {
  for (let killAt = 0; ; killAt++) {
    const start = async (): Promise<{ readonly inWorld: World; readonly ran: Ran }> => {
      const inWorld = fill(new World(), one.tasks);
      return { inWorld, ran: await live(one, inWorld, null, killAt) };
    };
    const { inWorld, ran } = await start();
    if (ran.status !== 'killed') return;
    const when = `killed at line ${String(killAt)}`;
    const recovered = await live(one, inWorld, ran.journal);
    expect(recovered.status, when).not.toBe(4);
    expectWhole(one, inWorld, when);
    const end = inWorld.snapshot();
    await live(one, inWorld, recovered.journal);
    expect(inWorld.snapshot(), `${when}, recovered twice`).toBe(end);
    await again?.(ran.journal, async () => (await start()).inWorld, when);
  }
}

const FULL = { fails: true, settles: true, parallel: true };
const twoTasks = fc.tuple(moves(FULL), moves(FULL), fc.boolean());

/** The body of a guard had succeeded when a later failure put it back; this guard has nothing to do with that. */
const PUT_BACK_FROM_OUTSIDE: readonly (readonly Move[])[] = [
  [
    {
      move: 'guard',
      body: [{ move: 'parallel', left: [{ move: 'write', file: 1 }], right: [] }],
      recover: [],
    },
    { move: 'parallel', left: [{ move: 'both', file: 1 }], right: [{ move: 'fail' }] },
  ],
  [
    { move: 'guard', body: [{ move: 'guard', body: [{ move: 'write', file: 0 }], recover: [] }], recover: [] },
    { move: 'within', body: [{ move: 'set', file: 0 }] },
    { move: 'fail' },
  ],
];

describe('a run that is killed at any line of its journal', { timeout: 120_000 }, () => {
  test('is recovered: every task is as before or as after, and recovering again changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(twoTasks, async ([one, other, chained]) =>
        killEverywhere(await caseOf(planFrom([one, other], chained), 2)),
      ),
      { numRuns: 100, examples: PUT_BACK_FROM_OUTSIDE.map((body) => [[body, [], false]]) },
    );
  });

  test('is recovered even when the recovery is killed at any line', async () => {
    await fc.assert(
      fc.asyncProperty(moves(FULL), async (body) => {
        const one = await caseOf(planFrom([body]), 1);
        await killEverywhere(one, async (journal, left, when) => {
          for (let killAt = 0; ; killAt++) {
            const inWorld = await left();
            const cut = await live(one, inWorld, journal, killAt);
            if (cut.status !== 'killed') return;
            await live(one, inWorld, cut.journal);
            expectWhole(one, inWorld, `${when}, recovery killed at line ${String(killAt)}`);
          }
        });
      }),
      { numRuns: 25 },
    );
  });
});
