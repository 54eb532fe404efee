import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { REHEARSAL, deviceConfig, rehearsalHttpPort } from '../config/device.ts';
import { secretsFor } from '../config/secrets.ts';
import { chooseTarget } from '../config/target.ts';
import { lookupFor, readSources, type Sources } from '../config/lookup.ts';
import { agentSource } from '../device/agent.ts';
import { makePlan, secretOfParam } from '../engine/graph.ts';
import { sha256 } from '../host/hash.ts';
import { StepFailed, UsageError } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { Plan, Planned } from '../model/plan.ts';
import { itemsIn } from '../model/step.ts';
import type { AnyTask, Need } from '../model/task.ts';
import { outsideRoot } from '../rehearsal/outside-root.ts';
import { rehearsalRoot } from '../rehearsal/root.ts';
import { explainFailure } from '../report/explain.ts';
import { devicesOf } from './devices.ts';
import type { Goal } from './invocation.ts';
import type { Folders, Project } from './project.ts';

/** Everything that a command line is carried out with. */
export interface Context extends Folders {
  readonly project: Project;
  readonly sources: Sources;
}

/** Reads the configuration of the project that a `tasks.ts` belongs to. */
export async function openContext(
  meta: { readonly url: string },
  project: Project,
  goals: readonly Goal[],
  device: string | null = null,
): Promise<Context> {
  const projectDir = dirname(fileURLToPath(meta.url));
  const to = goals.map(({ params }) => params['to']).find((value) => typeof value === 'string');
  const said = device === null ? { flag: '--to', value: to } : { flag: '--device', value: device };
  const flags = said.value === undefined ? {} : { DEPLOY_TO: { flag: said.flag, value: said.value } };
  return {
    project,
    projectDir,
    slipwayDir: join(projectDir, '.slipway'),
    sources: await readSources({ projectDir, environment: process.env, flags }),
  };
}

/** The goals of a command line as a plan, and the values of its secret params. */
export function planGoals(
  context: Context,
  goals: readonly Goal[],
  rest: readonly string[],
): Planned & { readonly paramSecrets: ReadonlyMap<string, string> } {
  const needs = goals.map((goal) => needOf(context, goal, rest));
  const paramSecrets = new Map(needs.flatMap(({ task, params }) => secretParams(task, params)));
  const planned = makePlan(needs, sha256, (): Json => sourcesDigest(planned.plan));
  refuseOutsideRehearsal(context, planned.plan);
  refuseUnknownDevices(context, planned.plan);
  tellLauncher('planned');
  return { ...planned, paramSecrets };
}

/** A device that is not configured, or wrongly, is found before anything runs. */
export function refuseUnknownDevices({ sources }: Context, plan: Plan): void {
  for (const name of devicesOf(plan)) {
    const lookup = lookupFor(sources, name);
    if (name === REHEARSAL) rehearsalHttpPort(lookup);
    else deviceConfig(name, lookup);
  }
}

/** Secrets that the devices of a plan need and that nobody set are a mistake of configuration, found before anything runs. */
export function refuseMissingSecrets({ sources, project, slipwayDir }: Context, plan: Plan): void {
  for (const name of devicesOf(plan)) {
    const secrets = secretsFor(project.system?.secrets ?? [], lookupFor(sources, name), slipwayDir);
    if (secrets.ok) continue;
    const { message, next } = explainFailure(secrets.failure);
    throw new UsageError(message, next);
  }
}

/** The rehearsal device never reaches the real world: a step on it that names a path outside its root is a plan error. */
function refuseOutsideRehearsal({ slipwayDir }: Context, { nodes }: Plan): void {
  for (const { id, body } of nodes) {
    for (const item of itemsIn(body)) {
      if (item.type !== 'step' || item.place !== REHEARSAL) continue;
      const [path] = outsideRoot(item, rehearsalRoot(slipwayDir, REHEARSAL));
      if (path !== undefined)
        throw new UsageError(
          `${id} would reach ${path}, outside the rehearsal device's root`,
          `see step ${item.id}: paths on a device are relative to its root`,
        );
    }
  }
}

function needOf(context: Context, { task: name, params }: Goal, rest: readonly string[]): Need {
  const task = context.project.tasks.find(({ taskName }) => taskName === name);
  if (!task) throw new UsageError(`there is no task ${name}`);
  const target = Object.entries(task.spec.params ?? {}).filter(
    ([param, { type }]) => type === 'device' && params[param] === undefined,
  );
  const filled = target.length === 0 ? {} : Object.fromEntries(target.map(([param]) => [param, targetOf(context)]));
  return { task, params: { ...filled, ...params }, rest };
}

/** The target in force; refused (status 3) when a real device is configured and nothing says which is meant. */
export function targetOf({ sources, project }: Context, flag = '--to'): string {
  const chosen = chooseTarget(sources, project.devices ?? [], flag);
  if (!chosen.ok) throw new StepFailed(chosen.failure);
  return chosen.target;
}

function secretParams(task: AnyTask, params: Need['params']): readonly (readonly [string, string])[] {
  return Object.entries(task.spec.params ?? {}).flatMap(([name, param]) => {
    const value = params[name];
    return 'secret' in param && param.secret && typeof value === 'string'
      ? [[secretOfParam(task, name), value] as const]
      : [];
  });
}

/** The drivers' own sources, as far as they act on a device: a plan digest covers them, when the plan reaches one. */
function sourcesDigest(plan: Plan): Json {
  return devicesOf(plan).length === 0 ? null : { agent: agentSource().sha256 };
}

/** A declared variable's value, as tasks see it. */
export const variableOf =
  ({ sources }: Context) =>
  (name: string): string | undefined =>
    lookupFor(sources, null).get(name)?.value;

/**
 * To `scripts/launch.cjs`, where it started this process. What is thrown until all is `planned` is a mistake in `tasks.ts`;
 * after a run that was `performed`, no sooner and in no dry run, it makes its bundle anew, or keeps its code.
 */
export function tellLauncher(what: 'planned' | 'performed'): void {
  (globalThis as { readonly [of: symbol]: (() => void) | undefined })[Symbol.for(`slipway.${what}`)]?.();
}
