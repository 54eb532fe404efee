import type { Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import { HERE, itemsIn, type Step } from '../model/step.ts';

/** Services that one line names. */
const MAX_NAMES = 8;

/** `up: frontend http://127.0.0.1:5173/, database :5432, trader; Ctrl-C ends`: a goal's services, as far as the plan knows them. */
export function upLine(plan: Plan, goal: string): string {
  const needed = new Set([goal]);
  // Needs come first in a plan.
  for (const { id, needs } of plan.nodes.toReversed()) if (needed.has(id)) for (const need of needs) needed.add(need);
  const steps = plan.nodes.flatMap(({ id, body }) => (needed.has(id) ? [...itemsIn(body)] : []));
  const names = steps.flatMap((item) => (item.type === 'step' && item.place === HERE ? named(item) : []));
  const more = names.length > MAX_NAMES ? ` and ${String(names.length - MAX_NAMES)} more` : '';
  return `up${names.length === 0 ? '' : `: ${names.slice(0, MAX_NAMES).join(', ')}${more}`}; Ctrl-C ends`;
}

function named(step: Step): readonly string[] {
  if (step.kind !== 'service' || step.args.operation !== 'start' || typeof step.args.name !== 'string') return [];
  const address = addressOf(step.args.spec);
  return [address === null ? step.args.name : `${step.args.name} ${address}`];
}

/** Where it answers: what it is ready by is a page of that. */
function addressOf(spec: Json): string | null {
  const { ready, port } = spec as { readonly ready?: Json; readonly port?: Json };
  if (typeof ready === 'string' && URL.canParse(ready)) return `${new URL(ready).origin}/`;
  const listens = ready !== null && typeof ready === 'object' && 'tcp' in ready ? ready.tcp : port;
  return typeof listens === 'number' ? `:${String(listens)}` : null;
}
