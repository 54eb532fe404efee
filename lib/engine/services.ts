import type { Json } from '../model/json.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import { refsIn, taskOf } from '../model/ref.ts';
import { itemsIn } from '../model/step.ts';
import type { Freshness } from './freshness.ts';

/** Which tasks of a plan are services, and who needs them: a task that holds is up for others as soon as it does. */
export interface ServicesOf {
  /** Tasks that hold. */
  readonly services: ReadonlyMap<string, PlanNode>;
  /** Services that are asked for themselves, or through a goal without steps: up until the run is cancelled. */
  readonly goals: ReadonlySet<string>;
  /** Services that a task needs, also through tasks without steps; empty for those, which only pass them on. */
  readonly uses: (node: PlanNode) => readonly string[];
}

const holds = (node: PlanNode): boolean => {
  for (const item of itemsIn(node.body)) if (item.type === 'hold') return true;
  return false;
};

/** Finds the services of a plan. */
export function servicesOf(plan: Plan): ServicesOf {
  const services = new Map(plan.nodes.filter(holds).map((node) => [node.id, node]));
  const none: readonly string[] = [];
  if (services.size === 0) return { services, goals: new Set(), uses: () => none };
  const needed = new Map<string, readonly string[]>();
  /** What whoever needs this node gets to hold on to. */
  const handed = (node: PlanNode): readonly string[] =>
    services.has(node.id) ? [node.id] : node.body.items.length === 0 ? (needed.get(node.id) ?? none) : none;
  const nodes = new Map(plan.nodes.map((node) => [node.id, node]));
  const at = (id: string): PlanNode => nodes.get(id) as PlanNode;
  // Needs come first, so each is known by then.
  for (const node of plan.nodes) needed.set(node.id, [...new Set(node.needs.flatMap((id) => handed(at(id))))]);
  return {
    services,
    goals: new Set(plan.goals.flatMap((id) => handed(at(id)))),
    uses: (node) => (node.body.items.length === 0 ? none : (needed.get(node.id) ?? none)),
  };
}

/**
 * The nodes as they are scheduled: a service is brought up by the first task that needs it, so it waits in no queue
 * and takes no place there, and what it needs itself is done before. Those that are goals are begun like any task.
 */
export function scheduled(plan: Plan, { services, goals }: ServicesOf): readonly PlanNode[] {
  if (services.size === 0) return plan.nodes;
  const hoisted = new Map<string, readonly string[]>();
  for (const { id, needs } of plan.nodes)
    hoisted.set(id, [...new Set(needs.flatMap((need) => (services.has(need) ? (hoisted.get(need) ?? []) : [need])))]);
  return plan.nodes
    .filter(({ id }) => !services.has(id) || goals.has(id))
    .map((node) => ({ ...node, needs: hoisted.get(node.id) ?? [] }));
}

/** A task's result may depend on the services that it needs: their steps, inputs and variables count in its key. */
export function countServices(freshness: Freshness, { services, uses }: ServicesOf): Freshness {
  if (services.size === 0) return freshness;
  const counted = (node: PlanNode): PlanNode => {
    const used = withTheirs(uses(node), services, uses);
    return used.length === 0 ? node : { ...node, ...count(node, used) };
  };
  return {
    check: (node, facts) => freshness.check(counted(node), facts),
    begin: (node, facts) => freshness.begin(counted(node), facts),
    done: (node, facts) => freshness.done(counted(node), facts),
  };
}

/** Services, and those that they need in turn. */
function withTheirs(ids: readonly string[], services: ServicesOf['services'], uses: ServicesOf['uses']): PlanNode[] {
  const found = new Set<PlanNode>();
  const add = (id: string): void => {
    const node = services.get(id) as PlanNode;
    if (found.has(node)) return;
    found.add(node);
    uses(node).forEach(add);
  };
  ids.forEach(add);
  return [...found];
}

function count(node: PlanNode, used: readonly PlanNode[]): Pick<PlanNode, 'inputs' | 'env' | 'params'> {
  const inputs = [node, ...used].map((one) => one.inputs);
  // Of a service that names no inputs, or is made from what others yield, nobody knows whether it is still the same.
  const known = !inputs.includes(null) && used.every(isWhole);
  return {
    inputs: known ? inputs.flatMap((globs) => globs ?? []) : null,
    env: [...new Set([node, ...used].flatMap(({ env }) => env))],
    params: { ...node.params, $services: used.map(({ id, body }) => [id, body]) as unknown as Json },
  };
}

const isWhole = ({ id, body }: PlanNode): boolean => refsIn(body as unknown as Json).every((ref) => taskOf(ref) === id);
