import type { Operation } from '../model/site.ts';
import { s, type Schema } from '../model/schema.ts';
import type { Effect } from '../model/step.ts';

const operation = <S extends Schema, const E extends Effect>(spec: Operation<S, E>): Operation<S, E> => spec;

/** The questions and operations that the device agent answers; the agent in `scripts/device/agent/` carries them out. */
export const device = {
  /** What the device is: sizes in MB or bytes; `wheelPlatforms` are pip's platform tags, best first. */
  facts: operation({
    name: 'device.facts',
    effect: 'reads',
    yields: s.object({ architecture: s.string, system: s.string, python: s.string, wheelPlatforms: s.list(s.string) }),
  }),
  /** What is free at this moment, for a release of `bytes` and `files`, and a database that will be copied. */
  room: operation({
    name: 'device.room',
    effect: 'reads',
    volatile: true,
    yields: s.object({
      freeBytes: s.number,
      neededBytes: s.number,
      freeInodes: s.number,
      neededInodes: s.number,
      memoryMb: s.number,
      enough: s.boolean,
      short: s.string,
    }),
  }),
  /** Clock, root, temperature and what else decides whether a release can run there; `why` says what stands against it. */
  preflight: operation({
    name: 'device.preflight',
    effect: 'reads',
    volatile: true,
    yields: s.object({ fit: s.boolean, why: s.string }),
  }),
  /**
   * The current release and what runs. `base`: the release to go back to, `current` if it is confirmed, otherwise the
   * last that was. `intact`: everything that should run does, from `current`, and answers.
   */
  status: operation({
    name: 'release.status',
    effect: 'reads',
    yields: s.object({
      current: s.nullable(s.string),
      base: s.nullable(s.string),
      previous: s.nullable(s.string),
      intact: s.boolean,
      /** Names of services that run now, in the order in which to stop them. */
      running: s.list(s.string),
    }),
  }),
  /** Whether a release is there and was confirmed once, and its services in the order in which to start them. */
  known: operation({
    name: 'release.known',
    effect: 'reads',
    yields: s.object({ present: s.boolean, confirmed: s.boolean, services: s.list(s.string) }),
  }),
  /**
   * Whether a release's code can run on the schema that the database has now, as its own command says, and what would
   * help if not. `migrates`: its own migrations are applied first.
   */
  accepts: operation({
    name: 'release.accepts',
    effect: 'reads',
    yields: s.object({ accepts: s.boolean, detail: s.string, help: s.string }),
  }),
  /** Asks the running services of a release whether they may be stopped; `open` says what is under way. */
  safeToStop: operation({
    name: 'release.safe-to-stop',
    effect: 'reads',
    volatile: true,
    yields: s.object({ safe: s.boolean, open: s.list(s.string) }),
  }),
  /**
   * Judges a release where it runs: services answer as it `times` in a row, `everyMs` apart and within `withinMs`; no
   * more errors in their logs than before; the smoke test passes. It fails with what is wrong.
   */
  gate: operation({ name: 'release.gate', effect: 'reads', volatile: true, yields: s.object({ detail: s.string }) }),
  /** How the units of a `system`, or of a `release` that is there, differ from those that are installed; `''` without any. */
  unitsDiff: operation({ name: 'units.diff', effect: 'reads', yields: s.object({ diff: s.string }) }),
  /** Whether the secrets file on the device holds exactly `content`. */
  secretsSame: operation({ name: 'secrets.same', effect: 'reads', yields: s.object({ same: s.boolean }) }),
  /** Asks services to begin nothing new, and remembers which of them had been asked by somebody else before. */
  pause: operation({ name: 'release.pause', effect: 'changes', yields: s.null }),
  /** Asks those to go on that `pause` had paused; what somebody else had paused stays so. */
  resume: operation({ name: 'release.resume', effect: 'changes', yields: s.null }),
  /** Copies the database through SQLite's backup API, checks the copy; `null` when there is no database yet. */
  copyData: operation({
    name: 'data.copy',
    effect: 'changes',
    yields: s.object({ copy: s.nullable(s.string), bytes: s.number }),
  }),
  /** Removes a copy that was begun and not finished. */
  dropCopy: operation({ name: 'data.drop-copy', effect: 'changes', yields: s.null }),
  /** Runs the release's own migration command. */
  migrate: operation({ name: 'data.migrate', effect: 'changes', yields: s.null }),
  /** Puts a copy back in the safe order of docs/procedures; refuses while a process has the database open. */
  restoreData: operation({ name: 'data.restore', effect: 'changes', yields: s.null }),
  /** Records the release as confirmed, durably, if `current` still is that release; `withdraw` is no longer gone back to. */
  confirm: operation({ name: 'release.confirm', effect: 'changes', yields: s.null }),
  /** Takes back what `confirm` recorded in this run. */
  unconfirm: operation({ name: 'release.unconfirm', effect: 'changes', yields: s.null }),
  /** Takes the tree of a release away that this run staged and that was never confirmed, and records it as failed. */
  discard: operation({ name: 'release.discard', effect: 'changes', yields: s.null }),
  /** Removes releases beyond those kept, left-over `incoming/` folders, blobs and old data copies. */
  collect: operation({ name: 'release.collect', effect: 'collects', yields: s.object({ removed: s.list(s.string) }) }),
} as const;

/** Makes a release of an allow-list of files: a tree, and a manifest whose digest is the release's id. */
export const pack = operation({
  name: 'release.pack',
  effect: 'derives',
  yields: s.object({ release: s.string, files: s.number, bytes: s.number }),
});

/** Which machines the programs in a packed tree are for, and whether the given one runs them all; `why` names those that it does not. */
export const binaries = operation({
  name: 'release.binaries',
  effect: 'reads',
  yields: s.object({ architectures: s.list(s.string), fits: s.boolean, why: s.string }),
});
