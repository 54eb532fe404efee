import type { Shown } from '../engine/show.ts';
import { createMask } from '../host/mask.ts';
import type { Plan } from '../model/plan.ts';
import { quoteWord } from '../report/quote.ts';
import { runbook } from '../report/runbook/document.ts';
import type { Context } from './context.ts';
import { toldRun } from './pages.ts';
import { readRuns } from './runs.ts';

/** What only plans, and is no part of the command that performs. */
const PLANNING = ['--runbook', '--dry-run', '-n', '--connected'];

/** Prints a shown plan as a runbook; with a kept approval (`out`), that is what its operator applies. */
export function printRunbook(
  { project, slipwayDir }: Context,
  { plan, paramSecrets }: { readonly plan: Plan; readonly paramSecrets: ReadonlyMap<string, string> },
  shown: Shown,
  out: string | null,
): void {
  const typed = process.argv.slice(2).filter((word) => !PLANNING.includes(word));
  const words = out === null ? typed : ['apply', out];
  // Masked before it is quoted: a quoted secret may look like another text.
  const mask = createMask(paramSecrets.values());
  const command = ['npm', 'run', 'task', '--', ...words].map((word) => quoteWord(mask.text(word))).join(' ');
  const summaries = new Map(project.tasks.map(({ taskName, spec }) => [taskName, spec.summary]));
  process.stdout.write(runbook({ plan, shown, command, summaries, runs: readRuns(slipwayDir).map(toldRun) }));
}
