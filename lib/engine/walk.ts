import { known, unknown, type Fact } from '../model/fact.ts';
import type { Failure } from '../model/failure.ts';
import { textOf, type Json } from '../model/json.ts';
import type { Cancel, Clock, Entered, Performer, Performing } from '../model/ports.ts';
import { evaluate, taskOf, type StepId } from '../model/ref.ts';
import type { Block, Effect, Item, Scope, Step } from '../model/step.ts';
import { attempt } from './attempt.ts';
import { CancelSource, NEVER } from './cancel.ts';
import { Facts, resolveStep, settleRefs } from './facts.ts';
import { innermost, topOf, type At, type Follower, type ItemOf, type Undo, type Walked } from './follower.ts';
import { walkHold, type Hold } from './holding.ts';
import { armedChange, walkDeadMan } from './dead-man.ts';
import { walkParallel } from './parallel.ts';
import { unwindNotifying, walkNotifying, type Telling } from './telling.ts';
import { passAt, walkWait } from './wait.ts';

/** What a walk is made with. */
export interface WalkContext {
  readonly run: string;
  readonly performer: Performer;
  readonly clock: Clock;
  readonly follower: Follower;
  readonly env: readonly string[];
  /** Says how long a `hold` lasts; without it, until the run is cancelled. */
  readonly hold?: Hold;
}

const DONE: Walked = { ok: true };
/** Effects after which a device still is what it was. */
const HARMLESS: ReadonlySet<Effect> = new Set(['reads', 'derives', 'tells'] as const);

/**
 * Walks the steps of one task. The same walk serves every mode: what a performer does not know is explored on both
 * sides when it `explores`, and is a defect otherwise.
 */
export class Walker {
  readonly #context: WalkContext;
  /** Something was changed, on a device or here. */
  changed = false;
  settled = false;
  /** An undo failed: something was not put back. */
  stranded = false;
  /** How many changes were put back, from here or by a device, in this life of the run or in an earlier one. */
  #putBack = 0;
  /** Has the walk no longer hear of a cancel. */
  #letGo = (): void => undefined;

  constructor(context: WalkContext) {
    const { follower } = context;
    const undoStarted: Follower['undoStarted'] = (id, at, because) => {
      this.#putBack++;
      return follower.undoStarted(id, at, because);
    };
    this.#context = { ...context, follower: { ...follower, undoStarted } };
  }

  /** Walks the whole body; after a failure puts back what is not settled. */
  async task(body: Block, facts: Facts, asked: Cancel): Promise<Walked> {
    const undos: Undo[] = [];
    const cancel = new CancelSource(asked);
    this.#letGo = () => cancel.release();
    const walked = await this.#block(body, facts, topOf(undos, cancel));
    cancel.release();
    if (!walked.ok && !this.stranded) await this.#unwind(undos, walked.failure);
    return walked;
  }

  /** Walks a body that was done before, and hands over what would put it back, the latest last; it puts back nothing. */
  async retrace(body: Block, facts: Facts): Promise<Walked & { readonly undos: Undo[] }> {
    const undos: Undo[] = [];
    return { ...(await this.#block(body, facts, topOf(undos, NEVER))), undos };
  }

  /** Puts back what another walk handed over. False: it halted, and something was not put back. */
  putBack(undos: Undo[], because: Failure): Promise<boolean> {
    return this.#unwind(undos, because);
  }

  async #block(block: Block, facts: Facts, at: At): Promise<Walked> {
    for (const item of block.items) {
      if (at.cancel.cancelled && !this.#context.follower.replays) return { ok: false, failure: at.cancel.cancelled };
      const walked = await this.#item(item, facts, at);
      if (!walked.ok) return walked;
    }
    return DONE;
  }

  #item(item: Item, facts: Facts, at: At): Promise<Walked> | Walked {
    switch (item.type) {
      case 'step':
        return this.#step(item, facts, at);
      case 'change':
        return this.#change(item, facts, at);
      case 'when':
        return this.#when(item, facts, at);
      case 'each':
        return this.#each(item, facts, at);
      case 'guard':
        return this.#guard(item, facts, at);
      case 'within':
        return this.#within(item, facts, at);
      case 'notifying':
        return walkNotifying(this.#telling(), item, facts, at);
      case 'wait':
        return this.#wait(item, facts, at);
      case 'require':
        return this.#require(item, facts);
      case 'parallel':
        return this.#parallel(item, facts, at);
      case 'hold':
        return this.#hold(item, at);
      case 'settle':
        return this.#settle(item, at);
    }
  }

  async #step(item: Step, facts: Facts, at: At): Promise<Walked> {
    const { follower, performer } = this.#context;
    const step = resolveStep(item, facts);
    follower.step('started', step, at);
    if (!HARMLESS.has(item.effect) && !at.undoing) this.changed = true;
    const performed = await attempt(() =>
      performer.perform(
        step,
        this.#performing(at, {
          output: (stream, text) => follower.output(step, stream, text),
          progress: (progress) => follower.progress(step, progress),
          ...(item.kind === 'restore' && { acted: facts.fact(item.args.saved).known }),
        }),
      ),
    );
    if (!performed.ok) {
      follower.step('failed', step, at, performed.failure);
      return { ok: false, failure: performed.failure };
    }
    facts.set(item.id, performed.fact);
    follower.step('finished', step, at, performed.fact.known ? performed.fact.value : null);
    return DONE;
  }

  #performing(
    at: At,
    ofStep: Pick<Performing, 'output' | 'progress' | 'acted'> = { output: () => undefined },
  ): Performing {
    const { run, env } = this.#context;
    const { undoing, iteration, afterwards = false } = at;
    const armed = at.armedChange && !undoing ? { armed: at.armedChange } : {};
    return { run, env, cancel: undoing ? NEVER : at.cancel, undoing, afterwards, iteration, ...ofStep, ...armed };
  }

  async #change(item: ItemOf<'change'>, facts: Facts, at: At): Promise<Walked> {
    const { follower } = this.#context;
    follower.change('started', item.id, at);
    const undo: Undo = { change: item, facts, at };
    innermost(at).push(undo);
    const walked = await this.#block(item.do, facts, {
      ...at,
      change: item,
      parent: item.id,
      ...(at.armed ? { armedChange: armedChange(item, facts, at) } : {}),
    });
    if (!walked.ok) return walked;
    const putBack = follower.putBackBefore(item.id, at);
    if (putBack) return { ok: false, failure: putBack };
    if (item.undone === 'unless-done') innermost(at).splice(innermost(at).indexOf(undo), 1);
    facts.set(item.id, evaluate(item.do.result, facts));
    follower.change('finished', item.id, at);
    return DONE;
  }

  async #when(item: ItemOf<'when'>, facts: Facts, at: At): Promise<Walked> {
    const condition = evaluate(item.condition, facts);
    if (condition.known) {
      const branch = condition.value === true ? item.then : item.otherwise;
      const walked = await this.#block(branch, facts, { ...at, parent: item.id });
      if (walked.ok) facts.set(item.id, evaluate(branch.result, facts));
      return walked;
    }
    this.#mustExplore(item.id);
    const either = {
      ...at,
      parent: item.id,
      certainty: at.certainty === 'repeated' ? at.certainty : 'conditional',
    } as const;
    const walked = await this.#block(item.then, facts, either);
    return walked.ok ? this.#block(item.otherwise, facts, either) : walked;
  }

  async #each(item: ItemOf<'each'>, facts: Facts, at: At): Promise<Walked> {
    const over = evaluate(item.over, facts);
    if (!over.known) {
      this.#mustExplore(item.id);
      return this.#block(item.body, new Facts(facts), { ...at, parent: item.id, certainty: 'repeated' });
    }
    const results: Fact[] = [];
    for (const [index, one] of (over.value as readonly Json[]).entries()) {
      const inner = new Facts(facts);
      inner.set(item.item, known(one));
      const walked = await this.#block(item.body, inner, { ...passAt(at, index + 1), parent: item.id });
      if (!walked.ok) return walked;
      results.push(evaluate(item.body.result, inner));
    }
    facts.set(
      item.id,
      results.every((result) => result.known) ? known(results.map((result) => result.value)) : unknown,
    );
    return DONE;
  }

  async #guard(item: ItemOf<'guard'>, facts: Facts, at: At): Promise<Walked> {
    const { performer, follower } = this.#context;
    const undos: Undo[] = [];
    // The run can succeed without the body, by way of `recover`: so neither is certain.
    const maybe = at.certainty === 'certain' ? 'conditional' : at.certainty;
    const walked = await this.#block(item.body, facts, {
      ...at,
      parent: item.id,
      certainty: maybe,
      undos: [...at.undos, undos],
    });
    if (walked.ok) {
      innermost(at).push(...undos);
      facts.set(item.id, evaluate(item.body.result, facts));
      if (!performer.explores) return walked;
    } else {
      // Before anything is put back: by this a resumed walk knows that it was the guard that put back, and none around it.
      const caught = !this.stranded && !this.#isCancelled(at) && follower.guardFailed(item.id, at, walked.failure);
      if (!this.stranded) await this.#unwind(undos, walked.failure);
      if (!caught || this.stranded || this.#isCancelled(at)) return walked;
    }
    const recovered = await this.#block(item.recover, facts, { ...at, parent: item.id, certainty: maybe });
    if (!walked.ok && recovered.ok) facts.set(item.id, evaluate(item.recover.result, facts));
    return recovered;
  }

  /** A resumed walk goes through what was done before in spite of a cancel. */
  #isCancelled(at: At): boolean {
    return at.cancel.cancelled !== null && !this.#context.follower.replays;
  }

  async #within(item: ItemOf<'within'>, facts: Facts, at: At): Promise<Walked> {
    if (item.scope.kind === 'deadMan') return this.#deadMan(item, facts, at);
    const entered = await this.#enter(item, facts, at);
    if (!entered.ok) {
      if (this.#context.follower.mustEnter(item.id)) this.#strand(item.id, entered.failure);
      return entered;
    }
    facts.set(`${item.id}.scope`, known(entered.entered.value));
    const undos: Undo[] = [];
    const walked = await this.#block(item.body, facts, { ...at, parent: item.id, undos: [...at.undos, undos] });
    // What failed inside is put back while the scope is still held: an undo needs the lock as much as its change did.
    if (!walked.ok) {
      if (!this.stranded) await this.#unwind(undos, walked.failure);
    } else if (undos.length > 0) innermost(at).push({ scope: item, facts, at, undos });
    await this.#leave(item, entered.entered);
    if (walked.ok) facts.set(item.id, evaluate(item.body.result, facts));
    return walked;
  }

  async #enter(item: ItemOf<'within'>, facts: Facts, at: At): Promise<Awaited<ReturnType<Performer['enter']>>> {
    const { performer, follower } = this.#context;
    const scope = settleRefs(item.scope, facts) as unknown as Scope;
    const entered = await attempt(() => performer.enter(scope, this.#performing(at)));
    if (entered.ok) follower.scope('entered', item.id, scope);
    return entered;
  }

  #deadMan(item: ItemOf<'within'>, facts: Facts, at: At): Promise<Walked> {
    return walkDeadMan(item, at, this.#context.follower, this.#context.performer.explores, {
      body: (inside) => this.#block(item.body, facts, inside),
      enter: (resumed) => this.#enter(item, facts, { ...at, undoing: resumed }),
      leave: (entered) => this.#leave(item, entered),
      strand: (id, failure) => this.#strand(id, failure),
      settled: () => this.#hasSettled(at),
    });
  }

  async #leave(item: ItemOf<'within'>, entered: Entered): Promise<void> {
    await attempt(() => entered.leave());
    this.#context.follower.scope('left', item.id, item.scope);
  }

  #wait(item: ItemOf<'wait'>, facts: Facts, at: At): Promise<Walked> {
    return walkWait(item, facts, at, this.#context, (inner, one) => this.#block(item.body, inner, one));
  }

  #require(item: ItemOf<'require'>, facts: Facts): Walked {
    const value = evaluate(item.value, facts);
    if (!value.known) this.#mustExplore(item.id);
    else if (value.value === false || value.value === null) {
      const message = evaluate(item.refusal, facts);
      return {
        ok: false,
        failure: { reason: 'refused', message: message.known ? textOf(message.value) : 'a requirement does not hold' },
      };
    }
    return DONE;
  }

  #parallel(item: ItemOf<'parallel'>, facts: Facts, at: At): Promise<Walked> {
    const { explores } = this.#context.performer;
    return walkParallel(item, facts, at, explores, (block, inside) => this.#block(block, facts, inside));
  }

  #hold(item: ItemOf<'hold'>, at: At): Promise<Walked> | Walked {
    const { performer, hold } = this.#context;
    if (performer.explores) return DONE;
    return walkHold(hold, at.cancel, (cancel) =>
      performer.serviceEnded(taskOf(item.id), this.#performing({ ...at, cancel })),
    );
  }

  #settle(item: ItemOf<'settle'>, at: At): Walked {
    if (!this.#context.follower.settled(item.id)) return { ok: false, failure: { reason: 'cut-off' } };
    return this.#hasSettled(at);
  }

  #hasSettled(at: At): Walked {
    this.settled = true;
    // What has settled is only to be finished: half of that would be neither the old state nor the new one.
    this.#letGo();
    for (const undos of at.undos) undos.length = 0;
    return DONE;
  }

  /**
   * Puts back the latest first, and stops at the first that fails: what was done before it counts on it.
   * Returns whether all of it was put back.
   */
  async #unwind(undos: Undo[], because: Failure): Promise<boolean> {
    for (let undo = undos.pop(); undo; undo = undos.pop()) {
      const done =
        'scope' in undo
          ? await this.#unwindScope(undo, because)
          : 'told' in undo
            ? await unwindNotifying(this.#telling(), undo, because)
            : await this.#undo(undo.change, undo.facts, undo.at, because);
      if (done) continue;
      undos.length = 0;
      return false;
    }
    return true;
  }

  async #unwindScope(
    { scope, facts, at, undos }: Extract<Undo, { readonly scope: unknown }>,
    because: Failure,
  ): Promise<boolean> {
    const entered = await this.#enter(scope, facts, { ...at, undoing: true });
    if (!entered.ok) return this.#strand(scope.id, entered.failure);
    facts.set(`${scope.id}.scope`, known(entered.entered.value));
    const done = await this.#unwind(undos, because);
    await this.#leave(scope, entered.entered);
    return done;
  }

  async #undo(change: ItemOf<'change'>, facts: Facts, at: At, because: Failure): Promise<boolean> {
    const { follower } = this.#context;
    if (!follower.undoStarted(change.id, at, because)) return true;
    const undoing: At = { ...at, change, parent: change.id, undoing: true, cancel: NEVER, undos: [[]] };
    const walked = await this.#block(change.undo, facts, undoing);
    if (!walked.ok) return this.#strand(change.id, walked.failure);
    follower.undoFinished(change.id, at);
    return true;
  }

  #telling(): Telling {
    return {
      explores: this.#context.performer.explores,
      block: (block, facts, at) => this.#block(block, facts, at),
      unwind: (undos, because) => this.#unwind(undos, because),
      state: () => ({ stranded: this.stranded, settled: this.settled, putBack: this.#putBack }),
    };
  }

  #strand(id: StepId, failure: Failure): false {
    this.stranded = true;
    this.#context.follower.undoFailed(id, failure);
    return false;
  }

  #mustExplore(id: StepId): void {
    if (!this.#context.performer.explores) throw new Error(`${id}: a live performer left something unknown`);
  }
}
