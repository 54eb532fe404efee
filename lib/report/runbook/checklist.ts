import type { Shown } from '../../engine/show.ts';
import type { Json } from '../../model/json.ts';
import type { Plan } from '../../model/plan.ts';
import { HERE } from '../../model/step.ts';
import { explainFailure } from '../explain.ts';
import { worded } from './evidence.ts';
import { code, prose } from './markdown.ts';
import type { Spot } from './walk.ts';

/** What is to be true before it begins, each with what shows that it is. */
export function checklist(plan: Plan, spots: readonly Spot[], shown: Shown): readonly string[] {
  const steps = spots.filter((spot) => spot.what === 'step');
  const places = [...new Set(steps.map(({ step }) => step.place))].filter((place) => place !== HERE);
  const secrets = [...new Set(steps.flatMap(({ step }) => namesOfSecrets(step.args as unknown as Json)))];
  const variables = [...new Set(plan.nodes.flatMap(({ env }) => env))];
  const confirms = [...new Set(steps.flatMap(({ step }) => step.confirm ?? []))];
  const told = steps.filter(({ step }) => step.effect === 'tells').map(({ number }) => String(number));
  const refusal = shown.refusal === null ? [] : [explainFailure(shown.refusal).message];
  return [
    ...refusal.map((why) => `- [ ] Now it would be refused: ${code(why)}`),
    `- [ ] The plan is this one: ${code('--dry-run')} ends with ${code(`plan ${plan.digest.slice(0, 12)}`)}.`,
    `- [ ] Nothing is left of a run that died: ${code('recover')} says ${code('nothing to recover')}.`,
    ...places.map((place) => `- [ ] ${prose(place)} is ready: ${code(`doctor --device ${place}`)} ends with status 0.`),
    ...(secrets.length === 0
      ? []
      : [
          `- [ ] Secrets are set, as far as they are needed: ${code('config')} shows a source for ${secrets.map(code).join(', ')}.`,
        ]),
    ...(variables.length === 0
      ? []
      : [`- [ ] Variables that its tasks see are right: ${variables.map(code).join(', ')}.`]),
    ...confirms.map((name) => `- [ ] What cannot be undone is wanted: be ready to confirm ${code(name)}.`),
    told.length === 0
      ? '- [ ] Whoever must know was told: the plan tells nobody.'
      : `- [ ] Whoever must know is told by the plan itself, in step ${told.join(', ')}; nobody else is.`,
    ...refusals(spots),
  ];
}

/** What refuses it before anything was changed. */
function refusals(spots: readonly Spot[]): readonly string[] {
  return spots.flatMap((spot) =>
    spot.what === 'require' && spot.back.length === 0
      ? [
          `- [ ] Nothing speaks against it: ${code('--dry-run --connected')} does not say ${code(worded(spot.item.refusal))}.`,
        ]
      : [],
  );
}

/** The names of the secrets that a step's arguments hold. */
function namesOfSecrets(data: Json): readonly string[] {
  if (data === null || typeof data !== 'object') return [];
  if ('$secret' in data && typeof data.$secret === 'string') return [data.$secret];
  return Object.values(data).flatMap((field: Json) => namesOfSecrets(field));
}
