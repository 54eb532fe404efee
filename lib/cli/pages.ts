import { existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { lifeOf } from '../host/identity.ts';
import { safeName } from '../host/names.ts';
import { codeOf, readEnd } from '../host/store.ts';
import { STATUS } from '../model/exit-status.ts';
import { UsageError } from '../model/failure.ts';
import type { StepLog } from '../report/html/page.ts';
import { profileJson } from '../report/profile.ts';
import { storyOf, type Story, type ToldRun } from '../report/story.ts';
import type { Context } from './context.ts';
import type { Pages } from './invocation.ts';
import { say } from './reporting.ts';
import { findRun, readRun, readRuns, type KeptRun } from './runs.ts';

/** The end of a log that a page shows, in bytes: of a step that failed, of any other, and of all together. */
const FAILED_LOG_BYTES = 128 * 1024;
const LOG_BYTES = 16 * 1024;
const ALL_LOGS_BYTES = 2 * 1024 * 1024;

const ENDINGS = { report: /\.html?$/, profile: /\.json$/ } as const;

/** A file that could not be written, or must not be, is found before anything runs. */
export function refuseWrongPages(pages: Pages): void {
  for (const flag of ['report', 'profile'] as const) {
    const file = pages[flag];
    if (file === null) continue;
    const kind = flag === 'report' ? 'report.html' : 'trace.json';
    if (!existsSync(dirname(resolve(file))))
      throw new UsageError(`there is no folder ${dirname(file)} for --${flag}`, `make it, or type --${flag} ${kind}`);
    if (existsSync(file) && (statSync(file).isDirectory() || !ENDINGS[flag].test(file)))
      throw new UsageError(`${file} is there, and does not look like a ${flag}`, `name a file like ${kind}`);
  }
}

/** Writes the pages about a kept run. */
export function pagesOf(context: Context, run: string, pages: Pages): Promise<number> {
  refuseWrongPages(pages);
  return write(context, findRun(readRuns(context.slipwayDir), run), pages);
}

/** Writes the pages about the run that this process just ended; its own status counts unless that fails. */
export async function writePages(context: Context, run: string, pages: Pages): Promise<number> {
  const kept = readRun(context.slipwayDir, run);
  return kept === null ? STATUS.failed : write(context, kept, pages);
}

async function write({ slipwayDir }: Context, kept: KeptRun, { report, profile }: Pages): Promise<number> {
  const story = storyOf(toldRun(kept));
  const written: boolean[] = [];
  if (profile !== null) written.push(keep(profile, profileJson(story)));
  if (report !== null) {
    const { reportHtml } = await import('../report/html/page.ts');
    written.push(keep(report, reportHtml(story, logsOf(slipwayDir, story))));
  }
  return written.every(Boolean) ? STATUS.done : STATUS.failed;
}

/** A kept run as reports want it. */
export function toldRun({ record, lines }: KeptRun): ToldRun {
  const { run, at, who, about, plan, owner } = record;
  return {
    run,
    at,
    who: about?.client ?? who,
    commandLine: about?.commandLine ?? null,
    commit: about?.commit ?? null,
    targets: about?.targets ?? [],
    plan,
    lines,
    alive: !lines.some(({ type }) => type === 'run-finished') && lifeOf(owner) !== 'dead',
  };
}

function keep(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { mode: 0o600 });
    return true;
  } catch (error) {
    say(`slipway: ${file} cannot be written (${codeOf(error)})`);
    return false;
  }
}

/** What steps printed: those that failed first, then the others in the order in which they began. */
function logsOf(slipwayDir: string, { run, tasks }: Story): readonly StepLog[] {
  const steps = tasks.flatMap((task) => task.steps).sort((a, b) => a.fromMs - b.fromMs);
  const failed = new Set(steps.filter(({ outcome }) => outcome !== 'done').map(({ id }) => id));
  const logs: StepLog[] = [];
  let left = ALL_LOGS_BYTES;
  for (const id of new Set([...failed, ...steps.map((step) => step.id)])) {
    const file = join(slipwayDir, 'runs', run, `${safeName(id)}.log`);
    const end = readEnd(file, Math.min(left, failed.has(id) ? FAILED_LOG_BYTES : LOG_BYTES));
    if (end === null || end.text === '') continue;
    left -= Buffer.byteLength(end.text);
    logs.push({ id, ...end });
  }
  return logs;
}
