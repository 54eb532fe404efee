import type { Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { Shown, ShownStep, ShownTask } from '../engine/show.ts';
import type { StepId } from '../model/ref.ts';
import { checkInShort, checkLines } from './checks.ts';
import { paintWith, type Paint } from './colors.ts';
import { explainFailure } from './explain.ts';

const MARKS = { certain: ' ', conditional: '?', repeated: '*' } as const;

/** Words for effects that people should not overlook. */
const STYLE = {
  reads: 'dim',
  derives: 'dim',
  changes: 'yellow',
  collects: 'yellow',
  tells: 'dim',
  irreversible: 'red',
} as const;

/** The columns that effects take: `irreversible` is the longest. */
const EFFECT_WIDTH = 12;

const LEGEND =
  '? only if what is asked before says so · * as often as needed · ‹…› known when it runs · ↩ how it is put back';

/**
 * A shown plan for people: grouped by task, the undo of each change once beneath its last step, the legend once.
 * With `explain` every reason why a task runs or does not.
 */
export function shownText(plan: Plan, shown: Shown, color: boolean, explain = false): string {
  const paint = paintWith(color);
  const steps = shown.tasks.flatMap((task) => task.steps);
  const width = Math.max(0, ...steps.map(({ place }) => place.length));
  return [
    ...shown.tasks.flatMap((task) => taskLines(task, shown, width, explain, paint)),
    ...(shown.refusal === null ? [] : refusalLines(shown.refusal, paint)),
    ...(steps.length === 0 ? [] : ['', paint('dim', LEGEND)]),
    `${counted(steps.length, 'step')}, nothing performed · plan ${plan.digest.slice(0, 12)}`,
    '',
  ].join('\n');
}

/** The same as the contract's JSON lines, for programs. */
export function shownJson(plan: Plan, shown: Shown, explain = false): string {
  const checks = explain ? shown.tasks.map(({ task, check }) => ({ type: 'task-checked', task, check })) : [];
  const steps = shown.tasks.flatMap((task) => task.steps);
  const lines = steps.map(({ id, task, kind, place, effect, certainty, parent, line, undo }) => ({
    ...foundDiff(shown, id),
    type: 'step',
    id,
    task,
    kind,
    place,
    effect,
    certainty,
    parent,
    line,
    undo,
  }));
  return [...checks, ...lines, { type: 'plan', digest: plan.digest, steps: steps.length }]
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');
}

function taskLines(
  { task, state, check, steps }: ShownTask,
  shown: Shown,
  width: number,
  explain: boolean,
  paint: Paint,
): string[] {
  const short = checkInShort(check);
  const why = short === '' ? '' : ` (${short})`;
  const [said = '', ...reasons] = checkLines(check);
  const title = paint('bold', task) + paint('dim', explain ? ` ${said}` : state === 'runs' ? why : ` ${state}${why}`);
  return [
    title,
    ...(explain ? reasons.map((line) => paint('dim', `  ${line}`)) : []),
    ...steps.flatMap((step, index) => [
      ...switchRow(step, steps[index - 1], width, paint),
      stepRow(step, width, paint),
      ...diffRows(foundDiff(shown, step.id).diff ?? '', paint),
      ...undoRows(step, steps[index + 1], width, paint),
    ]),
  ];
}

/** Where a dead-man's switch begins. */
function switchRow(
  { leaseMs, place }: ShownStep,
  before: ShownStep | undefined,
  width: number,
  paint: Paint,
): string[] {
  if (leaseMs === null || before?.leaseMs === leaseMs) return [];
  const says = `from here to the confirmation ${armedWords(place, leaseMs)}`;
  return [`  ${' '.repeat(EFFECT_WIDTH + 1)}${' '.repeat(width + 2)}${paint('cyan', says)}`];
}

/** What a device does by itself with a switch that is not confirmed. */
export const armedWords = (place: string, leaseMs: number): string =>
  `${place} itself puts back, after ${String(leaseMs / 1000)} s without a word from here`;

/** What a question about a change answered: a unified diff in the field `diff`. */
function foundDiff(shown: Shown, id: StepId): { readonly diff?: string } {
  const fact = shown.facts.fact(id);
  if (!fact.known || fact.value === null || typeof fact.value !== 'object' || !('diff' in fact.value)) return {};
  const { diff } = fact.value;
  return typeof diff === 'string' && diff !== '' ? { diff } : {};
}

const DIFF_STYLE: { readonly [mark: string]: 'green' | 'red' | 'cyan' } = { '+': 'green', '-': 'red', '@': 'cyan' };

function diffRows(diff: string, paint: Paint): string[] {
  const lines = diff === '' ? [] : diff.split('\n');
  return lines.map((line) => {
    const style = DIFF_STYLE[line.charAt(0)];
    return `    ${style === undefined ? line : paint(style, line)}`;
  });
}

function stepRow({ certainty, effect, place, line }: ShownStep, width: number, paint: Paint): string {
  // The line names effect and place itself, so that it stands alone elsewhere; here they are columns.
  const text = line.startsWith(`${effect} ${place}: `) ? line.slice(effect.length + place.length + 3) : line;
  return `${MARKS[certainty]} ${paint(STYLE[effect], effect.padEnd(EFFECT_WIDTH))} ${place.padEnd(width)}  ${text}`;
}

/** Steps of one change share their undo, which is shown once, after the last of them. */
function undoRows(step: ShownStep, next: ShownStep | undefined, width: number, paint: Paint): string[] {
  const same =
    next !== undefined &&
    next.parent === step.parent &&
    next.undo.length > 0 &&
    next.undo.join('\n') === step.undo.join('\n');
  if (same) return [];
  return step.undo.map((line) => `  ${' '.repeat(EFFECT_WIDTH)} ${' '.repeat(width)}  ${paint('dim', `↩ ${line}`)}`);
}

function refusalLines(failure: Failure, paint: Paint): string[] {
  const { message, next } = explainFailure(failure);
  return ['', `${paint('red', 'this would be refused:')} ${message}`, next];
}

export const counted = (count: number, what: string): string => `${String(count)} ${what}${count === 1 ? '' : 's'}`;
