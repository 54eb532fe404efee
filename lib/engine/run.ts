import { known } from '../model/fact.ts';
import type { RunEvent, RunOutcome, TaskOutcome } from '../model/event.ts';
import { isRefusal, statusOfRun } from '../model/exit-status.ts';
import type { Json } from '../model/json.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import { StepFailed, type Failure } from '../model/failure.ts';
import type { Cancel, Clock, LivePerformer, Turns } from '../model/ports.ts';
import { refsIn } from '../model/ref.ts';
import { HERE, itemsIn, type Step } from '../model/step.ts';
import { attempt } from './attempt.ts';
import { CancelSource } from './cancel.ts';
import { enterTask, type Entered } from './enter.ts';
import { Facts } from './facts.ts';
import { eventsOf, type Before } from './follow.ts';
import type { Freshness } from './freshness.ts';
import type { Hold, Holding } from './holding.ts';
import { RunServices } from './run-services.ts';
import { schedule, type Capacity, type NodeState } from './schedule.ts';
import {
  brings,
  countServices,
  NO_SERVICES,
  scheduled,
  serviceCheck,
  servicesOf,
  type ServicesOf,
} from './services.ts';
import { StandIns } from './stand-ins.ts';
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
  /** Absent: no other run makes the same outputs. */
  readonly turns?: Turns;
  /** Runs tasks that are fresh, too. */
  readonly force: boolean;
  /** Gets every event before what it announces happens: reporter and journal. */
  readonly emit: (event: RunEvent) => void;
  /** The printed text of a step; secrets stand in it by name. */
  readonly line: (step: Step) => string;
  /** Keeps services up from run to run: whoever gives it ends them. */
  readonly holding?: Holding;
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
  const services = servicesOf(plan);
  const run = new PlanRun(services, options, past);
  const nodes = past
    ? plan.nodes.filter((node) => past.started.has(node.id) && !past.finished.has(node.id))
    : scheduled(services);
  // A resumed run gets to every task that was begun: each of them may have something to put back.
  const keepGoing = options.keepGoing || past !== undefined;
  await schedule(
    nodes,
    options.capacity,
    {
      keepGoing,
      stopped: () => !past && options.cancel.cancelled !== null,
      ...(options.random && { random: options.random }),
      ...(!past && { brings: brings(services), gone: ({ id }) => run.services.gone(id) }),
    },
    (node) => run.begin(node),
  );
  await run.services.finish(() => run.outcome() === 'done');
  run.standIns.end();
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

/** How a task ended. */
interface Finished {
  readonly state: NodeState;
  readonly failure: Failure | null;
}

class PlanRun {
  readonly #options: RunOptions;
  readonly #past: Past | undefined;
  readonly #freshness: Freshness;
  readonly #servicesOf: ServicesOf;
  readonly services: RunServices;
  readonly standIns: StandIns;
  readonly #facts = new Facts();
  readonly #failures: Failure[] = [];
  /** Tasks that ended fresh. */
  readonly #fresh = new Set<string>();
  #stranded = false;

  constructor(services: ServicesOf, options: RunOptions, past: Past | undefined) {
    this.#options = options;
    this.#past = past;
    this.#freshness = countServices(options.freshness, services);
    this.#servicesOf = services;
    const walk = async (node: PlanNode, hold: Hold): Promise<Failure | null> => (await this.#node(node, hold)).failure;
    // A resumed run only puts back, task by task, and brings nothing up.
    const failed = (failure: Failure): void => void this.#failures.push(failure);
    this.services = new RunServices(past ? NO_SERVICES : services, { ...options, facts: this.#facts, walk, failed });
    this.standIns = new StandIns(
      past ? NO_SERVICES.standIns : services.standIns,
      options.emit,
      options.holding !== undefined,
    );
    for (const [id, value] of past?.facts ?? []) this.#facts.set(id, known(value));
  }

  outcome(): RunOutcome {
    if (this.#stranded) return 'not-put-back';
    if (this.#options.cancel.cancelled?.reason === 'cancelled') return 'cancelled';
    const first = this.#failures[0];
    return first === undefined ? 'done' : isRefusal(first) ? 'refused' : 'failed';
  }

  /** A task to its end; a service until it is up. */
  async begin(node: PlanNode): Promise<NodeState> {
    const service = this.services.get(node.id);
    if (service) {
      if (!(await service.ready)) return 'failed';
      this.standIns.isUp(node.id);
      return 'up';
    }
    return (await this.#node(node)).state;
  }

  async #node(node: PlanNode, hold?: Hold): Promise<Finished> {
    const { emit, clock } = this.#options;
    const startedMs = clock.nowMs();
    const tell = (outcome: TaskOutcome, failure?: Failure): void =>
      emit({
        type: 'task-finished',
        task: node.id,
        outcome,
        durationMs: clock.nowMs() - startedMs,
        ...(failure ? { failure } : {}),
      });
    const finish = (outcome: TaskOutcome, failure?: Failure): Finished => {
      this.services.leave(node);
      if (outcome === 'fresh') this.#fresh.add(node.id);
      if (hold) this.standIns.ended(node.id, outcome);
      if (!failure && this.standIns.has(node.id)) this.standIns.begin(node.id, tell);
      else tell(outcome, failure);
      const state = outcome === 'failed' || outcome === 'cancelled' ? outcome : 'done';
      return { state, failure: failure ?? null };
    };
    if (!this.#past) emit({ type: 'task-started', task: node.id });
    try {
      // Nothing was begun: a look that throws fails this task, and leaves the others to their ends.
      const entered = await attempt(() => this.#enter(node, hold));
      if ('ok' in entered) throw new StepFailed(entered.failure);
      if (entered.state === 'cancelled') return finish('cancelled', entered.failure);
      if (entered.state !== 'runs') {
        for (const [id, value] of Object.entries(entered.facts)) this.#facts.set(id, known(value));
        return finish(entered.state);
      }
      try {
        return await this.#perform(node, finish, hold);
      } finally {
        entered.leave();
      }
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      this.#failures.push(error.failure);
      return finish('failed', error.failure);
    }
  }

  /** A service takes no turn on its outputs: it would have it for as long as it is up, and who needs it may have it. */
  async #enter(node: PlanNode, hold: Hold | undefined): Promise<Entered> {
    if (!hold) return enterTask(node, this.#facts, { ...this.#options, freshness: this.#freshness });
    this.#options.emit({ type: 'task-checked', task: node.id, check: serviceCheck(node.id, this.#servicesOf) });
    return { state: 'runs', leave: () => undefined };
  }

  async #perform(
    node: PlanNode,
    finish: (outcome: TaskOutcome, failure?: Failure) => Finished,
    hold: Hold | undefined,
  ): Promise<Finished> {
    const under = await this.services.bringUpFor(node, hold);
    if (!under) return finish('cancelled');
    // Neither a turn that was waited for nor a service is spared when its outputs are put back.
    const begunMs = this.#options.clock.nowMs();
    const { failure, changed } = await this.#attempts(node, under.cancel, hold).finally(under.release);
    if (failure) {
      // Recovering, a task that was put back is what was wanted; only one that should have been finished has failed.
      if (!this.#past || this.#past.settled.has(node.id)) this.#failures.push(failure);
      return finish(failure.reason === 'cancelled' || failure.reason === 'cut-off' ? 'cancelled' : 'failed', failure);
    }
    const tookMs = Math.round(this.#options.clock.nowMs() - begunMs);
    const missing = this.#freshness.done(node, this.#facts, tookMs);
    if (missing) {
      this.#failures.push(missing);
      return finish('failed', missing);
    }
    if (!hold) this.#keepBlocks(node);
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
  async #attempts(
    node: PlanNode,
    cancel: Cancel,
    hold: Hold | undefined,
  ): Promise<{ readonly failure: Failure | null; readonly changed: boolean }> {
    const { times, backoffMs } = node.retries ?? { times: 0, backoffMs: 0 };
    let isUp = false;
    const stopped = (): Failure | null => cancel.cancelled;
    const reached = (): void => {
      isUp = true;
      this.#keepBlocks(node);
      this.#options.emit({ type: 'task-up', task: node.id });
      this.standIns.began(node.id);
      hold?.reached();
    };
    for (let attempt = 1; ; attempt++) {
      const walker = new Walker({
        run: this.#options.run,
        performer: this.#options.performer,
        clock: this.#options.clock,
        env: node.env,
        follower: eventsOf(this.#options, node.id, this.#past ?? null),
        ...(hold ? { hold: { ...hold, reached } } : {}),
      });
      const walked = await this.#within(node, cancel, (limited) => walker.task(node.body, this.#facts, limited));
      this.#stranded ||= walker.stranded;
      if (walked.ok) return { failure: null, changed: walker.changed };
      const { failure } = walked;
      if (failure.reason === 'no-longer-needed' && !walker.stranded) return { failure: null, changed: walker.changed };
      const final =
        attempt > times ||
        this.#past !== undefined ||
        walker.stranded ||
        walker.settled ||
        stopped() !== null ||
        isUp ||
        isRefusal(failure);
      if (final) return { failure, changed: walker.changed };
      await this.#options.clock.sleep(backoffMs * 2 ** (attempt - 1), cancel);
      const why = stopped();
      if (why) return { failure: why, changed: walker.changed };
      this.#options.emit({ type: 'task-retried', task: node.id });
    }
  }

  /** Ends the walk with `timed-out` when the task has a limit and reaches it. */
  async #within<T>(node: PlanNode, around: Cancel, walk: (cancel: Cancel) => Promise<T>): Promise<T> {
    if (node.timeoutMs === null) return walk(around);
    const { timeoutMs } = node;
    const cancel = new CancelSource(around);
    const over = new CancelSource(around);
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
