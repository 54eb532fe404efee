import { reasonWords } from '../checks.ts';
import type { Shown, ShownStep } from '../../engine/show.ts';
import type { Plan } from '../../model/plan.ts';
import { HERE, blocksIn, itemsIn } from '../../model/step.ts';
import type { ToldRun } from '../story.ts';
import { checklist } from './checklist.ts';
import { evidenceOf, worded } from './evidence.ts';
import { failureTable } from './failures.ts';
import { code, prose } from './markdown.ts';
import { expectedDuration, knownIssues, pastOf, type Past } from './past.ts';
import { riskOf } from './risk.ts';
import { spotsOf, type Spot } from './walk.ts';

/** What a runbook is made from: the plan, how it is shown, and what the journals hold. */
export interface RunbookSource {
  readonly plan: Plan;
  readonly shown: Shown;
  /** The command that performs it, as it is typed. */
  readonly command: string;
  /** What each task is for. */
  readonly summaries: ReadonlyMap<string, string>;
  /** All kept runs, newest first. */
  readonly runs: readonly ToldRun[];
}

const MARKS = {
  certain: '',
  conditional: ' (only if what is asked before says so)',
  repeated: ' (as often as needed)',
};

/** The plan as a runbook in Markdown. Nothing stands in it that the plan and the journals do not hold. */
export function runbook(source: RunbookSource): string {
  const { plan, shown, command, runs } = source;
  const steps = shown.tasks.flatMap((task) => task.steps);
  const spots = spotsOf(plan, steps);
  const past = pastOf(plan, runs);
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ['Purpose', purpose(source)],
    ['Risk', riskOf(plan, spots)],
    ['Expected duration', expectedDuration(past)],
    ['Before you begin', checklist(plan, spots, shown)],
    ['Steps', ['Type:', '', '```sh', command, '```', '', ...stepList(source, spots, past)]],
    ['Verification', verification(plan, spots)],
    ['If something fails', failureTable(plan, spots)],
    ['Known issues', knownIssues(past)],
  ];
  const digest = plan.digest.slice(0, 12);
  const numbers = numbersOf(plan, steps);
  const text = [
    `# Runbook: ${plan.goals.map(prose).join(', ')}`,
    '',
    `Plan ${code(digest)}, printed by ${code('--runbook')}. It holds as long as ${code('--dry-run')} ends with this plan.`,
    'A `‹…›` is known when it runs.',
    ...sections.flatMap(([title, lines]) => ['', `## ${title}`, '', ...lines]),
    '',
  ].join('\n');
  return byNumber(text, numbers, wordsOfBlocks(plan)).replace(/\n{3,}/g, '\n\n');
}

/** What steps are called; a change, or a wait, yields what its last step does. */
function numbersOf(plan: Plan, steps: readonly ShownStep[]): ReadonlyMap<string, number> {
  const numbers = new Map(steps.map(({ id }, index) => [id, index + 1]));
  for (const item of plan.nodes.flatMap(({ body }) => [...itemsIn(body)])) {
    if (item.type !== 'change' && item.type !== 'wait') continue;
    const [inner] = blocksIn(item);
    const last = inner?.items.findLast(({ id }) => numbers.has(id));
    if (last) numbers.set(item.id, numbers.get(last.id) ?? 0);
  }
  return numbers;
}

/** What blocks are told and repeated for, in words: these are values of no step. */
function wordsOfBlocks(plan: Plan): ReadonlyMap<string, string> {
  const words = new Map<string, string>();
  for (const item of plan.nodes.flatMap(({ body }) => [...itemsIn(body)])) {
    if (item.type === 'each') words.set(item.item, `one of ${worded(item.over).replace(/^‹(.*)›$/, '$1')}`);
    if (item.type === 'notifying') words.set(`${item.id}.outcome`, 'how it ended').set(`${item.id}.because`, 'why');
  }
  return words;
}

/** Ids of steps become their numbers: `‹deploy/1.2.why›` is `‹step 5: why›`. */
function byNumber(text: string, numbers: ReadonlyMap<string, number>, words: ReadonlyMap<string, string>): string {
  return text.replace(/(?:\bstep )?([^\s‹›"`]+\/\d+(?:\.\w+)*)/g, (found, id: string) => {
    const said = words.get(id);
    if (said !== undefined) return byNumber(said, numbers, words);
    const parts = id.split('.');
    for (let end = parts.length; end > 0; end--) {
      const number = numbers.get(parts.slice(0, end).join('.'));
      const field = parts.slice(end).join('.');
      if (number !== undefined) return `step ${String(number)}${field === '' ? '' : `: ${field}`}`;
    }
    return found;
  });
}

function purpose({ plan, summaries }: RunbookSource): readonly string[] {
  const goals = new Set(plan.goals);
  const line = (task: string, id: string): string => `- ${code(id)}: ${prose(summaries.get(task) ?? '')}`;
  const needed = plan.nodes.filter(({ id }) => !goals.has(id));
  return [
    ...plan.nodes.filter(({ id }) => goals.has(id)).map(({ task, id }) => line(task, id)),
    ...(needed.length === 0 ? [] : ['', 'First, what that needs:', '']),
    ...needed.map(({ task, id }) => line(task, id)),
  ];
}

function stepList({ shown }: RunbookSource, spots: readonly Spot[], { answers }: Past): readonly string[] {
  const found = new Map(spots.flatMap((spot) => (spot.what === 'step' ? [[spot.step.id, spot] as const] : [])));
  return shown.tasks.flatMap(({ task, state, check, steps }) => {
    const because = check.state === 'stale' ? check.because.map(reasonWords) : [];
    const why = state === 'fresh' ? ' (fresh: nothing to do)' : state === 'runs' ? '' : ' (skipped if nothing changed)';
    const rows = steps.flatMap((step, at) => {
      const spot = found.get(step.id);
      return spot === undefined ? [] : stepRows(spot, steps[at + 1], answers.get(step.id));
    });
    return [
      `### ${prose(task)}${why}`,
      '',
      ...(because.length > 0 ? [`Runs because ${prose(because.join('; '))}.`, ''] : []),
      ...rows,
      '',
    ];
  });
}

/** Steps of one change share their undo, which stands beneath the last of them. */
function stepRows(
  { number, step, shown }: Extract<Spot, { readonly what: 'step' }>,
  next: ShownStep | undefined,
  answer: string | undefined,
): readonly string[] {
  const shared = next !== undefined && next.parent === shown.parent && next.undo.join('\n') === shown.undo.join('\n');
  const undo = shared ? [] : shown.undo;
  return [
    `- [ ] **${String(number)}** ${code(shown.line)}${MARKS[shown.certainty]}`,
    `  - see: ${evidenceOf(step, answer)}`,
    ...undo.map((line) => `  - ↩ ${code(line)}`),
  ];
}

/** What shows that it went well: the plan's own checks once it changed the last service, and what can be asked afterwards. */
function verification(plan: Plan, spots: readonly Spot[]): readonly string[] {
  const steps = spots.filter((spot) => spot.what === 'step');
  const last = steps.findLastIndex(({ step }) => step.kind === 'service');
  const first = last === -1 ? steps.findIndex(({ step }) => step.effect === 'changes') : last;
  const checks = first === -1 ? [] : steps.slice(first).filter(({ step }) => step.effect === 'reads');
  const places = new Set(
    plan.nodes.flatMap(({ body }) => [...itemsIn(body)].flatMap((item) => (item.type === 'step' ? [item.place] : []))),
  );
  return [
    ...checks.map(({ number, shown }) => `- [ ] Step ${String(number)}, of the plan itself: ${code(shown.line)}`),
    `- [ ] The run ends with status 0, and its last lines name no failure; ${code('history')} lists it as ${code('done')}.`,
    ...[...places]
      .filter((place) => place !== HERE)
      .map(
        (place) =>
          `- [ ] ${code(`status --device ${place}`)}: the release that was meant is current and confirmed, its services run.`,
      ),
  ];
}
