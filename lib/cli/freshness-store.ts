import { join } from 'node:path';
import { createFreshness, type Freshness } from '../engine/freshness.ts';
import { openFingerprints } from '../host/fingerprint.ts';
import { globMatcher } from '../host/glob.ts';
import { sha256 } from '../host/hash.ts';
import { openKeptOutputs } from '../host/kept-outputs.ts';
import { tidyOutputs } from '../host/restore.ts';
import { codeOf } from '../host/store.ts';
import { openTaskStates } from '../host/task-state.ts';
import { openTools } from '../host/tools.ts';
import { UsageError } from '../model/failure.ts';
import type { Folders } from './project.ts';

/** Most that is kept of tasks' outputs unless `SLIPWAY_CACHE_MB` says otherwise, in MiB. */
const DEFAULT_LIMIT_MB = 1024;

/**
 * Freshness over the project's files, with what it knows under `.slipway/`. `save` keeps the hashes for the next run,
 * and makes room; a dry run only `looks`. Where nothing can be written there, that is said once, and tasks run.
 */
export function openFreshness(
  { projectDir, slipwayDir }: Folders,
  variable: (name: string) => string | undefined,
  say: (line: string) => void,
  mode: 'looks' | 'keeps',
): { readonly freshness: Freshness; readonly save: () => void } {
  const fingerprints = openFingerprints(projectDir, slipwayDir);
  const states = openTaskStates(slipwayDir);
  const kept = openKeptOutputs({
    projectDir,
    folder: join(slipwayDir, 'cache'),
    limitBytes: limitBytes(variable('SLIPWAY_CACHE_MB')),
    say,
    looks: mode === 'looks',
  });
  const quietly = unlessUnwritable(say);
  const freshness = createFreshness(
    {
      inputs: (...lists) => fingerprints.inputs(...lists),
      outputs: (globs) => fingerprints.outputs(globs),
      matcher: globMatcher,
      variable,
      tool: openTools(projectDir, (path) => fingerprints.file(path)),
      read: (node) => states.read(node),
      lists: (node, key) => states.lists(node, key),
      write: (node, state, lists) => quietly(undefined, () => states.write(node, state, lists)),
      tidy: (globs) => tidyOutputs(projectDir, globs),
      kept: {
        any: (node) => quietly(false, () => kept.any(node)),
        find: (node, key) => quietly(null, () => kept.find(node, key)),
        restore: (node, key, globs) => quietly(false, () => kept.restore(node, key, globs)),
        add: (node, key, what) => quietly(undefined, () => kept.add(node, key, what)),
      },
    },
    sha256,
  );
  const save = (): void =>
    quietly(undefined, () => {
      fingerprints.save();
      kept.evict();
    });
  return { freshness, save };
}

/** Does it, or says once why it could not and goes on. */
function unlessUnwritable(say: (line: string) => void): <T>(otherwise: T, work: () => T) => T {
  let said = false;
  return (otherwise, work) => {
    try {
      return work();
    } catch (error) {
      if (codeOf(error) === 'UNKNOWN') throw error;
      if (!said) say(`what tasks made cannot be kept under .slipway (${codeOf(error)}): they run without it`);
      said = true;
      return otherwise;
    }
  };
}

function limitBytes(given: string | undefined): number {
  if (given === undefined || given === '') return DEFAULT_LIMIT_MB * 2 ** 20;
  if (!/^\d{1,7}$/.test(given))
    throw new UsageError(
      `SLIPWAY_CACHE_MB must be a whole number of MiB, not ${JSON.stringify(given)}`,
      'set 0 to keep nothing',
    );
  return Number(given) * 2 ** 20;
}
