import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { REHEARSAL, deviceConfig } from '../config/device.ts';
import { lookupFor } from '../config/lookup.ts';
import { approvedFacts, type Approval, type Circumstances } from '../engine/approval.ts';
import { dryPerformer, previewPerformer } from '../engine/dry.ts';
import { showPlan, type Shown } from '../engine/show.ts';
import { clock } from '../host/clock.ts';
import { openFingerprints } from '../host/fingerprint.ts';
import { codeOf } from '../host/store.ts';
import { StepFailed, UsageError } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { Plan, Planned } from '../model/plan.ts';
import { stepLine } from '../report/line.ts';
import type { Context } from './context.ts';
import { refuseMissingSecrets, variableOf } from './context.ts';
import { devicesOf } from './devices.ts';
import { STATUS } from '../model/exit-status.ts';
import { openFreshness } from './freshness-store.ts';
import type { Goal } from './invocation.ts';
import { printShown, say, type Manner } from './reporting.ts';

export interface DryRunOptions {
  readonly manner: Manner;
  readonly connected: boolean;
  readonly out: string | null;
  /** Printed as a runbook. */
  readonly runbook?: true;
  readonly force: boolean;
  readonly explain: boolean;
}

/** Shows a plan without performing it; with `out`, keeps it as an approval. */
export async function dryRun(
  context: Context,
  prepared: Planned & { readonly paramSecrets: ReadonlyMap<string, string> },
  goals: readonly Goal[],
  options: DryRunOptions,
): Promise<number> {
  const shown = options.connected
    ? await showConnected(context, prepared, options)
    : await show(context, prepared.plan, options);
  if (options.runbook) (await import('./runbook.ts')).printRunbook(context, prepared, shown, options.out);
  else await printShown(options.manner, prepared.plan, shown, options.explain);
  if (options.out !== null) keep(context, options.out, prepared.plan, goals, shown);
  return shown.refusal ? STATUS.refused : STATUS.done;
}

function show(
  context: Context,
  plan: Plan,
  { force }: DryRunOptions,
  performer = dryPerformer as Parameters<typeof showPlan>[1]['performer'],
): Promise<Shown> {
  const { freshness } = openFreshness(context, variableOf(context), say, 'looks');
  return showPlan(plan, { performer, clock, freshness, force, line: stepLine });
}

async function showConnected(
  context: Context,
  prepared: Planned & { readonly paramSecrets: ReadonlyMap<string, string> },
  options: DryRunOptions,
): Promise<Shown> {
  refuseMissingSecrets(context, prepared.plan);
  // A plan on paper loads nothing that could start a process or open a socket.
  const [{ createPlaces }, { newRunId }] = await Promise.all([import('./places.ts'), import('./runs.ts')]);
  const places = createPlaces({
    ...context,
    run: newRunId(new Date()),
    opaque: prepared.opaque,
    paramSecrets: prepared.paramSecrets,
    consent: new Set(),
  });
  try {
    return await show(context, prepared.plan, options, previewPerformer(places));
  } finally {
    await places.close();
    if (devicesOf(prepared.plan).includes(REHEARSAL)) say('REHEARSAL: nothing reached a real board');
  }
}

function keep(context: Context, out: string, plan: Plan, goals: readonly Goal[], shown: Shown): void {
  const path = resolve(out);
  if (existsSync(path) && !path.endsWith('.json'))
    throw new UsageError(`${out} is there and is no plan`, 'name a .json file');
  const { version, nodes, digest } = plan;
  const approval: Approval = {
    version: 1,
    goals,
    plan: { version, goals: plan.goals, nodes, digest },
    circumstances: circumstances(context, plan),
    facts: approvedFacts(plan, shown.facts),
  };
  try {
    writeFileSync(path, `${JSON.stringify(approval, null, 1)}\n`, { mode: 0o600 });
  } catch (error) {
    throw new StepFailed({ reason: 'file-system', code: codeOf(error), path, operation: 'write' });
  }
  say(`approval kept in ${out}: "apply ${out}" carries it out as long as everything is still so`);
}

/** What an approval is bound to beyond the steps: the contents of the inputs, and which machines the devices are. */
export function circumstances(context: Context, plan: Plan): Circumstances {
  const fingerprints = openFingerprints(context.projectDir, context.slipwayDir);
  const inputs = plan.nodes.flatMap((node) =>
    node.inputs === null ? [] : [[node.id, fingerprints.inputs(node.inputs).entries] as const],
  );
  const devices = devicesOf(plan).map((name) => [name, name === REHEARSAL ? null : machineOf(context, name)] as const);
  return { inputs: Object.fromEntries(inputs), devices: Object.fromEntries(devices) };
}

function machineOf({ sources }: Context, name: string): Json {
  const { host, port, user, root, supervisor } = deviceConfig(name, lookupFor(sources, name));
  return { host, port, user, root, supervisor };
}
