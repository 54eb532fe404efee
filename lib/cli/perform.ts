import { availableParallelism, totalmem } from 'node:os';
import { ALWAYS_RUN } from '../engine/freshness.ts';
import { replayPerformer, type Leftover } from '../engine/journal.ts';
import type { Holding } from '../engine/holding.ts';
import { runPlan, type RunOptions } from '../engine/run.ts';
import { clock } from '../host/clock.ts';
import { restoreV8Flags } from '../host/v8-flags.ts';
import { reapLeftovers } from '../host/ledger.ts';
import { seededRandom } from '../host/random.ts';
import type { RunEvent } from '../model/event.ts';
import { known } from '../model/fact.ts';
import type { Plan, Planned } from '../model/plan.ts';
import type { Cancel, LivePerformer } from '../model/ports.ts';
import { HERE, itemsIn, type Place } from '../model/step.ts';
import { stepLine } from '../report/line.ts';
import type { Around, Reporter } from '../report/reporter.ts';
import { aboutRun } from './about-run.ts';
import { tellPlaces } from './afterwards.ts';
import { aroundRun } from './around.ts';
import { wrongChannels } from './channels.ts';
import { consented, type Said } from './consent.ts';
import { refuseMissingSecrets, refuseUnknownDevices, variableOf, type Context } from './context.ts';
import { STATUS } from '../model/exit-status.ts';
import { cutOff, cutOffLine } from './cut-off.ts';
import { devicesOf } from './devices.ts';
import { openDurations } from './durations.ts';
import { openTurns } from '../host/turns.ts';
import { openFreshness } from './freshness-store.ts';
import { openDeviceLogs } from './logs.ts';
import type { Pages } from './invocation.ts';
import { createPlaces } from './places.ts';
import { openRunFolder } from './run-folder.ts';
import { openReporter, say, type Manner } from './reporting.ts';
import {
  adoptRun,
  beginRun,
  forgetOldRuns,
  leavesTraces,
  leftovers,
  listRuns,
  newRunId,
  openJournal,
  type KeptRun,
} from './runs.ts';
import { cancelOnSignals } from './signals.ts';

/** How a plan is performed. */
export interface PerformOptions {
  readonly manner: Manner;
  readonly jobs: number | null;
  readonly keepGoing: boolean;
  readonly force: boolean;
  /** Says of every task why it runs or does not. */
  readonly explain?: boolean;
  /** Seed of a random order. */
  readonly shuffle?: number;
  readonly said: Said;
  /** What followed `--`. */
  readonly rest?: readonly string[];
  /** Written about the run once it is over, whatever came of it. */
  readonly pages?: Pages;
  /** Stands between the engine and the performers: the facts of an approval are compared there. */
  readonly through?: (live: LivePerformer) => LivePerformer;
  /** Instead of the one that fits the manner. */
  readonly reporter?: (around: Around) => Reporter;
  /** Of an undo: the run that it puts back. */
  readonly undoes?: string;
  /** The names that may be confirmed, where nobody is to be asked for them. */
  readonly consent?: ReadonlySet<string>;
  /** One run of many that a watch makes. */
  readonly watching?: Watching;
}

/** What the runs of a watch share. */
export interface Watching {
  readonly cancel: Cancel;
  /** Services that stay up when a run is over. */
  readonly holding: Holding;
  /** Of runs whose services are up, by run: they are closed once those have ended. */
  readonly closing: Map<string, Promise<void>>;
  readonly heard: (event: RunEvent) => void;
}

export type Prepared = Planned & { readonly paramSecrets: ReadonlyMap<string, string> };

/** Performs a plan as a new run; resolves to the exit status. */
export async function perform(context: Context, prepared: Prepared, options: PerformOptions): Promise<number> {
  const { slipwayDir } = context;
  refuseMissingSecrets(context, prepared.plan);
  const runs = listRuns(slipwayDir);
  const refused = tellLeftovers(runs, prepared.plan);
  if (refused) return STATUS.refused;
  for (const wrong of wrongChannels(prepared.plan, context.sources, prepared.paramSecrets)) say(wrong);
  for (const { run, pid, command } of await reapLeftovers(slipwayDir))
    say(`ended what run ${run} left running: ${command} (pid ${String(pid)})`);
  // Once is enough that nothing can be written.
  const sayUnlessSaid = (line: string): void => (folder.slipwayDir === slipwayDir ? say(line) : undefined);
  const { freshness, save } = openFreshness(context, variableOf(context), sayUnlessSaid, 'keeps');
  const run = newRunId(new Date());
  const about = aboutRun(context, devicesOf(prepared.plan), prepared.paramSecrets);
  const folder = openRunFolder(slipwayDir, leavesTraces(prepared.plan), say, (dir) => {
    forgetOldRuns(dir, options.watching ? runs.filter(({ id }) => !options.watching?.closing.has(id)) : runs);
    beginRun(dir, run, prepared.plan, about);
  });
  if (options.shuffle !== undefined) say(`shuffled: --shuffle ${String(options.shuffle)} takes this order again`);
  try {
    const here = { ...context, slipwayDir: folder.slipwayDir };
    const status = await live(here, prepared, { ...options, run }, (common, emit) => {
      emit({ type: 'run-started', run, digest: prepared.plan.digest, goals: prepared.plan.goals, pid: process.pid });
      return runPlan(prepared.plan, { ...common, freshness, turns: openTurns(folder.slipwayDir, run) });
    });
    if (!options.pages) return status;
    const written = await (await import('./pages.ts')).writePages(here, run, options.pages);
    return status === STATUS.done ? written : status;
  } finally {
    save();
    folder.forget();
    restoreV8Flags();
  }
}

/** Goes on with a run that was cut off: puts back what is open, or finishes what had settled. */
export async function resume(
  context: Context,
  kept: KeptRun,
  past: Leftover,
  planned: Planned,
  manner: Manner,
): Promise<number> {
  const { run, plan } = kept.record;
  refuseUnknownDevices(context, plan);
  refuseMissingSecrets(context, plan);
  adoptRun(context.slipwayDir, kept);
  const prepared: Prepared = { plan, opaque: planned.opaque, paramSecrets: new Map() };
  const through = (performer: LivePerformer): LivePerformer => replayPerformer(past, pastSuperseded(performer));
  const options = { manner, jobs: 1, keepGoing: true, force: true, said: { confirm: null, yes: false }, run, through };
  return live(context, prepared, options, (common, emit) => {
    emit({ type: 'run-resumed', run, pid: process.pid });
    return runPlan(plan, { ...common, freshness: ALWAYS_RUN }, past);
  });
}

/** What a later run built on is no longer this run's to put back or finish: the device refuses it, and that is all right. */
function pastSuperseded(live: LivePerformer): LivePerformer {
  return {
    ...live,
    async perform(step, performing) {
      const performed = await live.perform(step, performing);
      if (performed.ok || performed.failure.reason !== 'device-refused' || performed.failure.code !== 'superseded')
        return performed;
      say(`${step.place}: ${performed.failure.detail}; that run's state stands, look at it with "status"`);
      return { ok: true, fact: known(null) };
    },
  };
}

/** Everything that lives as long as a run, opened before it and closed after it, whatever happens. */
export async function live(
  context: Context,
  { plan, opaque, paramSecrets }: Prepared,
  options: PerformOptions & { readonly run: string },
  walk: (common: Omit<RunOptions, 'freshness'>, emit: RunOptions['emit']) => Promise<number>,
): Promise<number> {
  const { run, manner, force, keepGoing, shuffle, undoes, watching } = options;
  const consent = options.consent ?? (await consented(plan, options.said));
  const journal = openJournal(context.slipwayDir, run, leavesTraces(plan));
  const logs = openDeviceLogs(context.slipwayDir, run);
  const durations = openDurations(context.slipwayDir);
  const around = aroundRun(context, run, options.rest ?? [], durations.lastMs);
  const asked = { projectDir: context.projectDir, explain: options.explain ?? false };
  const reporter = options.reporter?.(around) ?? (await openReporter(manner, plan, around, asked));
  const places = createPlaces({
    ...context,
    run,
    ...(undoes !== undefined && { undoes }),
    opaque,
    paramSecrets,
    consent,
    commands: commandsIn(plan),
  });
  const signals = watching ? { cancel: watching.cancel, release: () => undefined } : cancelOnSignals();
  const withdraw = signals.cancel.onCancel(() =>
    reporter.event({ type: 'run-stopping', goesOn: undoes !== undefined }),
  );
  const before = new Set(watching?.holding.ids);
  const emit = (event: RunEvent): void => {
    watching?.heard(event);
    journal.write(event);
    logs.write(event);
    durations.write(event);
    reporter.event(event);
  };
  const performer = options.through ? options.through(places) : places;
  const capacity = {
    jobs: options.jobs ?? availableParallelism(),
    memoryMb: totalmem() / 2 ** 20,
    cpu: availableParallelism(),
  };
  try {
    const status = await walk(
      {
        run,
        performer,
        clock,
        cancel: signals.cancel,
        capacity,
        keepGoing,
        force,
        emit,
        line: stepLine,
        ...(shuffle !== undefined && { random: seededRandom(shuffle) }),
        ...(watching && { holding: watching.holding }),
      },
      emit,
    ).finally(withdraw);
    await reporter.close();
    await tellPlaces(plan, places, manner);
    return status;
  } finally {
    durations.save();
    const close = async (): Promise<void> => {
      await reporter.close();
      await places.close();
      signals.release();
      logs.close();
      journal.close();
    };
    const begun = watching ? begunServices(watching.holding, before) : [];
    if (begun.length === 0) await close();
    else
      watching?.closing.set(
        run,
        Promise.all(begun)
          .then(close)
          .finally(() => watching.closing.delete(run)),
      );
  }
}

/** The ends of services that are up and were not before. */
const begunServices = (holding: Holding, before: ReadonlySet<string>): readonly Promise<unknown>[] =>
  holding.ids.flatMap((id) => (before.has(id) ? [] : (holding.get(id)?.ended ?? [])));

/** Says which earlier runs were cut off; true when this plan would build on what they left half done. */
export function tellLeftovers(runs: readonly KeptRun[], plan: Plan): boolean {
  const mine = changedPlaces(plan);
  let clash = false;
  for (const left of leftovers(runs)) {
    const shared = [...changedPlaces(left.kept.record.plan)].filter((place) => mine.has(place));
    say(cutOffLine(cutOff(left)));
    clash ||= shared.length > 0;
  }
  if (clash) say('this would build on it, so nothing was done: run "recover" first');
  return clash;
}

function commandsIn(plan: Plan): number {
  let count = 0;
  for (const { body } of plan.nodes)
    for (const item of itemsIn(body))
      if (item.type === 'step' && item.place === HERE && (item.kind === 'run' || item.kind === 'shell')) count += 1;
  return count;
}

function changedPlaces(plan: Plan): ReadonlySet<Place> {
  const places = new Set<Place>();
  for (const node of plan.nodes) {
    for (const item of itemsIn(node.body))
      if (item.type === 'change') for (const touch of item.touches) places.add(touch.place);
  }
  return places;
}
