import type { Plan } from '../model/plan.ts';
import { explainFailure } from './explain.ts';
import type { Marks } from './grouped.ts';
import { neutral } from './neutral.ts';
import { failedStep, type Outcomes } from './outcome.ts';
import { outputOf } from './epilogue.ts';
import { problemsIn, type Spot } from './problems.ts';
import type { Write } from './reporter.ts';
import { itemsIn } from '../model/step.ts';

/** GitHub shows no more errors of one step. */
const MAX_ANNOTATIONS = 10;

/** Where a file that an output names is in the checkout: its path from there, `null` if it is not in it. */
export type Locate = (file: string, folder: string) => string | null;

/**
 * A workflow command, escaped as GitHub's toolkit does it
 * (docs.github.com/actions/reference/workflow-commands-for-github-actions).
 */
export function workflowCommand(name: string, properties: { readonly [name: string]: string }, data: string): string {
  const listed = Object.entries(properties).map(([key, value]) => `${key}=${property(value)}`);
  return `::${name}${listed.length === 0 ? '' : ` ${listed.join(',')}`}::${escaped(data)}\n`;
}

const escaped = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/**
 * Lines in which the runner finds no command. It takes `::name::` at the beginning of a line, behind blanks, and the
 * older `##[name]` anywhere in one (ActionCommand.cs of actions/runner); a backslash in them is seen by people.
 */
export const harmless = (text: string): string =>
  text.replace(/^([^\p{L}\p{N}\p{P}\p{S}\n]*)::/gmu, String.raw`$1\::`).replaceAll('##[', String.raw`##\[`);

/** Folds the lines of a task. */
export const foldMarks = (write: Write): Marks => ({
  open: (title) => write(workflowCommand('group', {}, title)),
  close: () => write(workflowCommand('endgroup', {}, '')),
});

/** Marks what failed in the files themselves, as far as the outputs name them; every failed task at least once. */
export function annotations({ tasks }: Outcomes, plan: Plan, locate: Locate): string {
  const errors = [...tasks.values()].flatMap((task) => {
    if (task.state !== 'failed' || task.failure === null) return [];
    const folder = folderOf(plan, failedStep(task));
    const title = task.task;
    const inFiles = problemsIn(outputOf(task, false)).flatMap(({ spots, message }) => {
      const found = spots.flatMap((spot) => placed(spot, folder, locate)).at(0);
      return found === undefined ? [] : [workflowCommand('error', { ...found, title }, message)];
    });
    const whole = workflowCommand('error', { title }, neutral(explainFailure(task.failure).message, false));
    return inFiles.length > 0 ? [...new Set(inFiles)] : [whole];
  });
  return errors.slice(0, MAX_ANNOTATIONS).join('');
}

function placed({ file, line, column }: Spot, folder: string, locate: Locate): { readonly [name: string]: string }[] {
  const path = locate(file, folder);
  return path === null ? [] : [{ file: path, line, ...(column === undefined ? {} : { col: column }) }];
}

/** The folder in which a step's command ran, from the project's. */
function folderOf(plan: Plan, id: string | null): string {
  for (const { body } of id === null ? [] : plan.nodes.filter((node) => id.startsWith(`${node.id}/`)))
    for (const item of itemsIn(body))
      if (item.type === 'step' && item.id === id && (item.kind === 'run' || item.kind === 'shell'))
        return typeof item.args.cwd === 'string' ? item.args.cwd : '.';
  return '.';
}
