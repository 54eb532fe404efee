import { UsageError } from '../model/failure.ts';
import { piecesOf, type Json } from '../model/json.ts';
import type { Plan, PlanNode, Planned } from '../model/plan.ts';
import type { Hash } from '../model/ports.ts';
import { Recorder } from '../model/recorder.ts';
import type { OpaqueBody } from '../model/opaque.ts';
import { plain, refsIn, secret, type StepId } from '../model/ref.ts';
import { refuseRetries, refuseTimeout } from '../model/service-here.ts';
import type { AnyTask, Need, Needs } from '../model/task.ts';
import { refuseOverlaps } from './overlap.ts';
import { checkRefs } from './scope-check.ts';

/** More nodes than this means that `needs` makes ever new params. */
const MAX_NODES = 100_000;

/** Of a node in a plan: `nodes`, one of them. */
const NODE_DEPTH = 2;

/** Shared by the many nodes that have none. */
const NOTHING = Object.freeze({});
const NO_NAMES: readonly string[] = Object.freeze([]);

interface Draft {
  readonly id: string;
  readonly need: Need;
  readonly needs: readonly (readonly [string, Draft])[];
  returned: unknown;
}

/**
 * Resolves goals into a plan: every task with its params once, needs first, steps recorded.
 * @throws UsageError for a cycle (with its whole path), two tasks of one name, outputs that overlap.
 */
export function makePlan(goals: readonly Need[], hash: Hash, sources: () => Json = () => null): Planned {
  const drafts = resolveNeeds(goals);
  const opaque = new Map<StepId, OpaqueBody>();
  const nodes = drafts.map((draft) => recordNode(draft, opaque));
  refuseOverlaps(nodes);
  const content = { version: 1, goals: goals.map(nodeId), nodes } as const;
  let digest: string | undefined;
  const plan: Plan = {
    ...content,
    get digest() {
      return (digest ??= hash(
        piecesOf({ ...(content as unknown as { [key: string]: Json }), sources: sources() }, NODE_DEPTH),
      ));
    },
  };
  return { plan, opaque };
}

/** The id of a task with its params: the name, and those params that are not at their default. */
export function nodeId({ task, params }: Need): string {
  const shown = Object.entries(task.spec.params ?? {}).flatMap(([name, param]) => {
    const value = params[name];
    const byDefault = 'default' in param ? param.default : undefined;
    return value === undefined || value === byDefault
      ? []
      : [`${name}=${isSecret(task, name) ? '***' : spellParam(value)}`];
  });
  return shown.length === 0 ? task.taskName : `${task.taskName}(${shown.join(',')})`;
}

/** Quoted unless it is one plain word, so that no two lists of params have one spelling. */
function spellParam(value: unknown): string {
  return typeof value !== 'string' || /^[\w.:@/+-]*$/.test(value) ? String(value) : JSON.stringify(value);
}

function paramsOf({ task, params }: Need): { readonly [name: string]: unknown } {
  const all: { [name: string]: unknown } = {};
  for (const [name, param] of Object.entries(task.spec.params ?? {})) if ('default' in param) all[name] = param.default;
  Object.assign(all, params);
  for (const name of Object.keys(all)) if (isSecret(task, name)) all[name] = secret(secretOfParam(task, name));
  const missing = Object.keys(task.spec.params ?? {}).find((name) => all[name] === undefined);
  if (missing !== undefined)
    throw new UsageError(`${task.taskName} (${task.source}) is called without its param ${missing}`);
  return all;
}

/** The name under which a live performer finds the value of a secret param. */
export const secretOfParam = (task: AnyTask, param: string): string => `${task.taskName}.${param}`;

function isSecret(task: AnyTask, name: string): boolean {
  const param = task.spec.params?.[name];
  return param !== undefined && 'secret' in param && param.secret;
}

/** Depth first without recursion, so that a chain of ten thousand needs is no deeper than one. */
function resolveNeeds(goals: readonly Need[]): readonly Draft[] {
  const done = new Map<string, Draft>();
  const names = new Map<string, AnyTask>();
  const open = new Map<string, Need>();
  const stack: {
    readonly id: string;
    readonly need: Need;
    readonly needs: readonly (readonly [string, Need])[];
    next: number;
  }[] = [];
  const enter = (need: Need): void => {
    const id = nodeId(need);
    refuseNamesake(names, need.task);
    if (done.has(id)) return;
    if (open.has(id)) throw cycle([...open.values(), need], id);
    if (done.size + open.size > MAX_NODES)
      throw new UsageError(
        `the graph has more than ${String(MAX_NODES)} nodes`,
        `"needs" of ${need.task.taskName} seems to make ever new params`,
      );
    open.set(id, need);
    const needs = need.task.spec.needs;
    const found: Needs = typeof needs === 'function' ? needs({ params: paramsOf(need) } as never) : (needs ?? {});
    stack.push({ id, need, needs: Object.entries(found).map(([name, one]) => [name, asNeed(one)]), next: 0 });
  };
  for (const goal of goals) {
    enter(goal);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const following = top.needs[top.next++];
      if (following) enter(following[1]);
      else {
        stack.pop();
        open.delete(top.id);
        done.set(top.id, {
          id: top.id,
          need: top.need,
          needs: top.needs.map(([name, need]) => [name, done.get(nodeId(need)) as Draft]),
          returned: undefined,
        });
      }
    }
  }
  return [...done.values()];
}

/** A task in `needs` may stand without a call when it has no params to give. */
function asNeed(need: Need): Need {
  return typeof need === 'function' ? (need as () => Need)() : need;
}

function refuseNamesake(names: Map<string, AnyTask>, task: AnyTask): void {
  const other = names.get(task.taskName);
  if (other !== undefined && other !== task) {
    throw new UsageError(
      `two tasks are named ${task.taskName}: ${other.source} and ${task.source}`,
      'give one of them another name',
    );
  }
  names.set(task.taskName, task);
}

function cycle(path: readonly Need[], id: string): UsageError {
  const from = path.findIndex((need) => nodeId(need) === id);
  const circle = path.slice(from).map((need) => `${nodeId(need)} (${need.task.source})`);
  return new UsageError(`tasks need each other in a circle: ${circle.join(' → ')}`, 'remove one of these needs');
}

function recordNode(draft: Draft, opaque: Map<StepId, OpaqueBody>): PlanNode {
  const { spec, taskName } = draft.need.task;
  const what = (): string => `${taskName} (${draft.need.task.source})`;
  refuseTimeout(spec.timeoutMs, what);
  refuseRetries(spec.retries, what);
  const params = paramsOf(draft.need);
  const needs = Object.fromEntries(draft.needs.map(([name, need]) => [name, need.returned]));
  const rest = draft.need.rest ?? [];
  let isAsked = rest.length === 0;
  // A getter of its own costs each node some KB: most are given nothing.
  const context = isAsked
    ? { params, needs, rest }
    : {
        params,
        needs,
        get rest() {
          isAsked = true;
          return rest;
        },
      };
  const recorded = Recorder.record(draft.id, (p) => spec.steps?.(p, context as never));
  // Lost, it may have been what was to make the run harmless.
  if (!isAsked)
    throw new UsageError(
      `${taskName} takes nothing after --, and was given ${rest.join(' ')}`,
      `flags of Slipway and of the task stand before it; under npm: npm run task -- ${taskName} FLAGS`,
    );
  draft.returned = recorded.returned;
  for (const [id, body] of recorded.opaque) opaque.set(id, body);
  const globs = (
    of: readonly string[] | ((context: never) => readonly string[]) | undefined,
  ): readonly string[] | null => (of === undefined ? null : typeof of === 'function' ? of(params as never) : of);
  const node: PlanNode = {
    id: draft.id,
    task: taskName,
    params: publicParams(draft.need.task, params),
    needs: draft.needs.map(([, need]) => need.id),
    inputs: globs(spec.inputs),
    outputs: globs(spec.outputs),
    ...(spec.cache === false ? { cache: false } : {}),
    env: spec.env ?? NO_NAMES,
    resources: spec.resources ?? NOTHING,
    timeoutMs: spec.timeoutMs ?? null,
    retries: spec.retries ?? null,
    body: recorded.block,
  };
  checkRefs(node, new Set(refsIn(plain(draft.needs.map(([, need]) => need.returned ?? null)))));
  return node;
}

/** Params as the plan may show them: a secret one only by name. */
function publicParams(task: AnyTask, params: { readonly [name: string]: unknown }): { readonly [name: string]: Json } {
  const shown = Object.entries(params).map(([name, value]) => [name, isSecret(task, name) ? '***' : (value as Json)]);
  return shown.length === 0 ? NOTHING : (Object.fromEntries(shown) as { readonly [name: string]: Json });
}
