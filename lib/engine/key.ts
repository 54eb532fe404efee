import type { FileEntry, Reason } from '../model/check.ts';
import { canonical, type Json } from '../model/json.ts';
import type { PlanNode } from '../model/plan.ts';
import type { Hash } from '../model/ports.ts';
import { refsIn } from '../model/ref.ts';
import type { ServiceHere } from '../model/service-here.ts';
import { HERE, itemsIn, type Block, type Step } from '../model/step.ts';
import type { Facts } from './facts.ts';

/** Digests by name. */
type Digests = { readonly [name: string]: string };

/** A task, with the services that are up while it runs: their inputs and commands decide its result, too. */
export interface Asked extends PlanNode {
  readonly services?: readonly PlanNode[];
}

/** What a task's key is the hash of, kept apart so that a later check can say which part differs. */
export interface KeyParts {
  readonly params: Digests;
  readonly variables: Digests;
  readonly tools: Digests;
  /** Values of needs, by the steps that yielded them. */
  readonly values: Digests;
  /** What needs made. */
  readonly made: Digests;
  /** All of its steps. */
  readonly body: string;
  readonly outputs: readonly string[];
  readonly inputs: string;
}

/** Digests of steps, and in a step of its fields: they say which of them differ, where bodies do. */
export type StepParts = { readonly [id: string]: Digests };

/** What of a key is asked of the world. */
export interface KeySources {
  variable(name: string): string | undefined;
  /** What identifies a command, looked for in the step's own PATH if it sets one; `null` when there is none. */
  tool(command: string, path?: string): string | null;
  /** The digest of what a need made. */
  made(need: string): string | null;
  readonly inputs: string;
}

/** Digits of a digest that only tells two values apart. */
const SHORT = 16;
/** Reasons beyond these are only counted. */
const MAX_REASONS = 50;

/** The parts of a node's key; where values of needs are not known yet, the steps that will yield them. */
export function keyParts(
  node: Asked,
  facts: Facts,
  sources: KeySources,
  hash: Hash,
): KeyParts | { readonly unknown: readonly string[] } {
  const body = node.body as unknown as Json;
  const short = shortened(hash);
  const values: { [id: string]: string } = {};
  const unknown: string[] = [];
  for (const id of refsIn(body)) {
    if (id.startsWith(`${node.id}/`)) continue;
    const fact = facts.fact(id);
    if (fact.known) values[id] = short(fact.value);
    else unknown.push(id);
  }
  if (unknown.length > 0) return { unknown };
  const tools = toolsOf(node);
  const present = (names: readonly string[], of: (name: string) => string | null | undefined): Digests =>
    Object.fromEntries(
      names.flatMap((name) => {
        const value = of(name);
        return value === null || value === undefined ? [] : [[name, short(value)]];
      }),
    );
  return {
    params: Object.fromEntries(Object.entries(node.params).map(([name, value]) => [name, short(value)])),
    variables: present(node.env, (name) => sources.variable(name)),
    tools: present([...tools.keys()], (name) => identify(tools.get(name) ?? [], (path) => sources.tool(name, path))),
    values,
    made: present(node.needs, (need) => sources.made(need)),
    body: hash(canonical(body)),
    outputs: [...(node.outputs ?? [])].sort(),
    inputs: sources.inputs,
  };
}

const shortened =
  (hash: Hash) =>
  (value: Json): string =>
    hash(canonical(value)).slice(0, SHORT);

/** Beside a key, which holds the body whole. */
export const stepParts = (node: PlanNode, hash: Hash): StepParts =>
  Object.fromEntries(stepsOf(node.body).map((step) => [step.id, fieldsOf(step, shortened(hash))]));

function stepsOf(body: Block): readonly Step[] {
  return [...itemsIn(body)].flatMap((item) => (item.type === 'step' ? [item] : []));
}

function fieldsOf({ args, ...rest }: Step, short: (value: Json) => string): Digests {
  const fields = { ...rest, ...args } as unknown as { readonly [field: string]: Json };
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, short(value)]));
}

/** Where a command is looked for: in the PATH that a step sets, or in everybody's. */
type SearchPath = string | undefined;

/** Commands that run here, by their first word (of a path from the project), and where steps look for them. */
function toolsOf({ body, services = [] }: Asked): ReadonlyMap<string, readonly SearchPath[]> {
  const commands = [body, ...services.map((service) => service.body)].flatMap(stepsOf).flatMap(commandsOf);
  const tools = new Map<string, SearchPath[]>();
  for (const { argv, cwd, env } of commands) {
    const [word] = argv;
    if (typeof word !== 'string') continue;
    const beside = word.includes('/') && !word.startsWith('/') && typeof cwd === 'string';
    const name = beside ? `${cwd}/${word.replace(/^\.\//, '')}` : word;
    const path = env?.['PATH'];
    const paths = tools.get(name) ?? [];
    tools.set(name, paths);
    const searched = typeof path === 'string' ? path : undefined;
    if (!paths.includes(searched)) paths.push(searched);
  }
  return tools;
}

/** `null` when there is none anywhere. */
function identify(paths: readonly SearchPath[], tool: (path: SearchPath) => string | null): string | null {
  const found = paths.map(tool);
  return found.every((one) => one === null) ? null : found.join('\n');
}

/** A command as far as it says what is started. */
interface Command {
  readonly argv: readonly Json[];
  readonly cwd?: Json;
  readonly env?: { readonly [name: string]: Json };
}

/** What a step starts here: of a service also what tells that it is ready. */
function commandsOf({ kind, place, args }: Step): readonly Command[] {
  if (place !== HERE) return [];
  if (kind === 'run') return [args];
  if (kind !== 'service' || args.operation !== 'start') return [];
  const spec = args.spec as unknown as Command & Pick<ServiceHere, 'ready'>;
  const { ready } = spec;
  return [spec, ...(typeof ready === 'object' && 'command' in ready ? [{ ...spec, argv: ready.command }] : [])];
}

/** Which parts differ, the likeliest to be meant first; of inputs which files, as far as lists are known. */
export function differences(
  before: { readonly parts: KeyParts; readonly steps: StepParts },
  now: { readonly parts: KeyParts; readonly steps: StepParts },
  inputs: { readonly before: readonly FileEntry[] | null; readonly now: readonly FileEntry[] },
): readonly Reason[] {
  const [was, is] = [before.parts, now.parts];
  const of = <K extends string>(
    reason: K,
    field: 'params' | 'variables' | 'tools' | 'values' | 'made',
  ): readonly { readonly reason: K; readonly change: 'added' | 'removed' | 'changed'; readonly name: string }[] =>
    compare(mapOf(was[field]), mapOf(is[field])).map(([name, change]) => ({ reason, change, name }));
  const steps = was.body === is.body ? [] : stepDifferences(before.steps, now.steps);
  const found: Reason[] = [
    ...(was.inputs === is.inputs ? [] : inputDifferences(inputs)),
    ...steps,
    ...(steps.length === 0 && was.body !== is.body ? [{ reason: 'structure' } as const] : []),
    ...of('param', 'params'),
    ...of('variable', 'variables'),
    ...of('tool', 'tools'),
    ...of('need-value', 'values').map(({ name, ...rest }) => ({ ...rest, step: name })),
    ...of('need-output', 'made').map(({ name, ...rest }) => ({ ...rest, need: name })),
    ...(was.outputs.join('\0') === is.outputs.join('\0') ? [] : [{ reason: 'output-globs' } as const]),
  ];
  return limited(found);
}

/** No more reasons than anybody reads. */
const limited = (reasons: readonly Reason[]): readonly Reason[] =>
  reasons.length <= MAX_REASONS
    ? reasons
    : [...reasons.slice(0, MAX_REASONS), { reason: 'more', count: reasons.length - MAX_REASONS }];

function stepDifferences(before: StepParts, now: StepParts): readonly Reason[] {
  const ids = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return ids.flatMap((step): readonly Reason[] => {
    const [was, is] = [before[step], now[step]];
    if (was === undefined || is === undefined)
      return [{ reason: 'step', change: is === undefined ? 'removed' : 'added', step, parts: [] }];
    const parts = compare(mapOf(was), mapOf(is)).map(([field]) => field);
    return parts.length === 0 ? [] : [{ reason: 'step', change: 'changed', step, parts }];
  });
}

function inputDifferences({
  before,
  now,
}: {
  readonly before: readonly FileEntry[] | null;
  readonly now: readonly FileEntry[];
}): readonly Reason[] {
  if (before === null) return [{ reason: 'not-known' }];
  return compareFiles(before, now).map(([path, change]) => ({ reason: 'input', change, path }));
}

/** What became of outputs since they were made. */
export function outputDifferences(made: readonly FileEntry[] | null, now: readonly FileEntry[]): readonly Reason[] {
  if (made === null) return [{ reason: 'not-known' }];
  const words = { added: 'extra', removed: 'missing', changed: 'modified' } as const;
  return limited(compareFiles(made, now).map(([path, change]) => ({ reason: 'output', change: words[change], path })));
}

/** Paths that differ between two lists of files. */
export const compareFiles = (before: readonly FileEntry[], now: readonly FileEntry[]): ReturnType<typeof compare> =>
  compare(digestsOf(before), digestsOf(now));

const digestsOf = (entries: readonly FileEntry[]): ReadonlyMap<string, string> =>
  new Map(entries.map(([path, ...rest]) => [path, rest.join(' ')]));

const mapOf = (digests: Digests): ReadonlyMap<string, string> => new Map(Object.entries(digests));

function compare(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly (readonly [string, 'added' | 'removed' | 'changed'])[] {
  const gone = [...before.keys()].filter((name) => !now.has(name));
  const rest = [...now].filter(([name, digest]) => digest !== before.get(name));
  return [
    ...rest.map(([name]) => [name, before.has(name) ? 'changed' : 'added'] as const),
    ...gone.map((name) => [name, 'removed'] as const),
  ];
}
