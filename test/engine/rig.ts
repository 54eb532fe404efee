import { CancelSource } from '../../lib/engine/cancel.ts';
import { ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { isDurable, isJournaled } from '../../lib/engine/journal.ts';
import { sha256 as hash } from '../../lib/host/hash.ts';
import { runPlan, type Past, type RunOptions } from '../../lib/engine/run.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Known } from '../../lib/model/fact.ts';
import type { Failure } from '../../lib/model/failure.ts';
import { textOf, type Json } from '../../lib/model/json.ts';
import type { Params } from '../../lib/model/param.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Cancel, Clock, LivePerformer, Performed, Performing } from '../../lib/model/ports.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import type { Operation } from '../../lib/model/site.ts';
import { s, type Schema } from '../../lib/model/schema.ts';
import type { Effect, Step } from '../../lib/model/step.ts';
import { task, type Needs, type TaskSpec } from '../../lib/model/task.ts';

export { hash };

export const boom: Failure = { reason: 'exit-non-zero', command: 'boom', exitCode: 1, tail: [] };
export const interrupted: Failure = { reason: 'cancelled', signal: 'SIGINT' };

/** A clock that the test turns. With `hurries`, a sleep turns it itself and is over at once. */
export class HandClock implements Clock {
  readonly #hurries: boolean;
  #nowMs = 0;
  #sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];

  constructor(hurries = false) {
    this.#hurries = hurries;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  get sleepers(): number {
    return this.#sleepers.length;
  }

  sleep(durationMs: number, cancel: Cancel): Promise<void> {
    if (this.#hurries) {
      this.#nowMs += durationMs;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const sleeper = { untilMs: this.#nowMs + durationMs, wake: () => resolve() };
      this.#sleepers.push(sleeper);
      cancel.onCancel(() => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        resolve();
      });
    });
  }

  /** Turns the clock on and lets everybody act who wakes up. */
  async turn(durationMs: number): Promise<void> {
    this.#nowMs += durationMs;
    const awake = this.#sleepers.filter((one) => one.untilMs <= this.#nowMs);
    this.#sleepers = this.#sleepers.filter((one) => one.untilMs > this.#nowMs);
    for (const one of awake) one.wake();
    await settled();
  }
}

/** Lets everything happen that is only waiting for its turn. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A named operation without a fixed meaning. */
export const operation = <S extends Schema, const E extends Effect>(
  name: string,
  effect: E,
  yields: S,
): Operation<S, E> => ({ name, effect, yields });

export const ask = operation('ask', 'reads', s.json);
export const yes = operation('yes', 'reads', s.boolean);
export const names = operation('names', 'reads', s.list(s.string));
export const maybe = operation('maybe', 'reads', s.nullable(s.string));
export const act = operation('act', 'changes', s.null);
export const make = operation('make', 'derives', s.json);

/** The last argument of a `probe` or `call`: how these tests name a step. */
export const nameOf = (step: Step): string => {
  const named =
    step.kind === 'probe' || step.kind === 'call' ? (step.args.args as { readonly name?: Json }).name : undefined;
  return named === undefined ? step.id : textOf(named);
};

/** A change that is only a name: does `name`, and is undone by `not name`. */
export const change = (p: Recorder, name: string, undone: 'always' | 'unless-done' = 'always'): void =>
  void p.change({
    touches: [],
    undone,
    do: (p) => p.call(act, { name }),
    undo: (p) => p.call(act, { name: `not ${name}` }),
  });

type Answer =
  Json | { readonly fails: Failure } | ((performing: Performing) => Performed<Known> | Promise<Performed<Known>>);

/** Answers by a script and writes down what it did, in order. */
export class Scripted implements LivePerformer {
  readonly explores = false;
  readonly did: string[] = [];
  readonly steps: { readonly step: Step; readonly performing: Performing }[] = [];
  readonly #answers: { readonly [name: string]: Answer };
  /** What `enter` fails with, by the scope's name. */
  readonly locked = new Map<string, Failure>();
  readonly secret: (name: string) => string | undefined;
  readonly #ended: Promise<Failure>;
  endService: (failure: Failure) => void = () => undefined;

  constructor(
    answers: { readonly [name: string]: Answer } = {},
    secret: (name: string) => string | undefined = () => undefined,
  ) {
    this.#answers = answers;
    this.secret = secret;
    this.#ended = new Promise((resolve) => (this.endService = resolve));
  }

  perform(step: Step, performing: Performing): Promise<Performed<Known>> {
    const name = nameOf(step);
    this.did.push(name);
    this.steps.push({ step, performing });
    const answer = this.#answers[name] ?? null;
    if (typeof answer === 'function') return Promise.resolve(answer(performing));
    if (answer !== null && typeof answer === 'object' && 'fails' in answer)
      return Promise.resolve({ ok: false, failure: answer.fails as unknown as Failure });
    return Promise.resolve({ ok: true, fact: { known: true, value: answer } });
  }

  enter: LivePerformer['enter'] = (scope) => {
    const failure = this.locked.get(scope.name);
    if (failure) return Promise.resolve({ ok: false, failure });
    this.did.push(`enter ${scope.name}`);
    return Promise.resolve({
      ok: true,
      entered: { value: `/${scope.name}`, leave: () => Promise.resolve(void this.did.push(`leave ${scope.name}`)) },
    });
  };

  serviceEnded: LivePerformer['serviceEnded'] = (_, { cancel }) =>
    Promise.race([this.#ended, new Promise<Failure>((resolve) => cancel.onCancel(resolve))]);
}

/** Steps that the test finishes by hand, in the order that it likes. */
export class ByHand extends Scripted {
  readonly open = new Map<string, (performed: Performed<Known>) => void>();

  override perform(step: Step, performing: Performing): Promise<Performed<Known>> {
    void super.perform(step, performing);
    return new Promise((resolve) => this.open.set(nameOf(step), resolve));
  }

  async finish(name: string, value: Json = null): Promise<void> {
    await this.#end(name, { ok: true, fact: { known: true, value } });
  }

  async fail(name: string, failure: Failure = boom): Promise<void> {
    await this.#end(name, { ok: false, failure });
  }

  async #end(name: string, performed: Performed<Known>): Promise<void> {
    const resolve = this.open.get(name);
    if (!resolve) throw new Error(`${name} is not under way; these are: ${[...this.open.keys()].join(', ')}`);
    this.open.delete(name);
    resolve(performed);
    await settled();
  }
}

/** The process died: thrown by `emit`, and nothing is performed any more. */
export class Killed extends Error {}

export interface Ran {
  readonly status: number | 'killed';
  readonly events: readonly RunEvent[];
  /** What a crash leaves in the journal: without the lines that were not durable yet. */
  readonly journal: readonly RunEvent[];
}

export type RunSettings = Partial<RunOptions> & {
  readonly killAt?: number;
  readonly onKill?: () => void;
  readonly past?: Past;
  readonly seen?: RunEvent[];
};

/** Runs a plan; `killAt` counts journaled lines from 0: that one is not written any more. */
export async function run(
  plan: Plan,
  performer: LivePerformer,
  { killAt, onKill, past, seen, ...options }: RunSettings = {},
): Promise<Ran> {
  const events: RunEvent[] = seen ?? [];
  let lines = 0;
  const emit = (event: RunEvent): void => {
    if (isJournaled(event)) {
      if (killAt !== undefined && lines >= killAt) {
        onKill?.();
        throw new Killed();
      }
      lines++;
    }
    events.push(event);
  };
  const all: RunOptions = {
    run: 'r1',
    performer,
    clock: new HandClock(true),
    cancel: new CancelSource(),
    capacity: { jobs: 4, memoryMb: 1000, cpu: 4 },
    keepGoing: false,
    freshness: ALWAYS_RUN,
    force: false,
    line: (step) => step.id,
    ...options,
    emit,
  };
  const status = await runPlan(plan, all, past).catch((error: unknown) => {
    if (error instanceof Killed) return 'killed' as const;
    throw error;
  });
  const journal = events.filter(isJournaled);
  return {
    status,
    events,
    journal: status === 'killed' ? journal.slice(0, journal.findLastIndex(isDurable) + 1) : journal,
  };
}

/** The plan of one task with these steps. */
export const planOf = (steps: (p: Recorder) => unknown, spec: Partial<TaskSpec<Params, Needs, unknown>> = {}): Plan =>
  makePlan([task('t', { summary: 'a task', ...spec, steps })()], hash).plan;

/** Runs one task with these steps against these answers. */
export async function runSteps(
  steps: (p: Recorder) => unknown,
  answers: { readonly [name: string]: Answer } = {},
  settings: RunSettings = {},
): Promise<Ran & { readonly did: readonly string[] }> {
  const performer = new Scripted(answers);
  return { ...(await run(planOf(steps), performer, settings)), did: performer.did };
}

/** The events of these types, each in short form. */
export const short = (events: readonly RunEvent[], ...types: readonly RunEvent['type'][]): readonly string[] =>
  events
    .filter((event) => types.includes(event.type))
    .map((event) => `${event.type} ${'id' in event ? event.id : 'task' in event ? event.task : ''}`);
