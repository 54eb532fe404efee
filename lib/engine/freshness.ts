import type { Check, FileEntry, Reason } from '../model/check.ts';
import { StepFailed, type Failure } from '../model/failure.ts';
import { canonical, type Json } from '../model/json.ts';
import type { PlanNode } from '../model/plan.ts';
import type { Hash } from '../model/ports.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn } from '../model/step.ts';
import type { Facts } from './facts.ts';
import {
  compareFiles,
  differences,
  keyParts,
  outputDifferences,
  stepParts,
  type Asked,
  type KeyParts,
  type StepParts,
} from './key.ts';
import { obstaclesOf, takesPart } from './takes-part.ts';

/** What steps yielded, by step. */
export type Values = { readonly [id: StepId]: Json };

/** Files that globs match, sorted; `digest` is that of all of it. */
export interface Listing {
  readonly entries: readonly FileEntry[];
  readonly digest: string;
}

/** What globs match now. */
export interface Found extends Listing {
  /** A link that is not followed, and behind which more would be. */
  readonly hidden?: string | undefined;
  /** Globs that match none of it. */
  readonly unmatched: readonly string[];
}

/** What is kept of a task that ran to its end: with it the task can be skipped. */
export interface State {
  readonly key: string;
  readonly parts: KeyParts;
  readonly steps: StepParts;
  /** The digest of its outputs. */
  readonly outputs: string;
  readonly facts: Values;
  readonly tookMs: number;
}

/** Instead: it was begun and did not come to its end; or an input was edited while it ran, so that nobody knows of what it was made. */
export type Unsettled = 'begun' | { readonly edited: string };

/** The files behind a state's digests: only read to say what differs. */
export interface Lists {
  readonly inputs: readonly FileEntry[];
  readonly outputs: readonly FileEntry[];
}

/** Outputs that are kept to be put back. */
export interface Kept {
  readonly outputs: Listing;
  readonly facts: Values;
  readonly tookMs: number;
}

/** What the engine asks about files and what is kept of tasks; `host` implements it. */
export interface FreshnessStore {
  /** Files that decide a result, by lists of globs, each with its own `!`: links are followed. */
  inputs(...lists: readonly (readonly string[])[]): Found;
  /** Files that a task made: links are kept as links. */
  outputs(globs: readonly string[]): Found;
  /** Whether lists of globs match a path. */
  matcher(...lists: readonly (readonly string[])[]): (path: string) => boolean;
  variable(name: string): string | undefined;
  /** What identifies the command of this name, looked for in this PATH if one is given; `null` when there is none. */
  tool(command: string, path?: string): string | null;
  read(node: string): State | Unsettled | null;
  lists(node: string, key: string): Lists | null;
  /** Atomic. */
  write(node: string, state: State | Unsettled, lists: Lists | null): void;
  /** Removes what putting outputs back left half written when it was cut off. */
  tidy(globs: readonly string[]): void;
  readonly kept: {
    /** Whether anything is kept of the task. */
    any(node: string): boolean;
    find(node: string, key: string): Kept | null;
    /** Removes what the globs match, and puts back what is kept; false when that is damaged: then it is not kept any more. */
    restore(node: string, key: string, globs: readonly string[]): boolean;
    add(node: string, key: string, kept: Kept): void;
  };
}

/** What a look at a task showed. */
export interface Looked {
  readonly check: Check;
  /** What it yielded when it is not run: of a task that is `fresh` or `kept`. */
  readonly facts: Values;
  /** Whether it might be skipped, should a need bring back what was there before. */
  readonly mayBeSkipped: boolean;
}

/** Skips tasks of which nothing changed that can change their result, and puts back what earlier runs made. */
export interface Freshness {
  /** Changes nothing; `null` when freshness is off. */
  look(node: Asked, facts: Facts): Looked | null;
  /** It was skipped: no more will be asked of what was seen of it, which may be a list of many files. */
  forget(node: PlanNode): void;
  /** Whether what `look` saw may have been changed by another run since. */
  outdated(node: PlanNode): boolean;
  /** Puts the kept outputs back; false when they are damaged. */
  restore(node: PlanNode): boolean;
  /** What is known goes before the task runs, so that a killed run never counts as success. */
  begin(node: PlanNode): void;
  /** After its last step: what it made is known and kept. `tookMs` in ms. */
  done(node: Asked, facts: Facts, tookMs: number): Failure | null;
}

/** Never skips anything, and keeps nothing. */
export const ALWAYS_RUN: Freshness = {
  look: () => null,
  forget: () => undefined,
  outdated: () => false,
  restore: () => false,
  begin: () => undefined,
  done: () => null,
};

/** What was seen of a task before it ran. */
interface Seen {
  readonly before: State | Unsettled | null;
  readonly key?: { readonly key: string; readonly parts: KeyParts; readonly inputs: Listing };
}

/**
 * Freshness by content. A task takes part when it declares inputs and outputs and all of its steps are `reads` or
 * `derives` `here`; its key is the hash of params, steps, needs' values and outputs, inputs, tools and declared variables.
 */
export function createFreshness(store: FreshnessStore, hash: Hash): Freshness {
  const nodes = new Map<string, PlanNode>();
  const seen = new Map<string, Seen>();
  /** Digests of what tasks made that are over. */
  const made = new Map<string, string>();

  /** What a task made, unless it is known. One that declares no outputs stands for what it needs: such chains may be long. */
  const digestOf = (id: string, known: Map<string, string>): string | null => {
    const asked = [id];
    for (let at = asked.at(-1); at !== undefined; at = asked.at(-1)) {
      const node = known.has(at) ? undefined : nodes.get(at);
      const own = node && node.body.items.length > 0 ? node.outputs : null;
      const needs = node && own === null ? node.needs : [];
      const first = needs.filter((need) => nodes.has(need) && !known.has(need));
      asked.push(...first);
      if (first.length > 0) continue;
      asked.pop();
      if (!node) continue;
      const digests = needs.map((need) => known.get(need) ?? null).sort();
      known.set(at, own ? store.outputs(own).digest : hash(canonical(digests)));
    }
    return known.get(id) ?? null;
  };
  const madeBy = (id: string): string | null => digestOf(id, made);
  /** An output of a need that is not what the key says any more: another run made it, a hand, or the task itself. */
  const overwritten = (node: PlanNode): string | undefined => {
    const now = new Map<string, string>();
    const changed = (id: string): boolean => {
      try {
        return made.has(id) && digestOf(id, now) !== made.get(id);
      } catch (error) {
        // It is gone while it is looked at.
        if (error instanceof StepFailed) return true;
        throw error;
      }
    };
    let found: string | undefined;
    for (let at: PlanNode | undefined = node; at !== undefined;) {
      const id: string | undefined = at.needs.find(changed);
      if (id === undefined) break;
      found = id;
      at = nodes.get(id);
      const [output] = (at && at.body.items.length > 0 && at.outputs) || [];
      if (output !== undefined) return output;
    }
    return found;
  };

  /** A command that the task itself makes says nothing about what it is made of. */
  const toolFor = (node: PlanNode): FreshnessStore['tool'] => {
    const own = store.matcher(node.outputs ?? []);
    return (command, path) => (own(command.replace(/^\.\//, '')) ? null : store.tool(command, path));
  };

  /** Why a task with this state is not fresh; empty when it is. */
  const against = (node: PlanNode, { before, key }: Required<Seen>): readonly Reason[] => {
    if (!isState(before)) return [unsettled(before)];
    const lists = (): Lists | null => store.lists(node.id, before.key);
    if (before.key !== key.key)
      return differences(
        before,
        { parts: key.parts, steps: stepParts(node, hash) },
        { before: lists()?.inputs ?? null, now: key.inputs.entries },
      );
    const outputs = store.outputs(node.outputs ?? []);
    return outputs.digest === before.outputs ? [] : outputDifferences(lists()?.outputs ?? null, outputs.entries);
  };

  const look = (node: Asked, facts: Facts): Looked => {
    nodes.set(node.id, node);
    const obstacles = obstaclesOf(node);
    if (obstacles.length > 0) return stale(obstacles, 'not-asked', false);
    const before = store.read(node.id);
    seen.set(node.id, { before });
    const mayBeSkipped = isState(before) || (node.cache !== false && store.kept.any(node.id));
    const inputs = store.inputs(...inputsOf(node));
    const { unmatched } = inputs;
    const variable = (name: string): string | undefined => store.variable(name);
    const parts = keyParts(node, facts, { variable, tool: toolFor(node), made: madeBy, inputs: inputs.digest }, hash);
    if ('unknown' in parts)
      return mayBeSkipped
        ? { check: { state: 'unknown', waits: needsOf(parts.unknown) }, facts: {}, mayBeSkipped }
        : stale([isState(before) ? { reason: 'not-known' } : unsettled(before)], 'missed', false);
    const key = hash(canonical(parts as unknown as Json));
    seen.set(node.id, { before, key: { key, parts, inputs } });
    const because = against(node, { before, key: { key, parts, inputs } });
    if (because.length === 0 && isState(before)) {
      made.set(node.id, before.outputs);
      const check = { state: 'fresh', tookMs: before.tookMs, ...(unmatched.length > 0 && { unmatched }) } as const;
      return { check, facts: before.facts, mayBeSkipped };
    }
    refuseOverlap(node, inputs.entries, store.matcher(node.outputs ?? []), store);
    const kept = node.cache === false ? null : store.kept.find(node.id, key);
    return kept
      ? { check: { state: 'kept', because, tookMs: kept.tookMs }, facts: kept.facts, mayBeSkipped }
      : stale(because, 'missed', mayBeSkipped);
  };

  const tidy = ({ id, outputs }: PlanNode): void => {
    if (seen.get(id)?.before === 'begun') store.tidy(outputs ?? []);
  };

  const remember = (node: PlanNode, kept: Kept): void => {
    const { key } = seen.get(node.id) ?? {};
    made.set(node.id, kept.outputs.digest);
    if (!key) return;
    const state = {
      key: key.key,
      parts: key.parts,
      steps: stepParts(node, hash),
      outputs: kept.outputs.digest,
      facts: kept.facts,
      tookMs: kept.tookMs,
    };
    store.write(node.id, state, { inputs: key.inputs.entries, outputs: kept.outputs.entries });
  };

  return {
    look,
    forget: (node) => void seen.delete(node.id),
    outdated(node) {
      const before = seen.get(node.id)?.before ?? null;
      return takesPart(node) && canonical(store.read(node.id) as Json) !== canonical(before as Json);
    },
    restore(node) {
      const { key = null } = seen.get(node.id) ?? {};
      const kept = key && store.kept.find(node.id, key.key);
      if (!key || !kept) return false;
      tidy(node);
      store.write(node.id, 'begun', null);
      if (!store.kept.restore(node.id, key.key, node.outputs ?? [])) return false;
      remember(node, kept);
      return true;
    },
    begin(node) {
      if (!takesPart(node)) return;
      tidy(node);
      store.write(node.id, 'begun', null);
    },
    done(node, facts, tookMs) {
      if (!takesPart(node)) return null;
      const outputs = store.outputs(node.outputs ?? []);
      if (outputs.hidden !== undefined) return hiddenOutputs(node, outputs.hidden);
      const [missing] = outputs.unmatched;
      if (missing !== undefined) return { reason: 'output-missing', task: node.id, path: missing };
      refuseOverlap(node, outputs.entries, store.matcher(...inputsOf(node)), store);
      const { key } = seen.get(node.id) ?? {};
      const [file] = key ? changedFiles(key.inputs, store.inputs(...inputsOf(node))) : [];
      const edited = file ?? (key && overwritten(node));
      if (edited !== undefined) {
        made.set(node.id, outputs.digest);
        store.write(node.id, { edited }, null);
        return null;
      }
      const kept = { outputs, facts: ownFacts(node, facts), tookMs };
      remember(node, kept);
      if (key && node.cache !== false) store.kept.add(node.id, key.key, kept);
      return null;
    },
  };
}

const isState = (state: State | Unsettled | null): state is State =>
  state !== null && state !== 'begun' && 'key' in state;

function unsettled(before: Unsettled | null): Reason {
  if (before === null) return { reason: 'never-ran' };
  return before === 'begun' ? { reason: 'failed-last-time' } : { reason: 'edited-meanwhile', path: before.edited };
}

const changedFiles = (before: Listing, now: Listing): readonly string[] =>
  before.digest === now.digest ? [] : compareFiles(before.entries, now.entries).map(([path]) => path);

const stale = (
  because: readonly Reason[],
  asked: Extract<Check, { state: 'stale' }>['store'],
  mayBeSkipped: boolean,
): Looked => ({ check: { state: 'stale', because, store: asked }, facts: {}, mayBeSkipped });

/** Its own inputs, and those of each of its services. */
const inputsOf = ({ inputs, services = [] }: Asked): readonly (readonly string[])[] =>
  [inputs, ...services.map((one) => one.inputs)].map((globs) => globs ?? []);

/** A task whose outputs are its inputs would never be fresh, and cleaning them would remove sources. */
function refuseOverlap(
  node: Asked,
  entries: readonly FileEntry[],
  matches: (path: string) => boolean,
  store: FreshnessStore,
): void {
  const path = entries.find((entry) => matches(entry[0]))?.[0];
  if (path === undefined) return;
  const has = ({ inputs }: PlanNode): boolean => store.matcher(inputs ?? [])(path);
  const service = has(node) ? undefined : node.services?.find(has);
  throw new StepFailed({ reason: 'output-is-input', task: node.id, path, ...(service && { service: service.id }) });
}

/** What lies behind a link may be outside of the project, and could be neither compared nor put back. */
const hiddenOutputs = (node: PlanNode, link: string): Failure => ({
  reason: 'refused',
  message: `outputs of ${node.id} lie behind the link ${link}, which is not followed: declare the place that it leads to`,
});

/** The tasks that steps stand in. */
const needsOf = (steps: readonly StepId[]): readonly string[] => [
  ...new Set(steps.map((id) => id.slice(0, Math.max(0, id.lastIndexOf('/'))))),
];

function ownFacts(node: PlanNode, facts: Facts): Values {
  const own: { [id: string]: Json } = {};
  for (const { id } of itemsIn(node.body)) {
    const fact = facts.fact(id);
    if (fact.known) own[id] = fact.value;
  }
  return own;
}
