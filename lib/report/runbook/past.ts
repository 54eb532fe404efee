import type { Plan } from '../../model/plan.ts';
import type { StepId } from '../../model/ref.ts';
import { textOf, type Json } from '../../model/json.ts';
import { duration } from '../outcome.ts';
import { messageLines } from '../explain.ts';
import { storyOf, type Story, type ToldRun } from '../story.ts';
import { code, prose } from './markdown.ts';

/** Longest answer of an earlier run that is shown, in characters. */
const MAX_ANSWER = 100;

/** What earlier runs of the same goals tell, newest first. */
export interface Past {
  readonly stories: readonly Story[];
  /** What each step answered when it last was done. */
  readonly answers: ReadonlyMap<StepId, string>;
}

/** The kept runs of exactly these goals, params included. */
export function pastOf(plan: Plan, runs: readonly ToldRun[]): Past {
  const same = runs.filter((run) => run.plan.goals.join('\n') === plan.goals.join('\n') && !run.alive);
  const answers = new Map<StepId, string>();
  for (const { lines } of same.toReversed())
    for (const line of lines)
      if (line.type === 'step-finished' && line.value !== null) answers.set(line.id, brief(line.value));
  return { stories: same.map(storyOf), answers };
}

function brief(value: Json): string {
  const text = textOf(value);
  return text.length <= MAX_ANSWER ? text : `${text.slice(0, MAX_ANSWER)}…`;
}

/** How long it takes, from the runs that ended well. */
export function expectedDuration({ stories }: Past): readonly string[] {
  const done = stories.filter(({ outcome }) => outcome === 'done').map(({ durationMs }) => durationMs);
  if (done.length === 0) return ['Unknown: no kept run of these goals ended well.'];
  const sorted = done.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const [least, most] = [sorted[0] ?? 0, sorted.at(-1) ?? 0];
  const from =
    sorted.length === 1 ? 'the one kept run that ended well' : `${String(sorted.length)} kept runs that ended well`;
  const range = sorted.length === 1 ? '' : `, ${duration(least)} to ${duration(most)}`;
  return [`About ${duration(median)} (${from}${range}). A task that was fresh then took no time.`];
}

/** What went wrong before: each failure once, with how often and when it was last. */
export function knownIssues({ stories }: Past): readonly string[] {
  if (stories.length === 0) return ['Unknown: no run of these goals is kept.'];
  const found = new Map<string, Story[]>();
  for (const story of stories)
    for (const issue of issuesOf(story)) found.set(issue, [...(found.get(issue) ?? []), story]);
  if (found.size === 0) return [`None: of ${String(stories.length)} kept runs of these goals none failed.`];
  return [...found].map(([issue, all]) => {
    const last = all[0];
    const times = all.length === 1 ? 'once' : `${String(all.length)} times, last`;
    return `- ${issue} (${times} on ${last?.at.slice(0, 10) ?? ''}: ${code(`show ${last?.run ?? ''}`)})`;
  });
}

function issuesOf({ outcome, tasks }: Story): readonly string[] {
  if (outcome === 'cut off' || outcome === 'recovered') return ['The runner died without a word.'];
  if (outcome === 'done' || outcome === 'cancelled' || outcome === 'running') return [];
  return tasks.flatMap(({ task, outcome: how, failure, steps, undos }) => {
    if (how !== 'failed' || failure === null) return [];
    const step = steps.findLast((one) => one.outcome === 'failed');
    const at = step === undefined ? prose(task) : `${prose(task)}, ${code(step.line)}`;
    const stuck = undos.filter(({ failures }) => failures.length > 0).length;
    const back = stuck > 0 ? `; ${String(stuck)} NOT put back` : undos.length > 0 ? '; put back' : '';
    return [`${at}: ${code(messageLines(failure).join('; '))}${back}`];
  });
}
