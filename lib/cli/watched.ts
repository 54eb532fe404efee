import { openFingerprints } from '../host/fingerprint.ts';
import { globMatcher } from '../host/glob.ts';
import { codeOf } from '../host/store.ts';
import type { GlobSets } from '../host/watcher.ts';
import { StepFailed, UsageError } from '../model/failure.ts';
import type { Plan, PlanNode } from '../model/plan.ts';
import { HERE, itemsIn, type Step } from '../model/step.ts';
import { stepLine } from '../report/line.ts';
import type { Folders } from './project.ts';

/** Paths that are not what they were, by the task that they are inputs of. */
export type Changes = ReadonlyMap<string, readonly string[]>;

/** The inputs of a plan's tasks, and what became of them. */
export interface Watched {
  /** Those of each task by themselves. */
  readonly globs: GlobSets;
  /** Tasks that declare no inputs: what they read is not known. */
  readonly unknown: readonly PlanNode[];
  /** Those of the inputs that are links to files. */
  links(): readonly string[];
  /**
   * What differs from the last time that was asked, by content; nothing as long as a file is being replaced. Throws
   * `StepFailed` for what cannot be read.
   */
  changes(): Changes;
}

/**
 * The declared inputs of all tasks of a plan. What tasks declare to make is left out: their runs write it.
 * @throws UsageError when nothing could be watched, or a task does more than read, derive and hold services up here.
 */
export function watchedInputs(folders: Folders, plan: Plan): Watched {
  for (const node of plan.nodes) refuseToRepeat(node);
  const watched = plan.nodes.filter(({ inputs }) => inputs !== null && inputs.length > 0);
  const unknown = plan.nodes.filter(({ inputs, body }) => inputs === null && body.items.length > 0);
  if (watched.length === 0)
    throw new UsageError(
      `there is nothing to watch: ${plan.nodes.map(({ id }) => id).join(', ')} declare${plan.nodes.length === 1 ? 's' : ''} no inputs`,
      'declare what it reads: inputs: [globs]',
    );
  const isMade = globMatcher(...plan.nodes.map(({ outputs }) => outputs ?? []));
  const fingerprints = openFingerprints(folders.projectDir, folders.slipwayDir);
  const look = (): ReadonlyMap<string, ReadonlyMap<string, string>> =>
    new Map(
      watched.map(({ id, inputs }) => [
        id,
        new Map(
          fingerprints
            .inputs(inputs ?? [])
            .entries.filter(([path]) => !isMade(path))
            .map(([path, ...entry]) => [path, entry.join(' ')]),
        ),
      ]),
    );
  let seen: ReturnType<typeof look> = new Map();
  try {
    seen = look();
  } catch (error) {
    // The first run meets it as well, and says so.
    if (!(error instanceof StepFailed)) throw error;
  }
  return {
    globs: watched.map(({ inputs }) => inputs ?? []),
    unknown,
    links: () =>
      [...seen.values()].flatMap((entries) => [...entries].flatMap(([path, entry]) => (isLink(entry) ? path : []))),
    changes() {
      const before = seen;
      try {
        seen = look();
      } catch (error) {
        // Deleted between listing and reading; its end will be told.
        const code = error instanceof StepFailed && 'code' in error.failure ? error.failure.code : codeOf(error);
        if (code === 'ENOENT') return new Map();
        throw error;
      }
      return new Map(
        [...seen]
          .map(([id, now]) => [id, differing(before.get(id) ?? new Map(), now)] as const)
          .filter(([, paths]) => paths.length > 0),
      );
    },
  };
}

const isLink = (entry: string): boolean => entry.startsWith('link ');

function differing(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...before.keys(), ...now.keys()])].filter((path) => before.get(path) !== now.get(path));
}

/** A deploy with every save is not what anybody wants. */
function refuseToRepeat({ id, body }: PlanNode): void {
  for (const item of itemsIn(body)) {
    if (item.type !== 'step' || isHarmless(item)) continue;
    throw new UsageError(
      `--watch is for tasks that read and derive; ${id} does more: ${stepLine(item)}`,
      'run it without --watch, or watch a task that it needs',
    );
  }
}

const isHarmless = ({ effect, kind, place }: Step): boolean =>
  effect === 'reads' || effect === 'derives' || (kind === 'service' && place === HERE);
