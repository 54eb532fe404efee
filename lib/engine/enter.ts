import type { Check, Reason } from '../model/check.ts';
import type { RunEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { PlanNode } from '../model/plan.ts';
import type { Cancel, Turns } from '../model/ports.ts';
import type { Facts } from './facts.ts';
import type { Freshness, Looked, Values } from './freshness.ts';

/** What entering a task needs around it. */
export interface Entering {
  readonly freshness: Freshness;
  readonly turns?: Turns;
  readonly force: boolean;
  readonly cancel: Cancel;
  readonly emit: (event: RunEvent) => void;
}

/** What a task came to before its first step; one that runs holds its outputs until `leave`. */
export type Entered =
  | { readonly state: 'fresh' | 'restored'; readonly facts: Values }
  | { readonly state: 'runs'; leave(): void }
  | { readonly state: 'cancelled'; readonly failure: Failure };

/** Skips a task, puts its outputs back, or takes its turn on them: held from before the check that counts until it is over. */
export async function enterTask(node: PlanNode, facts: Facts, around: Entering): Promise<Entered> {
  const { freshness, force } = around;
  const first = freshness.look(node, facts);
  if (!force && first?.check.state === 'fresh') return skip(node, first, around);
  const turn = await takeTurn(node, around);
  if (turn === null) return { state: 'cancelled', failure: around.cancel.cancelled as Failure };
  const { leave, waited } = turn;
  let entered = false;
  try {
    // During a wait anything may have been altered, inputs as well.
    const again = first !== null && (waited || freshness.outdated(node));
    const looked = again ? freshness.look(node, facts) : first;
    const skipped = force || looked === null ? null : settle(node, looked, around);
    if (skipped) return skipped;
    if (looked && force) tell(node, { state: 'stale', because: [{ reason: 'forced' }], store: 'not-asked' }, around);
    freshness.begin(node);
    entered = true;
    return { state: 'runs', leave };
  } finally {
    if (!entered) leave();
  }
}

/** Skips or restores it; `null` when it has to run. */
function settle(node: PlanNode, looked: Looked, around: Entering): Entered | null {
  const { check } = looked;
  if (check.state === 'fresh') return skip(node, looked, around);
  if (check.state !== 'kept') {
    tell(node, check, around);
    return null;
  }
  const { because, tookMs } = check;
  if (around.freshness.restore(node))
    return skip(node, { ...looked, check: { state: 'restored', because, tookMs } }, around);
  tell(node, { state: 'stale', because, store: 'damaged' }, around);
  return null;
}

function skip(node: PlanNode, { check, facts }: Looked, around: Entering): Entered {
  tell(node, check, around);
  around.freshness.forget(node);
  around.emit({ type: 'task-facts', task: node.id, facts });
  return { state: check.state === 'restored' ? 'restored' : 'fresh', facts };
}

function tell({ id: task }: PlanNode, check: Check, { emit }: Entering): void {
  emit({ type: 'task-checked', task, check });
}

/** One turn for all outputs of one task, and no task waits while it has one: two runs never wait for each other. */
async function takeTurn(
  node: PlanNode,
  { turns, cancel, emit }: Entering,
): Promise<{ readonly leave: () => void; readonly waited: boolean } | null> {
  if (!turns || node.outputs === null || node.outputs.length === 0) return { leave: () => undefined, waited: false };
  let waited = false;
  const leave = await turns.take(node.id, node.outputs, cancel, (holder) => {
    waited = true;
    if (holder !== '') emit({ type: 'task-waits', task: node.id, holder });
  });
  return leave && { leave, waited };
}

/** For a dry run: what a look means when these needs may alter what the task reads, or freshness is to be ignored. */
export function foreseen(looked: Looked | null, doubtful: readonly string[], force: boolean): Check {
  const because: readonly Reason[] = force ? [{ reason: 'forced' }] : [];
  if (looked === null || force) return { state: 'stale', because, store: 'not-asked' };
  return doubtful.length > 0 && looked.mayBeSkipped ? { state: 'unknown', waits: doubtful } : looked.check;
}
