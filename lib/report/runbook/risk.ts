import type { Plan } from '../../model/plan.ts';
import { HERE, itemsIn, type Effect, type Touch } from '../../model/step.ts';
import { counted } from '../dry-run.ts';
import { duration } from '../outcome.ts';
import { code, prose } from './markdown.ts';
import type { Spot } from './walk.ts';

type StepSpot = Extract<Spot, { readonly what: 'step' }>;

/** What can be lost, by the effects that the plan declares. */
export function riskOf(plan: Plan, spots: readonly Spot[]): readonly string[] {
  const steps = spots.filter((spot) => spot.what === 'step');
  const items = plan.nodes.flatMap(({ body }) => [...itemsIn(body)]);
  const changes = items.flatMap((item) => (item.type === 'change' ? [item] : []));
  const kept = changes.filter(({ undone }) => undone === 'unless-done');
  const numbers = new Map(steps.map(({ step, number }) => [step.id, number]));
  const stays = kept.flatMap((change) => [...itemsIn(change.do)].flatMap(({ id }) => numbers.get(id) ?? []));
  const own = steps.filter(({ step: { kind } }) => kind === 'shell' || kind === 'opaque');
  return [
    `**${levelOf(steps, stays.length > 0)}** ${effects(steps)}.`,
    '',
    ...(changes.length === 0 ? [] : [`- Changed may be: ${touched(changes.flatMap(({ touches }) => touches))}.`]),
    ...steps.flatMap((spot) =>
      spot.step.effect === 'irreversible'
        ? [`- Step ${String(spot.number)} cannot be undone: ${code(spot.shown.line)}`]
        : [],
    ),
    ...(stays.length === 0 ? [] : [`- Once done, these stay, whatever fails later: step ${stays.join(', ')}.`]),
    ...steps.flatMap(({ step, number, shown }) =>
      step.effect === 'collects'
        ? [`- Step ${String(number)} removes for good what nothing refers to: ${code(shown.line)}`]
        : [],
    ),
    ...items.flatMap((item) =>
      item.type === 'within' && item.scope.kind === 'deadMan'
        ? [
            `- If ${prose(item.scope.place)} hears nothing from here for ${duration(item.scope.leaseMs)} before the confirmation, it puts back by itself.`,
          ]
        : [],
    ),
    ...(own.length === 0
      ? []
      : [
          `- Shell scripts and functions do what their author declared, which nothing proves: step ${own.map(({ number }) => String(number)).join(', ')}.`,
        ]),
  ];
}

function levelOf(steps: readonly StepSpot[], stays: boolean): string {
  const effects = new Set(steps.map(({ step }) => step.effect));
  const real = steps.some(({ step }) => step.effect === 'changes' && step.place !== 'rehearsal');
  if (effects.has('irreversible')) return 'High: a part of it cannot be undone.';
  if (!effects.has('changes')) return 'Low: nothing is changed that cannot be made again.';
  if (!real) return 'Low: only the rehearsal device is changed.';
  return stays
    ? 'Medium: what it changes can be put back, but for what is named below.'
    : 'Medium: all that it changes can be put back.';
}

function effects(steps: readonly StepSpot[]): string {
  const order: readonly Effect[] = ['reads', 'derives', 'changes', 'collects', 'tells', 'irreversible'];
  const parts = order.flatMap((effect) => {
    const count = steps.filter(({ step }) => step.effect === effect).length;
    return count === 0 ? [] : [`${String(count)} ${effect}`];
  });
  return `${counted(steps.length, 'step')}: ${parts.join(', ')}`;
}

function touched(touches: readonly Touch[]): string {
  const names = touches.map((touch) => {
    const what =
      'path' in touch
        ? touch.path
        : 'service' in touch
          ? `service ${touch.service === '*' ? '(any)' : touch.service}`
          : touch.data;
    return touch.place === HERE ? code(what) : code(`${touch.place}: ${what}`);
  });
  return [...new Set(names)].join(', ');
}
