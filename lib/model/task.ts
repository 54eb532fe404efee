import { UsageError } from './failure.ts';
import type { Params, ParamInput, ParamValues } from './param.ts';
import type { Recorder } from './recorder.ts';
import type { Retries } from './step.ts';

/** What a task hands to those that need it: plain values and refs. */
export type Outputs = { readonly [name: string]: unknown };

/** A task with its params: one node of the graph to be. */
export interface Need<O = unknown> {
  readonly task: AnyTask;
  readonly params: { readonly [name: string]: unknown };
  /** What followed `--` on the command line. */
  readonly rest?: readonly string[];
  /** Only for its type. */
  readonly outputs?: O;
}

export type Needs = { readonly [name: string]: Need };
type NeedOutputs<N extends Needs> = { readonly [K in keyof N]: N[K] extends Need<infer O> ? O : never };

/** What a task occupies while it runs; the sum stays below what the machine has. */
export interface Resources {
  readonly memoryMb?: number;
  readonly cpu?: number;
  /** Two tasks with the same mutex never run at the same time. */
  readonly mutex?: readonly string[];
}

/** Globs relative to the project; declared empty means: none. */
type Globs<P extends Params> = readonly string[] | ((params: ParamValues<P>) => readonly string[]);

/** The whole declaration of a task. `steps` is synchronous and pure. */
export interface TaskSpec<P extends Params, N extends Needs, O> {
  readonly summary: string;
  readonly params?: P;
  readonly needs?: N | ((context: { readonly params: ParamValues<P> }) => N);
  /** Files whose content decides the result. With `outputs` declared too, an unchanged task is skipped. */
  readonly inputs?: Globs<P>;
  /** Files that it makes; no two tasks may overlap. */
  readonly outputs?: Globs<P>;
  /** `false`: its outputs are not kept to be put back later: big ones, or those that stand for more than themselves. */
  readonly cache?: boolean;
  /** Names of environment variables that it sees beyond the base list. */
  readonly env?: readonly string[];
  readonly resources?: Resources;
  readonly timeoutMs?: number;
  readonly retries?: Retries;
  /** Not listed by default: a part of another task. */
  readonly hidden?: boolean;
  readonly steps?: (
    p: Recorder,
    context: { readonly params: ParamValues<P>; readonly needs: NeedOutputs<N>; readonly rest: readonly string[] },
  ) => O;
}

/** A task is called with params to stand in another's `needs`. */
export interface Task<P extends Params = Params, O = unknown> {
  (...params: {} extends ParamInput<P> ? [ParamInput<P>?] : [ParamInput<P>]): Need<O>;
  readonly taskName: string;
  readonly spec: TaskSpec<P, Needs, O>;
  /** Where it was declared, `file:line`. */
  readonly source: string;
}

/** Any task, whatever its params; callers that know neither params nor outputs use this. */
export interface AnyTask {
  readonly taskName: string;
  readonly spec: AnySpec;
  readonly source: string;
}

type Of<T> = T | ((context: never) => T);

/** A task's declaration without its types: what the engine reads. */
export interface AnySpec extends Omit<TaskSpec<Params, Needs, unknown>, 'needs' | 'inputs' | 'outputs' | 'steps'> {
  readonly needs?: Of<Needs>;
  readonly inputs?: Of<readonly string[]>;
  readonly outputs?: Of<readonly string[]>;
  readonly steps?: (p: Recorder, context: never) => unknown;
}

const NO_PARAMS = Object.freeze({});

const NAME = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/;

/** Declares a task. */
export function task<const P extends Params = {}, const N extends Needs = {}, O = void>(
  name: string,
  spec: TaskSpec<P, N, O>,
): Task<P, O> {
  if (!NAME.test(name))
    throw new TypeError(`a task's name is lower case words with - and :, not ${JSON.stringify(name)}`);
  for (const field in spec) if (!(field in FIELDS)) refuseField(name, field);
  const declared = ((params?: object): Need<O> => ({
    task: declared,
    params: params ? { ...params } : NO_PARAMS,
  })) as unknown as Task<P, O>;
  return Object.setPrototypeOf(Object.assign(declared, { taskName: name, spec, trace: callSite() }), PROTOTYPE) as Task<
    P,
    O
  >;
}

/** `tasks.ts` runs without its types being checked: a field that nobody reads would leave the task without what it says. */
const FIELDS: { readonly [field in keyof Required<AnySpec>]: true } = {
  summary: true,
  params: true,
  needs: true,
  inputs: true,
  outputs: true,
  cache: true,
  env: true,
  resources: true,
  timeoutMs: true,
  retries: true,
  hidden: true,
  steps: true,
};

function refuseField(task: string, field: string): never {
  const meant = Object.keys(FIELDS).find((one) => one.toLowerCase().startsWith(field.toLowerCase()));
  const next = meant === undefined ? `it may have ${Object.keys(FIELDS).join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError(`a task has no field ${field}, which ${task} has`, next);
}

/** Of all tasks: a getter on each, and the properties of functions made otherwise, take five hundred bytes of each. */
const PROTOTYPE = Object.create(Function.prototype, {
  source: {
    get(this: { readonly trace: Trace }) {
      return sourceOf(this.trace.stack);
    },
  },
}) as object;

interface Trace {
  readonly stack?: string;
}

/** Where the caller was called, in few frames, and put into words only when somebody asks: ten thousand tasks ask nothing. */
function callSite(): Trace {
  const engine = Error as unknown as { stackTraceLimit?: number };
  const before = engine.stackTraceLimit;
  engine.stackTraceLimit = FRAMES;
  const trace = new Error() as Trace;
  if (before !== undefined) engine.stackTraceLimit = before;
  return trace;
}

/** Of `callSite`, of `task`, of who calls that. */
const FRAMES = 3;

function sourceOf(stack: string | undefined): string {
  const frame = stack?.split('\n')[FRAMES] ?? '';
  return /\(?((?:file:\/\/)?[^()\s]+:\d+):\d+\)?$/.exec(frame)?.[1]?.replace('file://', '') ?? 'unknown';
}
