import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { schedule, type Capacity, type Choice, type NodeState } from '../../lib/engine/schedule.ts';
import type { PlanNode } from '../../lib/model/plan.ts';
import type { Resources } from '../../lib/model/task.ts';
import { seededRandom } from '../../lib/host/random.ts';
import { settled } from './rig.ts';

const node = (id: string, needs: readonly string[] = [], resources: Resources = {}): PlanNode => ({
  id,
  task: id,
  params: {},
  needs,
  inputs: null,
  outputs: null,
  env: [],
  resources,
  timeoutMs: null,
  retries: null,
  body: { items: [], result: null },
});

/** A schedule whose nodes the test finishes by hand. */
class Yard {
  readonly running = new Map<string, (state: NodeState) => void>();
  readonly order: string[] = [];
  stopped = false;
  over = false;
  readonly end: Promise<ReadonlyMap<string, NodeState>>;

  constructor(
    nodes: readonly PlanNode[],
    capacity: Partial<Capacity> = {},
    keepGoing = false,
    random?: () => number,
    services: Pick<Choice, 'brings' | 'gone'> = {},
  ) {
    const run = (one: PlanNode): Promise<NodeState> => {
      this.order.push(one.id);
      return new Promise((resolve) => this.running.set(one.id, resolve));
    };
    this.end = schedule(
      nodes,
      { jobs: 2, memoryMb: 100, cpu: 4, ...capacity },
      { keepGoing, stopped: () => this.stopped, ...(random && { random }), ...services },
      run,
    ).finally(() => (this.over = true));
  }

  get now(): readonly string[] {
    return [...this.running.keys()];
  }

  async finish(id: string, state: NodeState = 'done'): Promise<readonly string[]> {
    const resolve = this.running.get(id);
    if (!resolve) throw new Error(`${id} does not run`);
    this.running.delete(id);
    resolve(state);
    await settled();
    return this.now;
  }
}

describe('the schedule', () => {
  test('starts what is ready, and what others wait for before that', async () => {
    const yard = new Yard([node('a'), node('b'), node('c'), node('d', ['a', 'c'])]);
    expect(yard.now).toEqual(['a', 'c']);
    expect(await yard.finish('c')).toEqual(['a', 'b']);
    expect(await yard.finish('a')).toEqual(['b', 'd']);
    await yard.finish('b');
    await yard.finish('d');
    expect(await yard.end).toEqual(
      new Map([
        ['a', 'done'],
        ['b', 'done'],
        ['c', 'done'],
        ['d', 'done'],
      ]),
    );
  });

  test('takes the critical path first', () => {
    expect(
      new Yard([node('short'), node('long'), node('longer', ['long']), node('longest', ['longer'])], { jobs: 1 }).now,
    ).toEqual(['long']);
  });

  test('prefers the critical path to what did not fit before', async () => {
    const yard = new Yard(
      [
        node('a', [], { memoryMb: 60 }),
        node('big', [], { memoryMb: 60 }),
        node('b', ['a'], { memoryMb: 60 }),
        node('c', ['b']),
      ],
      { jobs: 2 },
    );
    expect(yard.now).toEqual(['a']);
    expect(await yard.finish('a')).toEqual(['b']);
  });

  test('in a random order every order that the needs allow comes up, the same one for the same seed', async () => {
    const order = async (seed: number): Promise<string> => {
      const yard = new Yard([node('a'), node('b', ['a']), node('c')], { jobs: 1 }, false, seededRandom(seed));
      while (!yard.over) await yard.finish(yard.now[0] ?? '');
      return yard.order.join('');
    };
    const seeds = Array.from({ length: 40 }, (_, seed) => seed);
    const orders = await Promise.all(seeds.map(order));
    expect([...new Set(orders)].sort()).toEqual(['abc', 'acb', 'cab']);
    expect(await Promise.all(seeds.map(order))).toEqual(orders);
  });

  test('starts nothing new after a failure, and lets the others end', async () => {
    const yard = new Yard([node('a'), node('b'), node('c')]);
    expect(await yard.finish('a', 'failed')).toEqual(['b']);
    await yard.finish('b');
    expect(await yard.end).toEqual(
      new Map([
        ['a', 'failed'],
        ['b', 'done'],
        ['c', 'cancelled'],
      ]),
    );
  });

  test('keeps going with what does not need the failed one', async () => {
    const yard = new Yard([node('a'), node('b'), node('c', ['a']), node('d', ['b'])], {}, true);
    await yard.finish('a', 'failed');
    expect(await yard.finish('b')).toEqual(['d']);
    await yard.finish('d');
    expect(await yard.end).toEqual(
      new Map([
        ['a', 'failed'],
        ['b', 'done'],
        ['c', 'cancelled'],
        ['d', 'done'],
      ]),
    );
  });

  test('starts nothing once it is stopped', async () => {
    const yard = new Yard([node('a'), node('b'), node('c')]);
    yard.stopped = true;
    expect(await yard.finish('a')).toEqual(['b']);
    expect(await yard.finish('b')).toEqual([]);
    expect((await yard.end).get('c')).toBe('cancelled');
  });

  test('shares memory, processors and mutexes; too big a task runs alone', async () => {
    const yard = new Yard(
      [
        node('huge', [], { memoryMb: 500 }),
        node('m1', [], { mutex: ['db'] }),
        node('m2', [], { mutex: ['db', 'net'] }),
        node('free'),
      ],
      { jobs: 3 },
    );
    expect(yard.now).toEqual(['huge']);
    expect(await yard.finish('huge')).toEqual(['m1', 'free']);
    expect(await yard.finish('m1')).toEqual(['free', 'm2']);
  });

  test('counts a need that is named twice once, and one that is not in the plan as done', async () => {
    const yard = new Yard([node('a', ['gone']), node('b', ['a', 'a'])]);
    expect(yard.now).toEqual(['a']);
    expect(await yard.finish('a')).toEqual(['b']);
  });

  test('passes on a defect', async () => {
    await expect(
      schedule([node('a')], { jobs: 1, memoryMb: 1, cpu: 1 }, { keepGoing: false, stopped: () => false }, () =>
        Promise.reject(new Error('defect')),
      ),
    ).rejects.toThrow('defect');
  });

  describe('counts a service as long as it is up', () => {
    const [db, web] = [node('db', [], { memoryMb: 60, mutex: ['disk'] }), node('web', [], { memoryMb: 30 })];
    /** Names of tasks that need the database, or both services. */
    const brings = ({ id }: PlanNode): readonly PlanNode[] =>
      id === 'web' || id.startsWith('both') ? [web, db] : id.startsWith('db') ? [db] : [];

    test('from the first that needs it to the end of the last', async () => {
      const nodes = [node('db-a', [], { memoryMb: 20 }), node('db-b', ['db-a']), node('big', [], { memoryMb: 41 })];
      const yard = new Yard(nodes, { jobs: 3 }, false, undefined, { brings });
      expect(yard.now).toEqual(['db-a']);
      expect(await yard.finish('db-a')).toEqual(['db-b']);
      expect(await yard.finish('db-b')).toEqual(['big']);
    });

    test('once, however many need it', () => {
      const nodes = [node('db-a', [], { memoryMb: 20 }), node('db-b', [], { memoryMb: 20 })];
      expect(new Yard(nodes, {}, false, undefined, { brings }).now).toEqual(['db-a', 'db-b']);
    });

    test('with those that it needs, and what they take for themselves', async () => {
      const nodes = [node('both'), node('c', [], { memoryMb: 11 }), node('d', [], { mutex: ['disk'] }), node('e')];
      const yard = new Yard(nodes, { jobs: 4 }, false, undefined, { brings });
      expect(yard.now).toEqual(['both', 'e']);
      expect(await yard.finish('both')).toEqual(['e', 'c', 'd']);
    });

    test('until it has ended: what would meet it waits, also when nothing else runs', async () => {
      let end: () => void = () => undefined;
      const gone = (): Promise<void> => new Promise((resolve) => (end = resolve));
      const nodes = [node('db-a'), node('d', ['db-a'], { mutex: ['disk'] })];
      const yard = new Yard(nodes, {}, false, undefined, { brings, gone });
      expect(await yard.finish('db-a')).toEqual([]);
      expect(yard.over).toBe(false);
      end();
      await settled();
      expect(yard.now).toEqual(['d']);
      await yard.finish('d');
      expect(yard.over).toBe(true);
    });

    test('but what it holds its own user may have', () => {
      const nodes = [node('x'), node('db-a', [], { mutex: ['disk'] }), node('db-b', ['x'], { mutex: ['disk'] })];
      expect(new Yard(nodes, { jobs: 3 }, false, undefined, { brings }).now).toEqual(['x', 'db-a']);
    });

    test('that is asked for itself until the end', async () => {
      const nodes = [web, node('both'), node('c', [], { memoryMb: 11 }), node('d', [], { memoryMb: 11 })];
      const yard = new Yard(nodes, { jobs: 4 }, false, undefined, { brings });
      expect(await yard.finish('web', 'up')).toEqual(['both']);
      // Nothing else runs: what does not fit runs alone, or never would.
      expect(await yard.finish('both')).toEqual(['c']);
      expect(await yard.finish('c')).toEqual(['d']);
    });
  });

  test('looks at each waiting node a bounded number of times, however many wait for one mutex', async () => {
    let looks = 0;
    const resources = {
      get mutex() {
        return (looks++, ['one']);
      },
    };
    const nodes = Array.from({ length: 2_000 }, (_, index) => node(String(index), [], resources));
    await schedule(nodes, { jobs: 4, memoryMb: 1, cpu: 1 }, { keepGoing: false, stopped: () => false }, () =>
      Promise.resolve('done'),
    );
    expect(looks / nodes.length).toBeLessThan(100);
  });
});

const dag = fc.array(
  fc.record({
    needs: fc.array(fc.nat(1000), { maxLength: 3 }),
    memoryMb: fc.nat(120),
    cpu: fc.nat(3),
    mutex: fc.subarray(['x', 'y', 'z'], { maxLength: 2 }),
  }),
  { minLength: 1, maxLength: 25 },
);

test('over random graphs: needs first, within capacity, everything runs, whatever ends first', async () => {
  await fc.assert(
    fc.asyncProperty(
      dag,
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(fc.nat(1000)),
      async (specs, jobs, choices) => {
        const nodes = specs.map(({ needs, ...resources }, at) =>
          node(String(at), at === 0 ? [] : needs.map((need) => String(need % at)), resources),
        );
        const yard = new Yard(nodes, { jobs });
        const done = new Set<string>();
        while (!yard.over) {
          const now = yard.now.map((id) => nodes[Number(id)] as PlanNode);
          expect(now.length).toBeGreaterThan(0);
          expect(now.length).toBeLessThanOrEqual(jobs);
          expect(now.flatMap((one) => one.needs).filter((need) => !done.has(need))).toEqual([]);
          if (now.length > 1) {
            expect(now.reduce((sum, one) => sum + (one.resources.memoryMb ?? 0), 0)).toBeLessThanOrEqual(100);
            expect(now.reduce((sum, one) => sum + (one.resources.cpu ?? 0), 0)).toBeLessThanOrEqual(4);
            const held = now.flatMap((one) => one.resources.mutex ?? []);
            expect(new Set(held).size).toBe(held.length);
          }
          const next = now[(choices.next().value as number) % now.length] as PlanNode;
          done.add(next.id);
          await yard.finish(next.id);
        }
        expect([...(await yard.end).values()].every((state) => state === 'done')).toBe(true);
        expect(yard.order.toSorted()).toEqual(nodes.map((one) => one.id).toSorted());
      },
    ),
    { numRuns: 200 },
  );
});
