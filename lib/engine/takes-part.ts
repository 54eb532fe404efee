import type { Reason } from '../model/check.ts';
import type { Json } from '../model/json.ts';
import type { PlanNode } from '../model/plan.ts';
import { HERE, itemsIn } from '../model/step.ts';

/** Why a task never takes part. */
export function obstaclesOf(node: PlanNode): readonly Reason[] {
  if (node.body.items.length === 0) return [{ reason: 'no-steps' }];
  const found: Reason[] = [];
  if (node.inputs === null) found.push({ reason: 'declares-no-inputs' });
  if (node.outputs === null) found.push({ reason: 'declares-no-outputs' });
  for (const item of itemsIn(node.body)) {
    const acts =
      item.type === 'hold' ||
      item.type === 'change' ||
      (item.type === 'step' && (item.place !== HERE || (item.effect !== 'reads' && item.effect !== 'derives')));
    if (!acts) continue;
    found.push({ reason: 'acts', step: item.id });
    break;
  }
  // What it is stays out of every key, so that nothing kept can tell whether it changed.
  if (found.length === 0 && holdsSecret(node.body as unknown as Json)) found.push({ reason: 'uses-a-secret' });
  return found;
}

/** Whether it can be fresh. */
export const takesPart = (node: PlanNode): boolean => obstaclesOf(node).length === 0;

/** Whether a secret stands in it anywhere. */
export function holdsSecret(value: Json): boolean {
  if (value === null || typeof value !== 'object') return false;
  return '$secret' in value || Object.values(value).some((field) => holdsSecret(field));
}
