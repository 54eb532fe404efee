import type { Failure } from '../model/failure.ts';
import { canonical, type Json } from '../model/json.ts';
import type { PlanNode } from '../model/plan.ts';
import type { Hash } from '../model/ports.ts';
import { refsIn } from '../model/ref.ts';
import { HERE, itemsIn } from '../model/step.ts';
import type { Facts } from './facts.ts';

/** Whether a task has to run: `unknown` means that it may turn out to be fresh once its needs ran. */
export type Check =
  | { readonly state: 'fresh'; readonly facts: { readonly [id: string]: Json } }
  | { readonly state: 'stale'; readonly reason: string }
  | { readonly state: 'unknown' };

/** What the engine asks about files; `host` implements it. */
export interface FreshnessStore {
  /** Files that match, with what counts of each: sorted `[path, kind, executable, sha256 or target]`. */
  fingerprint(globs: readonly string[]): Json;
  variable(name: string): string | undefined;
  read(node: string): Json | null;
  /** Durable and atomic; `null` deletes. */
  write(node: string, state: Json | null): void;
}

/** Skips tasks of which nothing changed that can change their result. */
export interface Freshness {
  check(node: PlanNode, facts: Facts): Promise<Check>;
  /** The stored state goes before the task runs, so that a killed run never counts as success. */
  begin(node: PlanNode, facts: Facts): Promise<void>;
  done(node: PlanNode, facts: Facts): Promise<Failure | null>;
}

/** Never skips anything. */
export const ALWAYS_RUN: Freshness = {
  check: () => Promise.resolve({ state: 'stale', reason: 'freshness is off' }),
  begin: () => Promise.resolve(),
  done: () => Promise.resolve(null),
};

interface State {
  readonly key: string;
  readonly outputs: Json;
  readonly facts: { readonly [id: string]: Json };
}

/**
 * Freshness by content. A task takes part when it declares inputs and outputs and all of its steps are `reads` or
 * `derives` `here`; its key is the hash of params, steps, needs' values, inputs and declared variables.
 */
export function createFreshness(store: FreshnessStore, hash: Hash): Freshness {
  /** Keys from before the run: what is edited while a task runs makes it stale next time. */
  const begun = new Map<string, string | null>();
  const keyOf = (node: PlanNode, facts: Facts): string | null => {
    const from: { [id: string]: Json } = {};
    for (const id of refsIn(node.body as unknown as Json)) {
      if (id.startsWith(`${node.id}/`)) continue;
      const fact = facts.fact(id);
      if (!fact.known) return null;
      from[id] = fact.value;
    }
    const env = node.env.map((name) => [name, store.variable(name) ?? null]);
    return hash(
      canonical({
        params: node.params,
        body: node.body as unknown as Json,
        from,
        env,
        inputs: store.fingerprint(node.inputs ?? []),
      }),
    );
  };
  return {
    check(node, facts) {
      if (!takesPart(node))
        return Promise.resolve({
          state: 'stale',
          reason: 'it declares no inputs and outputs, or does more than derive files here',
        });
      const state = store.read(node.id) as State | null;
      if (state === null) return Promise.resolve({ state: 'stale', reason: 'it never ran to its end' });
      const key = keyOf(node, facts);
      if (key === null) return Promise.resolve({ state: 'unknown' });
      if (key !== state.key)
        return Promise.resolve({ state: 'stale', reason: 'its inputs, steps, params, variables or needs changed' });
      if (canonical(store.fingerprint(node.outputs ?? [])) !== canonical(state.outputs))
        return Promise.resolve({ state: 'stale', reason: 'its outputs were altered' });
      return Promise.resolve({ state: 'fresh', facts: state.facts });
    },
    begin(node, facts) {
      if (takesPart(node)) {
        begun.set(node.id, keyOf(node, facts));
        store.write(node.id, null);
      }
      return Promise.resolve();
    },
    done(node, facts) {
      if (!takesPart(node)) return Promise.resolve(null);
      const outputs = store.fingerprint(node.outputs ?? []);
      const missing = (node.outputs ?? []).find((glob) => (store.fingerprint([glob]) as readonly Json[]).length === 0);
      if (missing !== undefined) return Promise.resolve({ reason: 'output-missing', task: node.id, path: missing });
      const key = begun.get(node.id) ?? null;
      if (key !== null) store.write(node.id, { key, outputs, facts: ownFacts(node, facts) });
      return Promise.resolve(null);
    },
  };
}

function takesPart(node: PlanNode): boolean {
  if (node.inputs === null || node.outputs === null) return false;
  for (const item of itemsIn(node.body)) {
    if (item.type === 'hold' || item.type === 'change') return false;
    if (item.type === 'step' && (item.place !== HERE || (item.effect !== 'reads' && item.effect !== 'derives')))
      return false;
  }
  return true;
}

function ownFacts(node: PlanNode, facts: Facts): { readonly [id: string]: Json } {
  const own: { [id: string]: Json } = {};
  for (const { id } of itemsIn(node.body)) {
    const fact = facts.fact(id);
    if (fact.known) own[id] = fact.value;
  }
  return own;
}
