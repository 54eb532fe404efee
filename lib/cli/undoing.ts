import { readJournal } from '../engine/journal.ts';
import { retrace, undoRun, type Standing } from '../engine/undo.ts';
import type { Before } from '../engine/follow.ts';
import { clock } from '../host/clock.ts';
import type { Plan } from '../model/plan.ts';
import { STATUS } from '../model/exit-status.ts';
import { itemsIn } from '../model/step.ts';
import { refuseMissingSecrets, refuseUnknownDevices, type Context } from './context.ts';
import { live } from './perform.ts';
import { say, type Manner } from './reporting.ts';
import { adoptRun, readRun, type KeptRun } from './runs.ts';

/** Puts back what stands as a run of its own, or goes on with one (`before`); resolves to the exit status. */
export function putBackRun(
  context: Context,
  {
    run,
    undoes,
    plan,
    manner,
  }: { readonly run: string; readonly undoes: string; readonly plan: Plan; readonly manner: Manner },
  standing: readonly Standing[],
  before?: Before,
): Promise<number> {
  const prepared = { plan, opaque: new Map(), paramSecrets: new Map<string, string>() };
  const said = { confirm: null, yes: false };
  const options = { manner, jobs: 1, keepGoing: false, force: false, said, consent: new Set<string>(), run, undoes };
  return live(context, prepared, options, (common, emit) => {
    if (before === undefined)
      emit({ type: 'run-started', run, digest: plan.digest, goals: plan.goals, pid: process.pid });
    else emit({ type: 'run-resumed', run, pid: process.pid });
    return undoRun(standing, { ...common, undoes }, before);
  });
}

/** Goes on with an undo that was cut off, to its end. */
export async function goOnUndoing(context: Context, kept: KeptRun, manner: Manner): Promise<number> {
  const { run, undoes = '', plan } = kept.record;
  const target = readRun(context.slipwayDir, undoes);
  const retraced = target && (await retrace(target.record.plan, readJournal(target.lines), { run: undoes, clock }));
  if (!retraced?.ok) {
    say(`run ${run} cannot go on: run ${undoes}, which it puts back, is no longer kept; see "show ${run}"`);
    return STATUS.notPutBack;
  }
  refuseUnknownDevices(context, plan);
  refuseMissingSecrets(context, plan);
  adoptRun(context.slipwayDir, kept);
  const standing = retraced.standing.filter(({ node }) => plan.nodes.some(({ id }) => id === node.id));
  return putBackRun(context, { run, undoes, plan, manner }, standing, readJournal(kept.lines));
}

/** Functions of opaque steps are not in a saved plan; only those inside changes would be needed. */
export function hasOpaque(plan: Plan): boolean {
  return plan.nodes.some(({ body }) =>
    [...itemsIn(body)].some(
      (item) =>
        item.type === 'change' &&
        [...itemsIn(item.undo)].some((inner) => inner.type === 'step' && inner.kind === 'opaque'),
    ),
  );
}
