import type { Plan } from '../model/plan.ts';
import { HERE, itemsIn, type Place } from '../model/step.ts';

/** The devices that a plan acts on. */
export function devicesOf(plan: Plan): readonly string[] {
  const places = new Set<Place>();
  for (const node of plan.nodes)
    for (const item of itemsIn(node.body)) if (item.type === 'step' && item.place !== HERE) places.add(item.place);
  return [...places];
}
