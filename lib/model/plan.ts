import type { Json } from './json.ts';
import type { StepId } from './ref.ts';
import type { OpaqueBody } from './opaque.ts';
import type { Block, Retries } from './step.ts';
import type { Resources } from './task.ts';

/** One task with its params, as data. */
export interface PlanNode {
  /** `deploy`, or `build(for=jetson)` where params differ from their defaults. */
  readonly id: string;
  readonly task: string;
  readonly params: { readonly [name: string]: Json };
  /** Ids of the nodes that finish first. */
  readonly needs: readonly string[];
  readonly inputs: readonly string[] | null;
  readonly outputs: readonly string[] | null;
  /** Its outputs are not kept: they cannot be put back. */
  readonly cache?: false;
  readonly env: readonly string[];
  readonly resources: Resources;
  readonly timeoutMs: number | null;
  readonly retries: Retries | null;
  readonly body: Block;
}

/** The steps of the chosen tasks, in order, as plain JSON. */
export interface Plan {
  readonly version: 1;
  readonly goals: readonly string[];
  /** Every node after its needs. */
  readonly nodes: readonly PlanNode[];
  /** sha256 of the canonical JSON of goals, nodes and the drivers' own sources. */
  readonly digest: string;
}

/** A plan, and the functions of its opaque steps, which JSON cannot hold (their sources it does). */
export interface Planned {
  readonly plan: Plan;
  readonly opaque: ReadonlyMap<StepId, OpaqueBody>;
}
