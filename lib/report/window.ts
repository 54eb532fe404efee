import type { Plan } from '../model/plan.ts';
import type { Paint } from './colors.ts';
import { duration, type Outcomes, type TaskState } from './outcome.ts';
import { shareWords } from './progress.ts';
import { stoppingShort } from './stopping.ts';
import { fit, widthOf } from './width.ts';

/** Most rows of tasks that are ever shown at once, however many run. */
const MAX_ROWS = 8;
/** Characters of what a task is doing: no terminal is wider. */
const MAX_DOING = 500;
/** Fewer columns than these have no room for what a task is doing. */
const MIN_DOING = 4;
/** In fewer columns how far a step has come stands where the time does. */
const NARROW = 40;

/** The live view's text: one line that sums up, and a bounded number of rows for what runs and what failed. */
export interface Window {
  readonly title: string;
  readonly rows: readonly string[];
}

/** What there is for the text: lines, and the columns of a row. */
export interface Frame {
  readonly nowMs: number;
  readonly height: number;
  readonly width: number;
  readonly paint: Paint;
}

/** What the live view shows now, in at most `height` lines of at most `width` columns. */
export function windowOf(outcomes: Outcomes, plan: Plan, frame: Frame): Window {
  const { height, width, paint } = frame;
  const all = [...outcomes.tasks.values()];
  const running = all.filter(({ state }) => state === 'running');
  const failed = all.filter(({ state }) => state === 'failed');
  const counts = titleOf(all.length - running.length, plan.nodes.length, failed.length, running.length);
  const title = outcomes.stopping === null ? counts : `${stoppingShort(outcomes.stopping.goesOn)} · ${counts}`;
  // Failed ones first: they are what somebody waits to see.
  const wanted = [...failed.slice(-2), ...running];
  const room = Math.max(0, Math.min(MAX_ROWS + 1, height - 1));
  // Where not all have room, one line counts the others; of a single line a task makes more.
  const shown = wanted.slice(
    0,
    wanted.length <= Math.min(room, MAX_ROWS) ? room : Math.max(Math.min(1, room), room - 1),
  );
  const hidden = wanted.length - shown.length;
  return {
    title: widthOf(title) <= width ? title.replace(/\d+ failed/, (part) => paint('red', part)) : fit(title, width),
    rows: [
      ...shown.map((task) => row(task, frame)),
      ...(hidden > 0 && shown.length < room ? [paint('dim', fit(`… ${String(hidden)} more`, width))] : []),
    ],
  };
}

function titleOf(over: number, total: number, failed: number, running: number): string {
  const parts = [`${String(over)}/${String(total)}`, `${String(running)} running`];
  return parts.toSpliced(1, 0, ...(failed > 0 ? [`${String(failed)} failed`] : [])).join(' · ');
}

function row(task: TaskState, { nowMs, width, paint }: Frame): string {
  const failed = task.state === 'failed';
  const time = duration(failed ? task.durationMs : Math.max(0, nowMs - task.startedMs));
  const measure = width < NARROW && task.progress !== null ? shareWords(task.progress) : time;
  const name = `${failed ? '✖ ' : ''}${task.task}`;
  const left = width - widthOf(measure) - 1;
  // A long name leaves half of the row to what the task is doing.
  const short = fit(name, Math.ceil(left / 2));
  const room = left - widthOf(short) - 1;
  return room < MIN_DOING || failed
    ? `${paint(failed ? 'red' : 'cyan', fit(name, left))} ${paint('dim', measure)}`
    : `${paint('cyan', short)} ${paint('dim', `${measure} ${fit(task.doing.replaceAll('\t', ' ').slice(0, MAX_DOING), room)}`)}`;
}
