import { canonical, sameJson, type Json } from '../model/json.ts';
import type { FileEntry } from '../model/check.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import type { LivePerformer } from '../model/ports.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn, type Item } from '../model/step.ts';
import type { Facts } from './facts.ts';

/** Digits of a file's digest that are shown. */
const SHOWN_DIGITS = 12;

/** A plan that somebody looked at, to be carried out only as long as it still is the same: not a program. */
export interface Approval {
  readonly version: 1;
  readonly goals: readonly { readonly task: string; readonly params: { readonly [name: string]: Json } }[];
  readonly plan: Plan;
  /** What the plan is for beyond itself: contents of inputs by task, and which devices are meant. */
  readonly circumstances: Circumstances;
  /** What the preview learned and what must still be so: by step, without what differs from moment to moment. */
  readonly facts: { readonly [id: StepId]: Json };
}

/** The contents of inputs by task, and which machines the devices are (`null`: the rehearsal device). */
export interface Circumstances {
  readonly inputs: { readonly [task: string]: readonly FileEntry[] };
  readonly devices: { readonly [name: string]: Json };
}

/** In what an approval is not what it would be now: a place, and both sides. */
export interface Difference {
  readonly at: string;
  readonly approved: string;
  readonly now: string;
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
export function firstDifference(approved: Plan, now: Plan): Difference | null {
  if (approved.digest === now.digest) return null;
  const [before, after] = [approved, now].map((plan) => plan.nodes.map((node) => node.id).join(', '));
  if (before !== after) return { at: 'the tasks', approved: before ?? '', now: after ?? '' };
  const [items, others] = [[...allItems(approved)], [...allItems(now)]];
  for (let index = 0; index < Math.max(items.length, others.length); index++) {
    const [item, other] = [items[index], others[index]].map((one) => words(one === undefined ? undefined : own(one)));
    if (item !== other)
      return { at: items[index]?.id ?? others[index]?.id ?? '', approved: item ?? '', now: other ?? '' };
  }
  return differentNode(approved, now) ?? { at: 'the device agent', approved: approved.digest, now: now.digest };
}

/** The first field of a task, beyond its steps, in which two plans of the same tasks differ. */
function differentNode(approved: Plan, now: Plan): Difference | null {
  for (const [index, node] of approved.nodes.entries()) {
    const other: Partial<PlanNode> = now.nodes[index] ?? {};
    for (const field of Object.keys({ ...node, ...other }) as (keyof PlanNode)[]) {
      const [before, after] = [node[field], other[field]].map(words);
      if (field !== 'body' && before !== after)
        return { at: `${field} of ${node.id}`, approved: before ?? '', now: after ?? '' };
    }
  }
  return null;
}

/** The first input, or else the first device, that is another one than it was; null when all are the same. */
export function changedCircumstance(approved: Circumstances, now: Circumstances): Difference | null {
  for (const task of keysOf(approved.inputs, now.inputs)) {
    const [before, after] = [approved, now].map(({ inputs }) => new Map(inputs[task]?.map((one) => [one[0], one])));
    for (const path of new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])].sort())) {
      const [was, is] = [before?.get(path), after?.get(path)];
      if (words(was) !== words(is))
        return { at: `input ${path} of ${task}`, approved: fileWords(was), now: fileWords(is) };
    }
  }
  for (const name of keysOf(approved.devices, now.devices)) {
    const [was, is] = [words(approved.devices[name]), words(now.devices[name])];
    if (was !== is) return { at: `device ${name}`, approved: was, now: is };
  }
  return null;
}

const NOTHING = '(nothing)';

const words = (value: unknown): string => (value === undefined ? NOTHING : canonical(value as Json));

const keysOf = (one: object, other: object): readonly string[] => [
  ...new Set([...Object.keys(one), ...Object.keys(other)]),
];

function fileWords(entry: FileEntry | undefined): string {
  if (entry === undefined) return NOTHING;
  const [, kind, executable, content] = entry;
  return `${executable === 1 ? 'executable ' : ''}${kind}, sha256 ${content.slice(0, SHOWN_DIGITS)}`;
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
