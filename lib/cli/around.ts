import { readFileSync, statSync } from 'node:fs';
import { basename, join, relative, resolve, sep } from 'node:path';
import type { Locate } from '../report/github.ts';
import { quoteWord } from '../report/quote.ts';
import type { Around } from '../report/reporter.ts';
import { logOf } from './logs.ts';
import type { Folders } from './project.ts';

/** The npm script of which the README speaks. */
const SCRIPT = 'task';

/** What the reports of one run tell beyond its events. */
export function aroundRun(
  { projectDir, slipwayDir }: Folders,
  run: string,
  rest: readonly string[],
  lastMs: Around['lastMs'],
): Around {
  // A temporary folder goes with the run.
  const isKept = slipwayDir === join(projectDir, '.slipway');
  return {
    logOf: (step) => (isKept ? quoteWord(fromHere(logOf(slipwayDir, run, step))) : null),
    program: () => programOf(projectDir),
    rest,
    lastMs,
  };
}

function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

/** npm's script where there is one, otherwise the way in which this process was started. */
export function programOf(projectDir: string): string {
  if (hasScript(join(projectDir, 'package.json'))) return `npm run ${SCRIPT}`;
  const [, entry = ''] = process.argv;
  if (basename(entry) !== 'tasks.ts' && basename(entry) !== 'tasks.mts') return 'npx slipway';
  const launcher = (globalThis as { readonly [of: symbol]: unknown })[Symbol.for('slipway.launcher')];
  const through = typeof launcher === 'string' ? [fromHere(launcher)] : [];
  return ['node', ...process.execArgv, ...through, fromHere(entry)].map(quoteWord).join(' ');
}

function hasScript(manifest: string): boolean {
  try {
    const { scripts } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly scripts?: { [name: string]: string } };
    return scripts?.[SCRIPT] !== undefined;
  } catch {
    return false;
  }
}

/** Finds the files of a checkout that outputs name; what came from a package is nobody's to annotate. */
export function locateIn(projectDir: string, checkout: string): Locate {
  return (file, folder) => {
    const paths = [resolve(projectDir, folder, file), resolve(projectDir, file)].map((path) =>
      relative(checkout, path),
    );
    return (
      paths.find((path) => isOurs(path) && statSync(join(checkout, path), { throwIfNoEntry: false })?.isFile()) ?? null
    );
  };
}

const isOurs = (path: string): boolean => !path.split(sep).some((part) => part === '..' || part === 'node_modules');
