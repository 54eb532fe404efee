import type { Plan } from '../model/plan.ts';
import type { Paint } from './colors.ts';
import { duration, type Outcomes, type TaskState } from './outcome.ts';

/** Most rows of tasks that are ever shown at once, however many run. */
const MAX_ROWS = 8;

/** Characters of what a task is doing: no terminal is wider. */
const MAX_DOING = 500;

/** The live view's text: one line that sums up, and a bounded number of rows for what runs and what failed. */
export interface Window {
  readonly title: string;
  readonly rows: readonly string[];
}

/** What the live view shows now, in at most `height` lines. */
export function windowOf(
  outcomes: Outcomes,
  plan: Plan,
  options: { readonly nowMs: number; readonly height: number; readonly paint: Paint },
): Window {
  const { nowMs, height, paint } = options;
  const all = [...outcomes.tasks.values()];
  const running = all.filter(({ state }) => state === 'running');
  const failed = all.filter(({ state }) => state === 'failed');
  const over = all.length - running.length;
  const title = [
    `${String(over)}/${String(plan.nodes.length)}`,
    ...(failed.length > 0 ? [paint('red', `${String(failed.length)} failed`)] : []),
    `${String(running.length)} running`,
  ].join(' · ');
  // Beside the rows there are the title, the count of hidden ones, and the line that the cursor stands on.
  const room = Math.max(1, Math.min(MAX_ROWS, height - 3));
  // Failed ones first: they are what somebody waits to see.
  const shown = [...failed.slice(-2), ...running].slice(0, room);
  const hidden = running.length + Math.min(2, failed.length) - shown.length;
  return {
    title,
    rows: [
      ...shown.map((task) => row(task, nowMs, paint)),
      ...(hidden > 0 ? [paint('dim', `… ${String(hidden)} more`)] : []),
    ],
  };
}

function row({ task, state, startedMs, doing, durationMs }: TaskState, nowMs: number, paint: Paint): string {
  if (state === 'failed') return `${paint('red', '✖')} ${task} ${paint('dim', duration(durationMs))}`;
  return `${paint('cyan', task)} ${paint('dim', duration(Math.max(0, nowMs - startedMs)))} ${paint('dim', doing.replaceAll('\t', ' ').slice(0, MAX_DOING))}`;
}
