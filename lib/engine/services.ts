import type { Check, Reason } from '../model/check.ts';
import type { Json } from '../model/json.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import { refsIn, taskOf } from '../model/ref.ts';
import { itemsIn } from '../model/step.ts';
import type { Freshness, Looked } from './freshness.ts';
import type { Asked } from './key.ts';
import { holdsSecret } from './takes-part.ts';

/** Which tasks of a plan are services, and who needs them: a task that holds is up for others as soon as it does. */
export interface ServicesOf {
  /** All tasks; those that need a service have, in its place, what that needs: it is brought up, not waited for. */
  readonly nodes: readonly PlanNode[];
  /** Tasks that hold. */
  readonly services: ReadonlyMap<string, PlanNode>;
  /** Services that are asked for themselves, or through a goal without steps: up until the run is cancelled. */
  readonly goals: ReadonlySet<string>;
  /** Tasks without steps that stand for such services, and for which: they end with them. */
  readonly standIns: ReadonlyMap<string, readonly string[]>;
  /** Services that a task needs, also through tasks without steps; empty for those, which only pass them on. */
  readonly uses: (node: PlanNode) => readonly string[];
}

const NO_NODES: readonly PlanNode[] = [];

const holds = (node: PlanNode): boolean => {
  for (const item of itemsIn(node.body)) if (item.type === 'hold') return true;
  return false;
};

const NONE: readonly string[] = [];

/** Of a plan without services, and of a run that brings none up. */
export const NO_SERVICES: ServicesOf = {
  nodes: [],
  services: new Map(),
  goals: new Set(),
  standIns: new Map(),
  uses: () => NONE,
};

/** Finds the services of a plan. */
export function servicesOf(plan: Plan): ServicesOf {
  const holding = new Set(plan.nodes.filter(holds).map(({ id }) => id));
  if (holding.size === 0) return { ...NO_SERVICES, nodes: plan.nodes };
  const needed = new Map<string, readonly string[]>();
  /** What whoever needs this node gets to hold on to. */
  const handed = (node: PlanNode): readonly string[] =>
    holding.has(node.id) ? [node.id] : node.body.items.length === 0 ? (needed.get(node.id) ?? NONE) : NONE;
  const byId = new Map(plan.nodes.map((node) => [node.id, node]));
  const at = (id: string): PlanNode => byId.get(id) as PlanNode;
  // Needs come first, so each is known by then.
  for (const node of plan.nodes) needed.set(node.id, [...new Set(node.needs.flatMap((id) => handed(at(id))))]);
  const nodes = hoisted(plan.nodes, holding);
  const goals = new Set(plan.goals.flatMap((id) => handed(at(id))));
  const standIns = plan.nodes.flatMap((node) => {
    const services = holding.has(node.id) ? NONE : handed(node);
    return services.length > 0 && services.every((id) => goals.has(id)) ? [[node.id, services] as const] : [];
  });
  return {
    nodes,
    services: new Map(nodes.filter(({ id }) => holding.has(id)).map((node) => [node.id, node])),
    goals,
    standIns: new Map(standIns),
    uses: (node) => (node.body.items.length === 0 ? NONE : (needed.get(node.id) ?? NONE)),
  };
}

function hoisted(nodes: readonly PlanNode[], services: ReadonlySet<string>): readonly PlanNode[] {
  const needs = new Map<string, readonly string[]>();
  const instead = (need: string): readonly string[] => (services.has(need) ? (needs.get(need) ?? []) : [need]);
  for (const node of nodes) needs.set(node.id, [...new Set(node.needs.flatMap(instead))]);
  return nodes.map((node) => ({ ...node, needs: needs.get(node.id) ?? [] }));
}

/**
 * The nodes that are scheduled: a service is brought up by the first task that needs it, so it waits in no queue and
 * takes no place there. Those that are goals are begun like any task.
 */
export const scheduled = ({ nodes, services, goals }: ServicesOf): readonly PlanNode[] =>
  services.size === 0 ? nodes : nodes.filter(({ id }) => !services.has(id) || goals.has(id));

/** The services that are up while a node runs: those that it needs, those that they need in turn, and itself if it is one. */
export function brings(of: ServicesOf): (node: PlanNode) => readonly PlanNode[] {
  if (of.services.size === 0) return () => NO_NODES;
  const all = new Map(
    of.nodes.map((node) => [node.id, withTheirs(of.services.has(node.id) ? [node.id] : of.uses(node), of)]),
  );
  return ({ id }) => all.get(id) ?? NO_NODES;
}

/** Why a service is up: its users, unless it is a goal. */
export function serviceCheck(
  service: string,
  { nodes, goals, uses }: ServicesOf,
): Extract<Check, { state: 'service' }> {
  const users = goals.has(service) ? [] : nodes.filter((node) => uses(node).includes(service));
  return { state: 'service', users: users.map(({ id }) => id) };
}

/** A task, with what counts of the services that it needs. */
interface Counted {
  readonly node: Asked;
  /** Services of which nobody knows whether they are still the same. */
  readonly unknown: readonly string[];
}

/** Before the id of a service, among the params of a task that needs it. */
const SERVICE = '$service ';

/** A task's result may depend on the services that it needs: their steps, inputs and variables count in its key. */
export function countServices(freshness: Freshness, of: ServicesOf): Freshness {
  if (of.services.size === 0) return freshness;
  const all = new Map(of.nodes.map((node) => [node.id, count(node, of)]));
  const counted = ({ id }: PlanNode): Asked => (all.get(id) as Counted).node;
  return {
    look(node, facts) {
      const looked = freshness.look(counted(node), facts);
      return looked && { ...looked, check: aboutServices(looked.check, node, all.get(node.id)?.unknown ?? []) };
    },
    forget: (node) => freshness.forget(counted(node)),
    outdated: (node) => freshness.outdated(counted(node)),
    restore: (node) => freshness.restore(counted(node)),
    begin: (node) => freshness.begin(counted(node)),
    done: (node, facts, tookMs) => freshness.done(counted(node), facts, tookMs),
  };
}

function count(node: PlanNode, of: ServicesOf): Counted {
  const used = withTheirs(of.uses(node), of);
  if (used.length === 0) return { node, unknown: [] };
  const unknown = used.filter((one) => !isKnown(one)).map(({ id }) => id);
  const bodies = used.map(({ id, body }) => [`${SERVICE}${id}`, body as unknown as Json] as const);
  return {
    node: {
      ...node,
      inputs: unknown.length > 0 ? null : node.inputs,
      services: used,
      env: [...new Set([node, ...used].flatMap(({ env }) => env))],
      params: { ...node.params, ...Object.fromEntries(bodies) },
    },
    unknown,
  };
}

/** Services, and those that they need in turn. */
function withTheirs(ids: readonly string[], { services, uses }: ServicesOf): PlanNode[] {
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

/** It names its inputs, and is made neither from what others yield nor from a secret, whose value is in no key. */
function isKnown({ id, inputs, body }: PlanNode): boolean {
  const made = body as unknown as Json;
  return inputs !== null && refsIn(made).every((ref) => taskOf(ref) === id) && !holdsSecret(made);
}

/** The same check, in terms of services where it is about what was counted of them. */
function aboutServices(check: Looked['check'], { inputs }: PlanNode, unknown: readonly string[]): Looked['check'] {
  if (!('because' in check)) return check;
  const because = check.because.flatMap((reason): readonly Reason[] => {
    if (reason.reason === 'param' && reason.name.startsWith(SERVICE))
      return [{ reason: 'service', change: reason.change, service: reason.name.slice(SERVICE.length) }];
    const theirs = reason.reason === 'declares-no-inputs' && inputs !== null;
    return theirs ? unknown.map((service) => ({ reason: 'unknown-service', service })) : [reason];
  });
  return { ...check, because };
}
