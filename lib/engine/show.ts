import type { Check } from '../model/check.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import type { Clock, Performer } from '../model/ports.ts';
import type { StepId } from '../model/ref.ts';
import { itemsIn, type Effect, type Place, type Step, type StepKind } from '../model/step.ts';
import { CancelSource } from './cancel.ts';
import { foreseen } from './enter.ts';
import { Facts, resolveStep } from './facts.ts';
import type { Freshness } from './freshness.ts';
import type { At, Certainty, Follower } from './follower.ts';
import { countServices, serviceCheck, servicesOf } from './services.ts';
import { Walker } from './walk.ts';

/** A step as a dry run prints it. */
export interface ShownStep {
  readonly id: StepId;
  /** The node's id: the task and its params. */
  readonly task: string;
  readonly kind: StepKind;
  readonly place: Place;
  readonly effect: Effect;
  readonly certainty: Certainty;
  /** The block around it, or null. */
  readonly parent: StepId | null;
  readonly line: string;
  /** Under a dead-man's switch the device itself puts back after so long without a word from here, in ms. */
  readonly leaseMs: number | null;
  /** The lines that put it back, in order; those of the whole change that it stands in. */
  readonly undo: readonly string[];
}

/** One task of a shown plan: it runs, is skipped, or is skipped if what it needs turns out the same. */
export interface ShownTask {
  readonly task: string;
  readonly state: 'runs' | 'fresh' | 'may be skipped';
  readonly check: Check;
  readonly steps: readonly ShownStep[];
}

export interface Shown {
  readonly tasks: readonly ShownTask[];
  /** A requirement that does not hold already now: what the run would be refused for. */
  readonly refusal: Failure | null;
  /** What the preview learned, by step: kept with an approval. */
  readonly facts: Facts;
}

export interface ShowOptions {
  readonly performer: Performer;
  readonly clock: Clock;
  readonly freshness: Freshness;
  readonly force: boolean;
  readonly line: (step: Step) => string;
}

/** Walks a plan with a performer that explores, and writes down each step that it meets. */
export async function showPlan(plan: Plan, options: ShowOptions): Promise<Shown> {
  const facts = new Facts();
  const tasks: ShownTask[] = [];
  const altering = new Set<string>();
  const services = servicesOf(plan);
  const freshness = countServices(options.freshness, services);
  const shown = (refusal: Failure | null): Shown => ({
    tasks: services.services.size === 0 ? tasks : settleServices(tasks),
    refusal,
    facts,
  });
  for (const node of services.nodes) {
    if (services.services.has(node.id)) {
      const { steps, failure } = await walkNode(node, facts, options, false);
      tasks.push({ task: node.id, state: 'runs', check: serviceCheck(node.id, services), steps });
      if (failure) return shown(failure);
      continue;
    }
    const looked = freshness.look(node, facts);
    freshness.forget(node);
    // What it needs may write what it reads, so that "fresh" now says nothing about then.
    const doubtful = node.needs.filter((need) => altering.has(need));
    const check = foreseen(looked, doubtful, options.force);
    if (check.state === 'fresh') {
      for (const [id, value] of Object.entries(looked?.facts ?? {})) facts.set(id, { known: true, value });
      tasks.push({ task: node.id, state: 'fresh', check, steps: [] });
      continue;
    }
    const skippable = check.state !== 'stale';
    if (doubtful.length > 0 || alters(node)) altering.add(node.id);
    const { steps, failure } = await walkNode(node, facts, options, skippable);
    tasks.push({ task: node.id, state: skippable ? 'may be skipped' : 'runs', check, steps });
    if (failure) return shown(failure);
  }
  return shown(null);
}

/** A service is surely brought up if it is a goal, or a task surely runs that needs it: known once all are shown. */
function settleServices(tasks: readonly ShownTask[]): readonly ShownTask[] {
  const running = new Set<string>();
  const settled = tasks.toReversed().map((shown): ShownTask => {
    const { task, check, steps } = shown;
    const wanted =
      check.state !== 'service' || check.users.length === 0 || check.users.some((user) => running.has(user));
    if (wanted && shown.state === 'runs') running.add(task);
    return wanted ? shown : { ...shown, state: 'may be skipped', steps: steps.map(perhaps) };
  });
  return settled.reverse();
}

const perhaps = (step: ShownStep): ShownStep =>
  step.certainty === 'certain' ? { ...step, certainty: 'conditional' } : step;

function alters(node: PlanNode): boolean {
  for (const item of itemsIn(node.body))
    if (item.type === 'step' && item.effect !== 'reads' && item.effect !== 'tells') return true;
  return false;
}

async function walkNode(
  node: PlanNode,
  facts: Facts,
  options: ShowOptions,
  skippable: boolean,
): Promise<{ readonly steps: readonly ShownStep[]; readonly failure: Failure | null }> {
  const steps: ShownStep[] = [];
  const walker = new Walker({
    run: '',
    performer: options.performer,
    clock: options.clock,
    env: node.env,
    follower: shower(node, facts, options.line, steps, skippable),
  });
  const walked = await walker.task(node.body, facts, new CancelSource());
  return { steps, failure: walked.ok ? null : walked.failure };
}

function shower(
  node: PlanNode,
  facts: Facts,
  line: (step: Step) => string,
  steps: ShownStep[],
  skippable: boolean,
): Follower {
  const nothing = (): undefined => undefined;
  return {
    step(what: 'started' | 'finished' | 'failed', step: Step, at: At) {
      if (what !== 'started') return;
      const certainty = skippable && at.certainty === 'certain' ? 'conditional' : at.certainty;
      const { id, kind, place, effect } = step;
      steps.push({
        id,
        task: node.id,
        kind,
        place,
        effect,
        certainty,
        parent: at.parent,
        leaseMs: at.leaseMs,
        line: line(step),
        undo: at.change ? undoLines(at.change, facts, line) : [],
      });
    },
    output: nothing,
    progress: nothing,
    change: nothing,
    waited: nothing,
    replays: false,
    waitedBefore: nothing,
    cutOff: () => false,
    settled: () => true,
    settledBefore: () => false,
    confirmed: nothing,
    guardFailed: () => true,
    putBackBefore: nothing,
    mustEnter: () => false,
    scope: nothing,
    undoStarted: () => false,
    deviceUndoes: nothing,
    undoFinished: nothing,
    undoFailed: nothing,
  };
}

function undoLines(change: NonNullable<At['change']>, facts: Facts, line: (step: Step) => string): readonly string[] {
  const lines: string[] = [];
  for (const item of itemsIn(change.undo)) if (item.type === 'step') lines.push(line(resolveStep(item, facts)));
  return lines;
}
