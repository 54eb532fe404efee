import { servicesOf } from '../engine/services.ts';
import type { Plan } from '../model/plan.ts';
import type { Paint } from './colors.ts';
import type { Around } from './reporter.ts';
import { duration, type Outcomes, type TaskState } from './outcome.ts';

/** Names of tasks that one line shows. */
const MAX_NAMES = 8;
/** Tasks of the critical path that are named: the longest. */
const MAX_LINKS = 6;
/** A run of fewer tasks has no path worth telling. */
const MIN_TASKS = 3;
/** Less than this is no saving, in ms. */
const MIN_SAVED_MS = 100;

/** The end of a report: what took longest, what did not run, and the sum. */
export function summaryLines(outcomes: Outcomes, plan: Plan, paint: Paint, around: Around): readonly string[] {
  const notRun = notRunIn(outcomes, plan);
  const path = criticalPath(plan, outcomes.tasks);
  return [
    ...(path === null ? [] : [`critical path ${paint('bold', duration(path.ms))}: ${path.links.join(' → ')}`]),
    ...(notRun.length === 0 || notRun.length === plan.nodes.length ? [] : [`not run: ${named(notRun)}`]),
    sum(outcomes, plan, paint, around),
  ];
}

/** Tasks that were not come to; where all went well, these are only services that nobody needed. */
const notRunIn = ({ tasks, finished }: Outcomes, plan: Plan): readonly string[] =>
  finished?.outcome === 'done' ? [] : plan.nodes.filter(({ id }) => !tasks.has(id)).map(({ id }) => id);

/** `3 done · 1 fresh · 1 failed · 2 not run · 4.2 s · 12 s saved by the cache`. */
function sum(outcomes: Outcomes, plan: Plan, paint: Paint, around: Around): string {
  const states = [...outcomes.tasks.values()].map(({ state }) => state);
  const count = (state: TaskState['state']): number => states.filter((one) => one === state).length;
  const parts = (['done', 'fresh', 'restored', 'failed', 'cancelled'] as const).flatMap((state) =>
    count(state) === 0 ? [] : [`${String(count(state))} ${state}`],
  );
  const notRun = notRunIn(outcomes, plan).length;
  if (notRun > 0) parts.push(`${String(notRun)} not run`);
  if (outcomes.finished) parts.push(duration(outcomes.finished.durationMs));
  const savedMs = saved(outcomes, plan, around);
  if (savedMs >= MIN_SAVED_MS) parts.push(`${duration(savedMs)} saved by the cache`);
  return paint(outcomes.finished?.outcome === 'done' ? 'green' : 'red', parts.join(' · '));
}

/** What tasks that were fresh or restored took when they last ran, in ms, without what they took now. */
function saved({ tasks }: Outcomes, plan: Plan, around: Around): number {
  let ms = 0;
  for (const { id, inputs, outputs } of plan.nodes) {
    const task = tasks.get(id);
    // A device that needed no change was asked: that is not the cache's doing.
    if (inputs === null || outputs === null || (task?.state !== 'fresh' && task?.state !== 'restored')) continue;
    ms += Math.max(0, (around.lastMs(id) ?? 0) - task.durationMs);
  }
  return ms;
}

/**
 * The chain of needs that took longest, by what its tasks took; `null` where there is too little to compare. A service
 * counts in the time of who waited for it: its own is as long as it was up.
 */
function criticalPath(
  plan: Plan,
  tasks: ReadonlyMap<string, TaskState>,
): { readonly ms: number; readonly links: readonly string[] } | null {
  const { services } = servicesOf(plan);
  const ran = ({ task, state }: TaskState): boolean =>
    !services.has(task) && (state === 'done' || state === 'failed' || state === 'cancelled');
  if ([...tasks.values()].filter(ran).length < MIN_TASKS) return null;
  const ends = new Map<string, { readonly ms: number; readonly before: string | null }>();
  let last: string | null = null;
  for (const { id, needs } of plan.nodes) {
    const ownMs = services.has(id) ? 0 : (tasks.get(id)?.durationMs ?? 0);
    const before = longest(needs, ends);
    ends.set(id, { ms: ownMs + (before === null ? 0 : (ends.get(before)?.ms ?? 0)), before });
    last = longest(last === null ? [id] : [last, id], ends);
  }
  const chain: TaskState[] = [];
  for (let at = last; at !== null; at = ends.get(at)?.before ?? null) {
    const task = tasks.get(at);
    if (task && ran(task)) chain.unshift(task);
  }
  return chain.length < 2 ? null : { ms: ends.get(last ?? '')?.ms ?? 0, links: linksOf(chain) };
}

function longest(ids: readonly string[], ends: ReadonlyMap<string, { readonly ms: number }>): string | null {
  const ms = (id: string): number => ends.get(id)?.ms ?? 0;
  return ids.reduce<string | null>((best, id) => (best === null || ms(id) > ms(best) ? id : best), null);
}

function linksOf(chain: readonly TaskState[]): readonly string[] {
  const shown = new Set(chain.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, MAX_LINKS));
  const links = chain.map((task) => (shown.has(task) ? `${task.task} ${duration(task.durationMs)}` : '…'));
  return links.filter((link, at) => link !== '…' || links[at - 1] !== '…');
}

function named(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}
