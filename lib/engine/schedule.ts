import type { PlanNode } from '../model/plan.ts';

/** What the machine has for tasks; a task that asks for more than all of it runs alone. */
export interface Capacity {
  readonly jobs: number;
  readonly memoryMb: number;
  readonly cpu: number;
}

/** `up`: a service that whoever needs it can use from now on, and that goes on occupying what it occupies. */
export type NodeState = 'done' | 'up' | 'failed' | 'cancelled';

interface Waiting {
  readonly node: PlanNode;
  dependents: number[];
  missing: number;
  priority: number;
  state: NodeState | null;
}

/** So many ready nodes that do not fit are passed over in search of one that does. */
const MAX_MISFITS = 64;

/** How nodes are chosen. */
export interface Choice {
  readonly keepGoing: boolean;
  readonly stopped: () => boolean;
  /** 0 to 1: what may run in any order is taken in one that it decides. */
  readonly random?: () => number;
  /** Services that are up while a node runs, and until the last node that has them has run; a service has itself. */
  readonly brings?: (node: PlanNode) => readonly PlanNode[];
  /** When a service that nobody needs any more has ended; `null`: it stays up. */
  readonly gone?: (service: PlanNode) => Promise<unknown> | null;
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
  const running = new Running(capacity, nodes, options);
  let failed = false;
  await new Promise<void>((resolve, reject) => {
    const finish = (one: Waiting, state: NodeState): void => {
      one.state = state;
      const succeeded = state === 'done' || state === 'up';
      failed ||= !succeeded;
      if (!succeeded) return;
      for (const index of one.dependents) {
        if (--(all[index] as Waiting).missing === 0) ready.add(index);
      }
    };
    const launch = (one: Waiting): void => {
      running.enter(one.node);
      runNode(one.node).then((state) => {
        running.leave(one.node, state, start);
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
      if (running.isEmpty) resolve();
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

const NONE_BROUGHT: readonly PlanNode[] = [];

/** What runs now, with the services that are up: all that occupies something. */
class Running {
  readonly #capacity: Capacity;
  readonly #brings: (node: PlanNode) => readonly PlanNode[];
  readonly #gone: Choice['gone'];
  readonly #occupants = new Set<PlanNode>();
  /** Of each service, how many nodes that have it have not ended. */
  readonly #users = new Map<PlanNode, number>();
  #occupied = occupiedBy(this.#occupants);
  #count = 0;
  /** Services that are about to end. */
  #ending = 0;

  constructor(capacity: Capacity, nodes: readonly PlanNode[], { brings, gone }: Choice) {
    this.#capacity = capacity;
    this.#gone = gone;
    this.#brings = brings ?? ((): typeof NONE_BROUGHT => NONE_BROUGHT);
    for (const node of nodes) for (const service of this.#brings(node)) this.#use(service, 1);
  }

  get full(): boolean {
    return this.#count >= this.#capacity.jobs;
  }

  /** Nothing is left for which it would be worth waiting. */
  get isEmpty(): boolean {
    return this.#count === 0 && this.#ending === 0;
  }

  fits(node: PlanNode): boolean {
    if (this.full) return false;
    if (this.isEmpty) return true;
    // What its own services hold it may have beside them.
    const own = new Set([node, ...this.#brings(node)]);
    const others = own.size === 1 ? this.#occupied : occupiedBy([...this.#occupants].filter((one) => !own.has(one)));
    const { memoryMb, cpu, mutexes } = others;
    const more = occupiedBy(own);
    return (
      memoryMb + more.memoryMb <= this.#capacity.memoryMb &&
      cpu + more.cpu <= this.#capacity.cpu &&
      !more.mutexes.some((name) => mutexes.includes(name))
    );
  }

  enter(node: PlanNode): void {
    this.#count++;
    for (const one of [node, ...this.#brings(node)]) this.#occupants.add(one);
    this.#occupied = occupiedBy(this.#occupants);
  }

  /** `later`: a service that it was the last to need has ended, and there is more room. */
  leave(node: PlanNode, state: NodeState, later: () => void): void {
    this.#count--;
    if (state === 'up') return;
    const services = this.#brings(node).filter((service) => this.#use(service, -1) === 0);
    for (const service of services) this.#end(service, later);
    this.#free(node);
  }

  #end(service: PlanNode, later: () => void): void {
    if (!this.#gone) return this.#free(service);
    const freed = (): void => {
      this.#ending--;
      this.#free(service);
      later();
    };
    const gone = this.#gone(service);
    if (gone === null) return;
    this.#ending++;
    gone.then(freed, freed);
  }

  #free(node: PlanNode): void {
    this.#occupants.delete(node);
    this.#occupied = occupiedBy(this.#occupants);
  }

  #use(service: PlanNode, more: 1 | -1): number {
    const users = (this.#users.get(service) ?? 0) + more;
    this.#users.set(service, users);
    return users;
  }
}

interface Occupied {
  readonly memoryMb: number;
  readonly cpu: number;
  readonly mutexes: readonly string[];
}

function occupiedBy(nodes: Iterable<PlanNode>): Occupied {
  let [memoryMb, cpu] = [0, 0];
  const mutexes: string[] = [];
  for (const { resources } of nodes) {
    memoryMb += resources.memoryMb ?? 0;
    cpu += resources.cpu ?? 0;
    mutexes.push(...(resources.mutex ?? []));
  }
  return { memoryMb, cpu, mutexes };
}
