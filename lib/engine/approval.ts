import { canonical, sameJson, type Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import type { LivePerformer } from '../model/ports.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn, type Item } from '../model/step.ts';
import type { Facts } from './facts.ts';

/** A plan that somebody looked at, to be carried out only as long as it still is the same: not a program. */
export interface Approval {
  readonly version: 1;
  readonly goals: readonly { readonly task: string; readonly params: { readonly [name: string]: Json } }[];
  readonly plan: Plan;
  /** What the plan is for beyond itself: contents of inputs by task, and which devices are meant. */
  readonly circumstances: Json;
  /** What the preview learned and what must still be so: by step, without what differs from moment to moment. */
  readonly facts: { readonly [id: StepId]: Json };
}

/** The facts of a preview that an approval holds on to. */
export function approvedFacts(plan: Plan, facts: Facts): { readonly [id: StepId]: Json } {
  const kept: { [id: StepId]: Json } = {};
  for (const item of allItems(plan)) {
    if (item.type !== 'step' || item.volatile === true || item.kind !== 'probe') continue;
    const fact = facts.fact(item.id);
    if (fact.known) kept[item.id] = fact.value;
  }
  return kept;
}

/** The first thing in which two plans differ, as a place and both sides; null when they are the same. */
export function firstDifference(
  approved: Plan,
  now: Plan,
): { readonly at: string; readonly approved: string; readonly now: string } | null {
  if (approved.digest === now.digest) return null;
  const [before, after] = [approved, now].map((plan) => plan.nodes.map((node) => node.id).join(', '));
  if (before !== after) return { at: 'the tasks', approved: before ?? '', now: after ?? '' };
  const [items, others] = [[...allItems(approved)], [...allItems(now)]];
  for (let index = 0; index < Math.max(items.length, others.length); index++) {
    const [item, other] = [items[index], others[index]].map((one) =>
      one === undefined ? '(nothing)' : canonical(own(one)),
    );
    if (item !== other)
      return { at: items[index]?.id ?? others[index]?.id ?? '', approved: item ?? '', now: other ?? '' };
  }
  return { at: 'inputs, outputs or the tools themselves', approved: approved.digest, now: now.digest };
}

/** Performs as `live` does, and stops at the first fact that is no longer what was approved. */
export function approvedPerformer(live: LivePerformer, approved: Approval['facts']): LivePerformer {
  return {
    ...live,
    async perform(step, performing) {
      const performed = await live.perform(step, performing);
      const before = approved[step.id];
      if (
        !performed.ok ||
        before === undefined ||
        performing.undoing ||
        performing.iteration !== '' ||
        sameJson(before, performed.fact.value)
      )
        return performed;
      return {
        ok: false,
        failure: {
          reason: 'approval-stale',
          step: step.id,
          approved: canonical(before),
          now: canonical(performed.fact.value),
        },
      };
    },
  };
}

function* allItems(plan: Plan): Generator<Item> {
  for (const node of plan.nodes) yield* itemsIn(node.body);
}

/** An item without the blocks inside it, which are items of their own. */
function own(item: Item): Json {
  return Object.fromEntries(
    Object.entries(item as unknown as { [key: string]: Json }).filter(
      ([key]) =>
        !['do', 'then', 'otherwise', 'body', 'recover', 'branches', 'start', 'success', 'failure'].includes(key),
    ),
  );
}
