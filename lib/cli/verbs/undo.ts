import { Facts } from '../../engine/facts.ts';
import type { Shown } from '../../engine/show.ts';
import { touchWords } from '../../engine/touched.ts';
import { undoSteps, type Standing } from '../../engine/undo.ts';
import { saveId } from '../../device/operation.ts';
import { takeLock } from '../../host/lock.ts';
import { StepFailed } from '../../model/failure.ts';
import { STATUS } from '../../model/exit-status.ts';
import { textOf } from '../../model/json.ts';
import type { Plan } from '../../model/plan.ts';
import { HERE } from '../../model/step.ts';
import { stepLine } from '../../report/line.ts';
import { aboutRun } from '../about-run.ts';
import { confirmed, type Said } from '../consent.ts';
import { refuseMissingSecrets, refuseUnknownDevices, type Context } from '../context.ts';
import { askOn, openPlaces, tellRehearsal } from '../on-device.ts';
import { tellLeftovers } from '../perform.ts';
import { printShown, say, type Manner } from '../reporting.ts';
import { beginRun, findRun, forgetOldRuns, listRuns, newRunId, readRuns, type KeptRun } from '../runs.ts';
import { restores, undoable, type Undoable } from '../undoable.ts';
import { putBackRun } from '../undoing.ts';

export interface UndoVerb extends Said {
  readonly run: string;
  readonly dryRun: boolean;
  readonly connected: boolean;
}

/** Puts the changes of a finished run back, in reverse, as a run of its own. */
export async function undo(context: Context, manner: Manner, { run: named, ...asked }: UndoVerb): Promise<number> {
  const { slipwayDir } = context;
  const run = newRunId(new Date());
  const lock = takeLock(slipwayDir, 'undo', run);
  if (!lock.ok) throw new StepFailed({ reason: 'lock-held', place: HERE, name: 'undo', holder: lock.holder });
  try {
    const { runs, kept, standing, staying } = await looked(context, named);
    const { run: undoes } = kept.record;
    for (const touch of staying) say(`${touchWords(touch)} stays: it is put back only while it is unfinished`);
    if (standing.length === 0) {
      say(`run ${undoes} left no change that could be put back`);
      return STATUS.done;
    }
    const { version, nodes, digest } = kept.record.plan;
    const mine = nodes.filter(({ id }) => standing.some(({ node }) => node.id === id));
    const plan: Plan = { version, goals: [`undo ${undoes}`], nodes: mine, digest };
    if (tellLeftovers(runs, plan)) return STATUS.refused;
    refuseUnknownDevices(context, plan);
    refuseMissingSecrets(context, plan);
    if (asked.connected || !asked.dryRun) await refuseOnDevices(context, undoes, standing);
    const shown = shownUndo(standing);
    if (asked.dryRun) {
      await printShown(manner, plan, shown);
      return STATUS.done;
    }
    if (!(await allowed(undoes, shown, asked))) throw new StepFailed({ reason: 'not-confirmed', what: undoes });
    // While somebody was asked, other runs may have begun, and files been altered.
    await looked(context, undoes);
    // Before anything is forgotten: from here on what the run saved is needed.
    beginRun(slipwayDir, run, plan, aboutRun(context, devicesIn(standing)), undoes);
    forgetOldRuns(slipwayDir, listRuns(slipwayDir));
    return await putBackRun(context, { run, undoes, plan, manner }, standing);
  } finally {
    lock.release();
  }
}

/** What an undo of the run would do now; refused where it would not be sound. */
async function looked(
  context: Context,
  run: string,
): Promise<Undoable & { readonly runs: readonly KeptRun[]; readonly kept: KeptRun }> {
  const runs = readRuns(context.slipwayDir);
  const kept = findRun(runs, run);
  return { runs, kept, ...(await undoable(context, runs, kept)) };
}

/** In a terminal the steps are shown before they are asked for. */
async function allowed(run: string, shown: Shown, said: Said): Promise<boolean> {
  if (process.stdin.isTTY && process.stderr.isTTY && !said.yes)
    for (const { steps } of shown.tasks) for (const { line } of steps) say(`↩ ${line}`);
  return confirmed(run, said);
}

/** What would be put back, as a dry run shows steps: the latest first. */
function shownUndo(standing: readonly Standing[]): Shown {
  const tasks = standing.toReversed().map((one) => ({
    task: one.node.id,
    state: 'runs' as const,
    check: { state: 'stale', because: [], store: 'not-asked' } as const,
    steps: undoSteps(one).map(({ task, step, certainty }) => {
      const { id, kind, place, effect } = step;
      return { id, task, kind, place, effect, certainty, parent: null, line: stepLine(step), leaseMs: null, undo: [] };
    }),
  }));
  return { tasks, refusal: null, facts: new Facts() };
}

const devicesIn = (standing: readonly Standing[]): readonly string[] => [
  ...new Set(standing.flatMap((one) => undoSteps(one).map(({ step }) => step.place)).filter((place) => place !== HERE)),
];

/** A device knows what other machines' runs did to it since, and whether it still keeps the prior states. */
async function refuseOnDevices(context: Context, run: string, standing: readonly Standing[]): Promise<void> {
  const devices = devicesIn(standing);
  if (devices.length === 0) return;
  const places = openPlaces(context, run);
  try {
    for (const device of devices) {
      const saved = restores(standing, device).map(({ args }) => [saveId(args.saved, args.path), args.path] as const);
      const answer = await askOn(places, device, 'run.undoable', { saved: saved.map(([id]) => id) });
      if (!answer.ok) throw new StepFailed(answer.failure);
      const { missing, later } = answer.value as unknown as { missing: readonly string[]; later: string | null };
      const gone = saved.find(([id]) => missing.includes(id));
      if (later !== null) refuse(`run ${later} changed ${device} after run ${run} did`);
      if (gone) refuse(`what ${textOf(gone[1])} was on ${device} before run ${run} is no longer kept there`);
      tellRehearsal(device);
    }
  } finally {
    await places.close();
  }
}

function refuse(message: string): never {
  throw new StepFailed({ reason: 'refused', message });
}
