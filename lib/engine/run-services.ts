import type { RunEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { PlanNode } from '../model/plan.ts';
import type { Cancel, Clock } from '../model/ports.ts';
import { CancelSource } from './cancel.ts';
import type { Facts } from './facts.ts';
import { Holding, type Hold, type Up } from './holding.ts';
import type { ServicesOf } from './services.ts';

/** What the services of a run are brought up with. */
export interface RunServicesOptions {
  readonly cancel: Cancel;
  readonly clock: Clock;
  readonly emit: (event: RunEvent) => void;
  readonly facts: Facts;
  /** Walks a service; why it ended, null when that was well. */
  readonly walk: (node: PlanNode, hold: Hold) => Promise<Failure | null>;
  /** Hears of one that an earlier run began, and that did not come up. */
  readonly failed: (failure: Failure) => void;
  /** Keeps services up from run to run: whoever gives it ends them. */
  readonly holding?: Holding;
}

/** What a task that needs services goes on under. */
export interface Under {
  /** Comes when one of those ends, too. */
  readonly cancel: Cancel;
  /** Called when the task is over: what is up, and what cancels, may outlive it by many runs. */
  readonly release: () => void;
}

/** The services of one run: each is brought up by the first task that needs it, and ends with the last. */
export class RunServices {
  readonly #of: ServicesOf;
  readonly #options: RunServicesOptions;
  readonly #holding: Holding;
  /** Services that this run began, or found up. */
  readonly #met = new Map<string, Up>();
  /** What walks threw: nobody waits for a service all the time. */
  readonly #defects: unknown[] = [];
  /** Tasks that need a service and have not ended. */
  readonly #users = new Map<string, Set<string>>();
  #isOver = false;

  constructor(of: ServicesOf, options: RunServicesOptions) {
    this.#of = of;
    this.#options = options;
    this.#holding = options.holding ?? new Holding();
    for (const id of of.services.keys()) this.#users.set(id, new Set());
    if (of.services.size > 0)
      for (const node of of.nodes) for (const id of of.uses(node)) this.#users.get(id)?.add(node.id);
  }

  /** The service that this task is, begun unless it is up; undefined for any other task. */
  get(id: string): Up | undefined {
    const node = this.#of.services.get(id);
    if (!node) return undefined;
    const up = this.#met.get(id) ?? this.#found(node) ?? this.#begin(node);
    this.#met.set(id, up);
    return up;
  }

  /** One that an earlier run left up, or starting, for which nothing has changed. */
  #found(node: PlanNode): Up | undefined {
    const up = this.#holding.get(node.id);
    if (!up) return undefined;
    this.#options.emit({ type: 'task-started', task: node.id });
    const startedMs = this.#options.clock.nowMs();
    // What it yields is known once it is up, and who needs it goes on only then.
    return { ...up, ready: up.ready.then((isUp) => this.#came(up, isUp, startedMs)) };
  }

  async #came(up: Up, isUp: boolean, startedMs: number): Promise<boolean> {
    const { clock, emit, facts, failed } = this.#options;
    const failure = isUp ? null : await up.ended;
    // Its next users are those of a later run.
    if (this.#isOver) return isUp;
    const task = up.node.id;
    const about = { type: 'task-finished', task, durationMs: clock.nowMs() - startedMs } as const;
    if (failure) {
      failed(failure);
      emit({ ...about, outcome: failure.reason === 'cancelled' ? 'cancelled' : 'failed', failure });
      return false;
    }
    emit({ type: 'task-checked', task, check: { state: 'fresh', tookMs: 0 } });
    emit({ ...about, outcome: 'fresh' });
    up.tell(facts);
    return isUp;
  }

  #begin(node: PlanNode): Up {
    const { facts, cancel, walk } = this.#options;
    return this.#holding.begin(node, facts, cancel, (hold) =>
      walk(node, hold).catch((error: unknown) => {
        this.#defects.push(error);
        return { reason: 'broken', message: `${node.id} is broken` };
      }),
    );
  }

  /** Brings up what a task needs. Null: one of it did not come up. */
  async bringUpFor(node: PlanNode, hold?: Hold): Promise<Under | null> {
    const around = hold?.starting ?? this.#options.cancel;
    const ups = this.#of.uses(node).flatMap((id) => this.get(id) ?? []);
    if (ups.length === 0) return { cancel: around, release: () => undefined };
    if (!(await allReady(ups))) return null;
    const cancel = new CancelSource(around);
    const withdraws = ups.map(({ lost }) =>
      lost.onCancel((failure) => {
        cancel.cancel(failure);
        hold?.lost(failure);
        hold?.over.cancel(failure);
      }),
    );
    const release = (): void => {
      cancel.release();
      for (const withdraw of withdraws) withdraw();
    };
    return { cancel, release };
  }

  /** A task ended: so does a service that it was the last to need. */
  leave(node: PlanNode): void {
    for (const id of this.#of.uses(node)) {
      const users = this.#users.get(id);
      users?.delete(node.id);
      if (users?.size === 0 && !this.#of.goals.has(id) && !this.#options.holding)
        void this.#holding.end([id], this.#why());
    }
  }

  /** When a service that nobody needs any more has ended; `null` where it is kept for later runs. */
  gone(id: string): Promise<unknown> | null {
    if (this.#options.holding) return null;
    return this.#met.get(id)?.ended ?? Promise.resolve();
  }

  /** Keeps up what are goals until the run is cancelled or one of them ends, if all went well so far; then ends all. */
  async finish(isWell: () => boolean): Promise<void> {
    if (this.#met.size > 0 && !this.#options.holding) {
      if (isWell()) await this.#goalsEnd();
      await this.#holding.end(this.#holding.ids, this.#why());
    }
    this.#isOver = true;
    if (this.#defects.length > 0) throw this.#defects[0];
  }

  #goalsEnd(): Promise<void> {
    const goals = [...this.#of.goals].flatMap((id) => this.#holding.get(id) ?? []);
    return new Promise((resolve) => {
      const all = goals.map(async ({ ended }) => {
        if (await ended) resolve();
      });
      void Promise.all(all).then(() => resolve());
      this.#options.cancel.onCancel(() => resolve());
    });
  }

  #why(): Failure {
    return this.#options.cancel.cancelled ?? { reason: 'no-longer-needed' };
  }
}

function allReady(ups: readonly Up[]): Promise<boolean> {
  return new Promise((resolve) => {
    const all = ups.map(async ({ ready }) => {
      if (!(await ready)) resolve(false);
    });
    void Promise.all(all).then(() => resolve(true));
  });
}
