import { known } from '../model/fact.ts';
import type { Failure } from '../model/failure.ts';
import type { RunEvent, RunOutcome, TaskOutcome } from '../model/event.ts';
import { isRefusal, statusOfRun } from '../model/exit-status.ts';
import type { Json } from '../model/json.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import type { Cancel, Clock, LivePerformer } from '../model/ports.ts';
import { refsIn } from '../model/ref.ts';
import { HERE, itemsIn, type Step } from '../model/step.ts';
import { CancelSource } from './cancel.ts';
import { Facts } from './facts.ts';
import { eventsOf, type Before } from './follow.ts';
import type { Freshness } from './freshness.ts';
import { schedule, type Capacity, type NodeState } from './schedule.ts';
import { Walker } from './walk.ts';

/** What a run is performed with. */
export interface RunOptions {
  readonly run: string;
  readonly performer: LivePerformer;
  readonly clock: Clock;
  readonly cancel: Cancel;
  readonly capacity: Capacity;
  readonly keepGoing: boolean;
  /** Decides the order of what may run in any: a need that nobody declared is found by it. */
  readonly random?: () => number;
  readonly freshness: Freshness;
  /** Runs tasks that are fresh, too. */
  readonly force: boolean;
  /** Gets every event before what it announces happens: reporter and journal. */
  readonly emit: (event: RunEvent) => void;
  /** The printed text of a step; secrets stand in it by name. */
  readonly line: (step: Step) => string;
}

/** What an earlier life of a run left in its journal; `recover` goes on from there and starts nothing new. */
export interface Past extends Before {
  /** Tasks that ended. */
  readonly finished: ReadonlyMap<string, TaskOutcome>;
  readonly started: ReadonlySet<string>;
  readonly facts: ReadonlyMap<string, Json>;
}

/** Performs a plan. Resolves to the exit status; everything else is in the events. */
export async function runPlan(plan: Plan, options: RunOptions, past?: Past): Promise<number> {
  const startedMs = options.clock.nowMs();
  const run = new PlanRun(options, past);
  const nodes = past
    ? plan.nodes.filter((node) => past.started.has(node.id) && !past.finished.has(node.id))
    : plan.nodes;
  // A resumed run gets to every task that was begun: each of them may have something to put back.
  const keepGoing = options.keepGoing || past !== undefined;
  await schedule(
    nodes,
    options.capacity,
    {
      keepGoing,
      stopped: () => !past && options.cancel.cancelled !== null,
      ...(options.random && { random: options.random }),
    },
    (node) => run.node(node),
  );
  const outcome = run.outcome();
  const status = statusOfRun(outcome, options.cancel.cancelled);
  options.emit({
    type: 'run-finished',
    run: options.run,
    outcome,
    status,
    durationMs: options.clock.nowMs() - startedMs,
  });
  return status;
}

class PlanRun {
  readonly #options: RunOptions;
  readonly #past: Past | undefined;
  readonly #facts = new Facts();
  readonly #failures: Failure[] = [];
  /** Tasks that ended fresh. */
  readonly #fresh = new Set<string>();
  #stranded = false;

  constructor(options: RunOptions, past: Past | undefined) {
    this.#options = options;
    this.#past = past;
    for (const [id, value] of past?.facts ?? []) this.#facts.set(id, known(value));
  }

  outcome(): RunOutcome {
    if (this.#stranded) return 'not-put-back';
    if (this.#options.cancel.cancelled?.reason === 'cancelled') return 'cancelled';
    const first = this.#failures[0];
    return first === undefined ? 'done' : isRefusal(first) ? 'refused' : 'failed';
  }

  async node(node: PlanNode): Promise<NodeState> {
    const { emit, clock } = this.#options;
    const startedMs = clock.nowMs();
    const finish = (outcome: TaskOutcome, failure?: Failure): NodeState => {
      if (outcome === 'fresh') this.#fresh.add(node.id);
      emit({
        type: 'task-finished',
        task: node.id,
        outcome,
        durationMs: clock.nowMs() - startedMs,
        ...(failure ? { failure } : {}),
      });
      return outcome === 'failed' ? 'failed' : outcome === 'cancelled' ? 'cancelled' : 'done';
    };
    if (!this.#past) emit({ type: 'task-started', task: node.id });
    const check = await this.#options.freshness.check(node, this.#facts);
    if (check.state === 'fresh' && !this.#options.force) {
      for (const [id, value] of Object.entries(check.facts)) this.#facts.set(id, known(value));
      emit({ type: 'task-facts', task: node.id, facts: check.facts });
      return finish('fresh');
    }
    await this.#options.freshness.begin(node, this.#facts);
    const { failure, changed } = await this.#attempts(node);
    if (failure) {
      // Recovering, a task that was put back is what was wanted; only one that should have been finished has failed.
      if (!this.#past || this.#past.settled.has(node.id)) this.#failures.push(failure);
      return finish(failure.reason === 'cancelled' || failure.reason === 'cut-off' ? 'cancelled' : 'failed', failure);
    }
    const missing = await this.#options.freshness.done(node, this.#facts);
    if (missing) {
      this.#failures.push(missing);
      return finish('failed', missing);
    }
    this.#keepBlocks(node);
    return finish(this.#didNothing(node, changed) ? 'fresh' : 'done');
  }

  /** On a device nothing needed a change; or it has no steps, and all that it stands for was fresh. */
  #didNothing(node: PlanNode, changed: boolean): boolean {
    if (node.body.items.length > 0) return !changed && touchesDevice(node);
    return node.needs.length > 0 && node.needs.every((id) => this.#fresh.has(id));
  }

  /** What blocks yielded stands in no step's line: without it a resumed run would not know what this task returned. */
  #keepBlocks({ id: task, body }: PlanNode): void {
    const returned = new Set(refsIn(body.result));
    if (returned.size === 0) return;
    const facts: { [id: string]: Json } = {};
    for (const { type, id } of body.items) {
      const fact = this.#facts.fact(id);
      if (type !== 'step' && returned.has(id) && fact.known) facts[id] = fact.value;
    }
    if (Object.keys(facts).length > 0) this.#options.emit({ type: 'task-facts', task, facts });
  }

  /** A task that failed and was put back whole may be tried again; what was settled or stranded is not. */
  async #attempts(node: PlanNode): Promise<{ readonly failure: Failure | null; readonly changed: boolean }> {
    const { times, backoffMs } = node.retries ?? { times: 0, backoffMs: 0 };
    for (let attempt = 1; ; attempt++) {
      const walker = new Walker({
        run: this.#options.run,
        performer: this.#options.performer,
        clock: this.#options.clock,
        env: node.env,
        follower: eventsOf(this.#options, node.id, this.#past ?? null),
      });
      const walked = await this.#within(node, (cancel) => walker.task(node.body, this.#facts, cancel));
      this.#stranded ||= walker.stranded;
      if (walked.ok) return { failure: null, changed: walker.changed };
      const { failure } = walked;
      const final =
        attempt > times ||
        this.#past !== undefined ||
        walker.stranded ||
        walker.settled ||
        this.#options.cancel.cancelled !== null ||
        isRefusal(failure);
      if (final) return { failure, changed: walker.changed };
      await this.#options.clock.sleep(backoffMs * 2 ** (attempt - 1), this.#options.cancel);
      this.#options.emit({ type: 'task-retried', task: node.id });
    }
  }

  /** Ends the walk with `timed-out` when the task has a limit and reaches it. */
  async #within<T>(node: PlanNode, walk: (cancel: Cancel) => Promise<T>): Promise<T> {
    if (node.timeoutMs === null) return walk(this.#options.cancel);
    const { timeoutMs } = node;
    const cancel = new CancelSource(this.#options.cancel);
    const over = new CancelSource(this.#options.cancel);
    void this.#options.clock.sleep(timeoutMs, over).then(() => {
      if (!over.cancelled) cancel.cancel({ reason: 'timed-out', what: node.id, timeoutMs });
    });
    try {
      return await walk(cancel);
    } finally {
      over.cancel({ reason: 'broken', message: 'the task is over' });
      over.release();
      cancel.release();
    }
  }
}

function touchesDevice(node: PlanNode): boolean {
  for (const item of itemsIn(node.body)) if (item.type === 'step' && item.place !== HERE) return true;
  return false;
}
