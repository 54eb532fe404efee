import { makePlan } from '../engine/graph.ts';
import { sha256 } from '../host/hash.ts';
import { UsageError } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import { deviceName } from '../model/param.ts';
import { itemsIn } from '../model/step.ts';
import type { AnyTask } from '../model/task.ts';
import type { Context } from './context.ts';

/** What a deploy to a device would look at here: the packed tree, and which of its programs do not count. */
export interface PlannedRelease {
  readonly tree: string;
  readonly foreign: readonly string[];
}

/** The release that one of the project's tasks would take to this device; `null` when none does. */
export function plannedRelease({ project }: Context, device: string): PlannedRelease | null {
  for (const task of project.tasks) {
    const params = deviceParams(task, device);
    const found = params === null ? null : releaseOf(task, params);
    if (found !== null) return found;
  }
  return null;
}

/** Params of a task that goes to a device and needs nothing else said. */
function deviceParams({ spec }: AnyTask, device: string): { readonly [name: string]: string } | null {
  const params = Object.entries(spec.params ?? {});
  const missing = params.some(([, param]) => param.type !== 'device' && !('default' in param));
  const devices = params
    .filter(([, param]) => param.type === 'device')
    .map(([name]) => [name, deviceName(device)] as const);
  return missing || devices.length === 0 ? null : Object.fromEntries(devices);
}

function releaseOf(task: AnyTask, params: { readonly [name: string]: string }): PlannedRelease | null {
  try {
    const { plan } = makePlan([{ task, params }], sha256);
    const items = plan.nodes.flatMap(({ body }) => [...itemsIn(body)]);
    for (const item of items) {
      if (item.type !== 'step' || item.kind !== 'probe' || item.args.ask !== 'release.binaries') continue;
      const { tree, foreign } = item.args.args as { readonly tree: Json; readonly foreign?: readonly string[] };
      if (typeof tree === 'string') return { tree, foreign: foreign ?? [] };
    }
    return null;
  } catch (error) {
    // A task that cannot be planned ships nothing; whoever runs it is told why.
    if (error instanceof UsageError) return null;
    throw error;
  }
}
