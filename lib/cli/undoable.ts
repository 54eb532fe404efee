import { settleRefs } from '../engine/facts.ts';
import { readJournal, type Leftover } from '../engine/journal.ts';
import {
  isLater,
  linesSince,
  sharedTouch,
  standingChanges,
  touchedBy,
  touchOf,
  touchWords,
} from '../engine/touched.ts';
import { changesOf, retrace, undoSteps, type Standing } from '../engine/undo.ts';
import { clock } from '../host/clock.ts';
import { lifeOf } from '../host/identity.ts';
import { notKept } from '../host/files.ts';
import { insideProject } from '../host/inside.ts';
import { isAsLeft } from '../host/left.ts';
import { isKept, savedPlace } from '../host/saved.ts';
import { known } from '../model/fact.ts';
import { StepFailed } from '../model/failure.ts';
import { textOf, type Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import { HERE, itemsIn, type Step, type Touch } from '../model/step.ts';
import { commandLine } from '../report/rerun.ts';
import { programOf } from './around.ts';
import type { Context } from './context.ts';
import { leftovers, undoneBy, type KeptRun } from './runs.ts';
import { hasOpaque } from './undoing.ts';

/** What an undo of a run would do. */
export interface Undoable {
  readonly standing: readonly Standing[];
  /** Changes that are not put back once they are done, as their task declares. */
  readonly staying: readonly Touch[];
}

const refuse = (message: string, next?: string): never => {
  throw new StepFailed({ reason: 'refused', message, ...(next !== undefined && { next }) });
};

/** What putting this run back comes to; refused (status 3), with why and what to do, where it would not be sound. */
export async function undoable(context: Context, runs: readonly KeptRun[], kept: KeptRun): Promise<Undoable> {
  const { run, plan } = kept.record;
  refuseState(runs, kept);
  const past = readJournal(kept.lines);
  refuseSettled(context, kept, past);
  const cannot = irreversible(kept);
  if (cannot !== null) refuse(`run ${run} did what cannot be undone: ${cannot}`);
  if (hasOpaque(plan))
    refuse(
      `run ${run} is put back by functions, which its kept plan cannot hold: put it back by hand; "show ${run}" tells what it did`,
    );
  const retraced = await retrace(plan, past, { run, clock });
  if (!retraced.ok) return refuse(`the journal of run ${run} does not tell all that it did: put it back by hand`);
  const standing = retraced.standing.map(putBackOf).filter(({ undos }) => changesOf(undos).length > 0);
  await refuseLater(runs, kept, standing);
  refuseAltered(context, run, standing);
  return { standing, staying: stayingOf(plan, kept, standing) };
}

/** Without the steps of changes that are only put back while they are unfinished. */
function putBackOf(one: Standing): Standing {
  const changes = changesOf(one.undos).map(({ change }) => `${change.id}.`);
  return { ...one, made: one.made.filter(({ id }) => changes.some((change) => id.startsWith(change))) };
}

/** Only what is over, was not put back, and is no undo itself can be undone. */
function refuseState(runs: readonly KeptRun[], kept: KeptRun): void {
  const { run, plan, undoes, goals } = kept.record;
  if (undoes !== undefined)
    refuse(`run ${run} is itself an undo of run ${undoes}: what it put back is made again by running its tasks`);
  if (plan.nodes.length === 0)
    refuse(`run ${run} (${goals.join(', ')}) followed no plan, so nothing is known that would put it back`);
  const before = undoneBy(runs, run);
  if (before !== undefined) refuse(`run ${run} was put back already, by run ${before.record.run}`);
  const left = leftovers(runs).map(({ kept: one }) => one.record);
  const half = left.find((one) => one.undoes === run);
  if (half !== undefined) refuse(`run ${half.run} began to put it back and is not finished: "recover" goes on with it`);
  if (left.some((one) => one.run === run)) refuse(`run ${run} is not finished: "recover" puts that right`);
  if (isUnderWay(kept.record, kept.lines)) refuse(`run ${run} is still under way`);
}

/** What has settled is not taken back like a failure: services and data have gone on since. */
function refuseSettled(context: Context, { record }: KeptRun, past: Leftover): void {
  const node = record.plan.nodes.find(({ id }) => past.settled.has(id));
  if (node === undefined) return;
  const lookup = { fact: (id: string) => known(past.facts.get(id) ?? null) };
  for (const item of itemsIn(node.body)) {
    if (item.type !== 'within' || item.scope.kind !== 'deadMan') continue;
    const { place } = item.scope;
    const [now, before] = [settleRefs(item.scope.release, lookup), settleRefs(item.scope.from, lookup)];
    refuse(
      `run ${record.run} confirmed release ${textOf(now)} on ${place}, and its services and data have gone on since`,
      wayBack(context, place, before),
    );
  }
  refuse(
    `${node.id} has settled: from there on its changes stay, as it declares`,
    `see what it did: show ${record.run}`,
  );
}

function wayBack({ project, projectDir }: Context, place: string, before: Json): string {
  if (before === null) return 'there was none before that it could go back to: deploy what should run there instead';
  const task = project.tasks.some(({ taskName }) => taskName === 'rollback');
  const command = task
    ? commandLine(programOf(projectDir), 'rollback', [`--to ${place}`, `--release ${textOf(before)}`])
    : 'declare a task with rollbackRelease';
  return `to go back to the one before, judged before it counts, the data as it is: ${command}`;
}

function irreversible({ lines }: KeptRun): string | null {
  const asked = new Set(
    lines.flatMap((line) => (line.type === 'step-failed' && line.failure.reason === 'not-confirmed' ? [line.id] : [])),
  );
  const found = lines.find(
    (line) => line.type === 'step-started' && line.effect === 'irreversible' && !asked.has(line.id),
  );
  return found?.type === 'step-started' ? found.line : null;
}

/** A later run may have built on this one: what it touched, too, is not put back under it. */
async function refuseLater(runs: readonly KeptRun[], kept: KeptRun, standing: readonly Standing[]): Promise<void> {
  const mine = standing.flatMap((one) => [
    ...changesOf(one.undos).flatMap(({ change }) => change.touches.filter((touch) => !isLater(touch))),
    ...[...one.made, ...undoSteps(one).map(({ step }) => step)].flatMap(touchOf),
  ]);
  const since = kept.lines.find(({ type }) => type === 'change-started')?.at ?? kept.record.at;
  for (const { record, lines } of runs) {
    if (record.run === kept.record.run || record.undoes !== undefined) continue;
    if (!isUnderWay(record, lines) && (lines.at(-1)?.at ?? record.at) < since) continue;
    if (undoneBy(runs, record.run) !== undefined) continue;
    const shared = sharedTouch(mine, await touchesOf(record, lines, since));
    if (shared !== null)
      refuse(
        `run ${record.run} (${record.goals.join(', ')}) touched ${touchWords(shared)} after run ${kept.record.run} did; undo that one first, if it should go, too`,
      );
  }
}

const isUnderWay = ({ owner }: KeptRun['record'], lines: KeptRun['lines']): boolean =>
  !lines.some(({ type }) => type === 'run-finished') && lifeOf(owner) !== 'dead';

/** What a run touched since then and left so; of one that is under way, all that it may. */
async function touchesOf(record: KeptRun['record'], lines: KeptRun['lines'], since: string): Promise<readonly Touch[]> {
  const { run, plan } = record;
  if (isUnderWay(record, lines))
    return plan.nodes.flatMap(({ body }) =>
      [...itemsIn(body)].flatMap((item) => (item.type === 'change' ? item.touches : [])),
    );
  const retraced = await retrace(plan, readJournal(lines), { run, clock });
  const later = linesSince(lines, since);
  const done = new Set(later.flatMap((line) => (line.type === 'step-finished' ? [line.id] : [])));
  const made = retraced.ok ? retraced.standing.flatMap((one) => one.made) : null;
  return touchedBy(plan, later, made && made.filter(({ id }) => done.has(id)));
}

/** Files `here`: their prior states must be there, and nobody may have altered since what would be replaced. */
function refuseAltered(context: Context, run: string, standing: readonly Standing[]): void {
  const { projectDir, slipwayDir } = context;
  for (const step of restores(standing, HERE)) {
    const path = textOf(step.args.path);
    if (!isKept(savedPlace(slipwayDir, run, step.args.saved, insideProject(projectDir, path))))
      refuse(notKept(path, run));
  }
  const made = standing.flatMap((one) => one.made);
  const altered = alteredSince(made, projectDir);
  if (altered !== null) refuse(alteredWords(altered, run));
}

/** A file `here` that is not as these steps left it, in the order in which they were performed. */
export function alteredSince(made: readonly Step[], projectDir: string): string | null {
  const here = made.filter(({ place }) => place === HERE);
  // Of several steps at one path the last tells how it was left.
  const last = new Map(here.map((step) => ['path' in step.args ? textOf(step.args.path) : step.id, step]));
  for (const [path, step] of last) if (!isAsLeft(step, projectDir)) return path;
  return null;
}

export const alteredWords = (path: string, run: string): string =>
  `${path} is not as run ${run} left it: somebody changed it since, and that would be lost; move it away first`;

/** The steps that put back what another one saved at a place. */
export function restores(standing: readonly Standing[], place: string): readonly Extract<Step, { kind: 'restore' }>[] {
  const made = new Set(standing.flatMap((one) => one.made.map(({ id }) => id)));
  return standing.flatMap((one) =>
    undoSteps(one).flatMap(({ step }) =>
      step.kind === 'restore' && step.place === place && made.has(step.args.saved) ? [step] : [],
    ),
  );
}

function stayingOf(plan: Plan, { lines }: KeptRun, standing: readonly Standing[]): readonly Touch[] {
  const begun = standingChanges(lines);
  return plan.nodes
    .filter(({ id }) => standing.some(({ node }) => node.id === id))
    .flatMap(({ body }) =>
      [...itemsIn(body)].flatMap((item) =>
        item.type === 'change' && item.undone === 'unless-done' && begun.has(item.id) ? item.touches : [],
      ),
    );
}
