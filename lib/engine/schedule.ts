import type { PlanNode } from '../model/plan.ts';

/** What the machine has for tasks; a task that asks for more than all of it runs alone. */
export interface Capacity {
  readonly jobs: number;
  readonly memoryMb: number;
  readonly cpu: number;
}

export type NodeState = 'done' | 'failed' | 'cancelled';

interface Waiting {
  readonly node: PlanNode;
  dependents: number[];
  missing: number;
  priority: number;
  state: NodeState | null;
}

/** So many ready nodes that do not fit are passed over in search of one that does. */
const MAX_MISFITS = 64;

/** How nodes are chosen. `random` (0 to 1): what may run in any order is taken in one that it decides. */
export interface Choice {
  readonly keepGoing: boolean;
  readonly stopped: () => boolean;
  readonly random?: () => number;
}

/**
 * Runs nodes after their needs, the longest path to a goal first, as many at a time as fit. After a failure nothing
 * new starts; with `keepGoing` only what needs the failed node is left out. Nodes must come after their needs.
 */
export async function schedule(
  nodes: readonly PlanNode[],
  capacity: Capacity,
  options: Choice,
  runNode: (node: PlanNode) => Promise<NodeState>,
): Promise<ReadonlyMap<string, NodeState>> {
  const all = link(nodes);
  const { random } = options;
  if (random) for (const one of all) one.priority = random();
  const ready = new Ready(all);
  const running = new Running(capacity);
  let failed = false;
  await new Promise<void>((resolve, reject) => {
    const finish = (one: Waiting, state: NodeState): void => {
      one.state = state;
      failed ||= state !== 'done';
      if (state !== 'done') return;
      for (const index of one.dependents) {
        if (--(all[index] as Waiting).missing === 0) ready.add(index);
      }
    };
    const launch = (one: Waiting): void => {
      running.enter(one.node);
      runNode(one.node).then((state) => {
        running.leave(one.node);
        finish(one, state);
        start();
      }, reject);
    };
    const start = (): void => {
      const halted = (failed && !options.keepGoing) || options.stopped();
      const misfits: number[] = [];
      while (!halted && !running.full && misfits.length < MAX_MISFITS) {
        const index = ready.next();
        if (index === undefined) break;
        const one = all[index] as Waiting;
        if (running.fits(one.node)) launch(one);
        else misfits.push(index);
      }
      for (const index of misfits) ready.add(index);
      if (running.count === 0) resolve();
    };
    start();
  });
  return new Map(all.map((one) => [one.node.id, one.state ?? 'cancelled']));
}

const NONE: number[] = [];

function link(nodes: readonly PlanNode[]): Waiting[] {
  const index = new Map(nodes.map((node, at) => [node.id, at]));
  const all = nodes.map((node): Waiting => ({ node, dependents: NONE, missing: 0, priority: 0, state: null }));
  all.forEach((one, at) => {
    for (const need of new Set(one.node.needs)) {
      const before = index.get(need);
      if (before === undefined) continue; // finished in an earlier life of the run
      const needed = all[before] as Waiting;
      // An array that begins empty makes room for seventeen: mostly it is one.
      if (needed.dependents === NONE) needed.dependents = [at];
      else needed.dependents.push(at);
      one.missing++;
    }
  });
  for (let at = all.length - 1; at >= 0; at--) {
    const one = all[at] as Waiting;
    for (const dependent of one.dependents)
      one.priority = Math.max(one.priority, 1 + (all[dependent] as Waiting).priority);
  }
  return all;
}

/** A binary heap of ready nodes: highest priority first, then the order of the plan. */
class Ready {
  readonly #all: readonly Waiting[];
  readonly #heap: number[] = [];

  constructor(all: readonly Waiting[]) {
    this.#all = all;
    all.forEach((one, index) => {
      if (one.missing === 0) this.add(index);
    });
  }

  add(index: number): void {
    const heap = this.#heap;
    let at = heap.push(index) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(heap[at] as number, heap[parent] as number)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  next(): number | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return first;
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ;) {
      let best = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#before(heap[child] as number, heap[best] as number)) best = child;
      }
      if (best === at) return;
      this.#swap(at, best);
      at = best;
    }
  }

  #before(a: number, b: number): boolean {
    const difference = (this.#all[a] as Waiting).priority - (this.#all[b] as Waiting).priority;
    return difference > 0 || (difference === 0 && a < b);
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b] as number, heap[a] as number];
  }
}

/** What runs now and what it occupies. */
class Running {
  readonly #capacity: Capacity;
  readonly #mutexes = new Set<string>();
  count = 0;
  #memoryMb = 0;
  #cpu = 0;

  constructor(capacity: Capacity) {
    this.#capacity = capacity;
  }

  get full(): boolean {
    return this.count >= this.#capacity.jobs;
  }

  fits({ resources }: PlanNode): boolean {
    if (this.full) return false;
    if (this.count === 0) return true;
    const { memoryMb = 0, cpu = 0, mutex = [] } = resources;
    if (this.#memoryMb + memoryMb > this.#capacity.memoryMb || this.#cpu + cpu > this.#capacity.cpu) return false;
    return !mutex.some((name) => this.#mutexes.has(name));
  }

  enter(node: PlanNode): void {
    this.#count(node, 1);
    for (const name of node.resources.mutex ?? []) this.#mutexes.add(name);
  }

  leave(node: PlanNode): void {
    this.#count(node, -1);
    for (const name of node.resources.mutex ?? []) this.#mutexes.delete(name);
  }

  #count({ resources }: PlanNode, sign: 1 | -1): void {
    this.count += sign;
    this.#memoryMb += sign * (resources.memoryMb ?? 0);
    this.#cpu += sign * (resources.cpu ?? 0);
  }
}
