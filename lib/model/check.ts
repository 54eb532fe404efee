import type { StepId } from './ref.ts';

/**
 * One file of a task's inputs or outputs: path from the project, kind, whether it is executable, and what counts of it:
 * sha256 of the content; of a link among outputs its target, among inputs also what it brings; of a folder nothing.
 */
export type FileEntry = readonly [path: string, kind: 'file' | 'link' | 'folder', executable: 0 | 1, digest: string];

type Difference = 'added' | 'removed' | 'changed';

/** One thing that speaks against skipping a task; `report/checks.ts` has the words. */
export type Reason =
  | { readonly reason: 'forced' | 'never-ran' | 'failed-last-time' }
  | { readonly reason: 'no-steps' | 'declares-no-inputs' | 'declares-no-outputs' | 'uses-a-secret' }
  /** While it ran last time, so that nobody knows of what it made its outputs. */
  | { readonly reason: 'edited-meanwhile'; readonly path: string }
  /** It does more than derive files here. */
  | { readonly reason: 'acts'; readonly step: StepId }
  | { readonly reason: 'input'; readonly change: Difference; readonly path: string }
  | { readonly reason: 'output'; readonly change: 'modified' | 'missing' | 'extra'; readonly path: string }
  | { readonly reason: 'variable' | 'param' | 'tool'; readonly change: Difference; readonly name: string }
  /** A value that a need yielded. */
  | { readonly reason: 'need-value'; readonly change: Difference; readonly step: StepId }
  /** What a need made. */
  | { readonly reason: 'need-output'; readonly change: Difference; readonly need: string }
  /** `parts` are the fields of a changed step: `argv`, `env` and the like. */
  | { readonly reason: 'step'; readonly change: Difference; readonly step: StepId; readonly parts: readonly string[] }
  /** The structure around its steps, or what it returns. */
  | { readonly reason: 'structure' }
  | { readonly reason: 'output-globs' }
  /** What was kept of its last run does not say what it was. */
  | { readonly reason: 'not-known' }
  /** A service that it needs, its steps or params. */
  | { readonly reason: 'service'; readonly change: Difference; readonly service: string }
  /** It needs a service of which nobody can tell whether it is the same: no inputs are declared, or it is made from what others yield. */
  | { readonly reason: 'unknown-service'; readonly service: string }
  /** So many reasons are left out. */
  | { readonly reason: 'more'; readonly count: number };

/** Whether a task runs, and why: `store` tells whether its outputs were looked for among the kept ones. */
export type Check =
  /** `tookMs`: what running it took. `unmatched`: globs among its inputs that match nothing, so that nothing there counts. */
  | { readonly state: 'fresh'; readonly tookMs: number; readonly unmatched?: readonly string[] }
  /** Outputs of an earlier run with the same key are kept, and were put back (`kept`: would be). */
  | { readonly state: 'kept' | 'restored'; readonly because: readonly Reason[]; readonly tookMs: number }
  | {
      readonly state: 'stale';
      readonly because: readonly Reason[];
      readonly store: 'not-asked' | 'missed' | 'damaged';
    }
  /** It is a service, up as long as these tasks need it; without any, until the run is cancelled. */
  | { readonly state: 'service'; readonly users: readonly string[] }
  /** Only once these tasks ran can be said whether it runs. */
  | { readonly state: 'unknown'; readonly waits: readonly string[] };
