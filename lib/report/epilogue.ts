import type { Plan } from '../model/plan.ts';
import { paintWith, type Paint } from './colors.ts';
import { explainFailure, messageLines, sharedDeaths, tailOf } from './explain.ts';
import { neutral } from './neutral.ts';
import { failedStep, type Outcomes, type TaskState } from './outcome.ts';
import type { Around } from './reporter.ts';
import { rerun } from './rerun.ts';
import { summaryLines } from './summary.ts';

export interface EpilogueOptions {
  readonly color: boolean;
  readonly around: Around;
  /** A task whose output stands right above. */
  readonly alreadyShown?: string | null;
}

/** What stands at the end of a report for people: failed tasks with their output last and whole, what is left, the sum. */
export function epilogue(outcomes: Outcomes, plan: Plan, options: EpilogueOptions): readonly string[] {
  const paint = paintWith(options.color);
  const failed = [...outcomes.tasks.values()].filter(({ failure, state }) => failure !== null && state === 'failed');
  const stopped = [...outcomes.tasks.values()].filter(
    ({ failure, state }) => failure !== null && state === 'cancelled',
  );
  const shared = sharedDeaths(plan.nodes.flatMap(({ id }) => outcomes.tasks.get(id) ?? []));
  return [
    ...failed.flatMap((task) => failedLines(task, plan, paint, shared.has(task.task), options)),
    ...(failed.length === 0 ? stopped.slice(0, 1).flatMap((task) => stoppedLine(task, paint)) : []),
    ...stopped.flatMap((task) => logLine(task, options.around)),
    ...outcomes.notPutBack.map(
      ({ id, failure }) =>
        `${paint('red', `NOT PUT BACK: ${id}:`)} ${messageLines(failure).join('; ')}; finish it with: recover`,
    ),
    ...(outcomes.putBack > 0 && outcomes.notPutBack.length === 0
      ? [`put back: ${String(outcomes.putBack)} change${outcomes.putBack === 1 ? '' : 's'}`]
      : []),
    ...[...outcomes.untold].map((what) => `${paint('yellow', 'not everybody was told:')} ${what}`),
    ...summaryLines(outcomes, plan, paint, options.around),
  ];
}

function failedLines(
  state: TaskState,
  plan: Plan,
  paint: Paint,
  isShared: boolean,
  options: EpilogueOptions,
): string[] {
  const { task, failure } = state;
  if (failure === null) return [];
  const { color, around, alreadyShown } = options;
  const { next } = explainFailure(failure);
  const [message = '', ...more] = messageLines(failure);
  const output = task === alreadyShown || isShared ? [] : outputOf(state, color);
  return [
    ...(output.length > 0 ? [paint('dim', `── output of ${task} ──`), ...output, paint('dim', '──')] : []),
    `${paint('red', `${task} failed:`)} ${message}`,
    ...more.map((line) => `  ${line}`),
    `  ${neutral(next, false)}`,
    ...logLine(state, around).map((line) => `  ${line}`),
    `  only this task again: ${rerun(task, plan, around)}`,
  ];
}

/** What the step printed that failed, as far as it is kept; safe to print. */
export function outputOf(state: TaskState, color: boolean): readonly string[] {
  const kept = state.outputs.get(failedStep(state) ?? '');
  if (kept === undefined)
    return state.failure === null ? [] : tailOf(state.failure).map((line) => neutral(line, color));
  const before = kept.dropped === 0 ? [] : [`… ${String(kept.dropped)} lines before …`];
  return [...before, ...kept.lines.map((line) => neutral(line, color))];
}

const stoppedLine = ({ task, failure }: TaskState, paint: Paint): string[] =>
  failure === null ? [] : [`${paint('yellow', `${task} stopped:`)} ${messageLines(failure).join('; ')}`];

/** Where the whole output of the step is that failed or was stopped; nothing if it printed nothing. */
function logLine(state: TaskState, { logOf }: Around): string[] {
  const id = failedStep(state);
  const log = id === null || !state.outputs.has(id) ? null : logOf(id);
  return id === null || log === null ? [] : [`whole output of ${id}: ${log}`];
}
