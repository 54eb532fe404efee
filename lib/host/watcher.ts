import { join, relative, sep } from 'node:path';
import { StepFailed } from '../model/failure.ts';
import { globMatcher, readGlobs, type Glob } from './glob.ts';
import { codeOf } from './store.ts';

/** Tells that something may have happened to files that globs match. */
export interface Watcher {
  /** Waits until everything is told. Throws `StepFailed` once the system refused to tell. */
  sound(): Promise<void>;
  close(): Promise<void>;
}

/** One set of globs for each task: what one of them leaves out may be another's. */
export type GlobSets = readonly (readonly string[])[];

/**
 * Watches the folders in which the globs could match something, whether they are there yet or not. Only folders are
 * watched, since a watch on each file costs seconds where there are thousands; what happened to their files, if
 * anything, is the caller's to find out.
 */
export async function openWatcher(projectDir: string, sets: GlobSets, changed: () => void): Promise<Watcher> {
  const { watch } = await import('chokidar');
  const [mayHold, matches] = [any(sets.map(folderMatcher)), any(sets.map(globMatcher))];
  const pathOf = (path: string): string => relative(projectDir, path).split(sep).join('/');
  const watcher = watch(projectDir, {
    ignoreInitial: true,
    ignored: (path, stats) => stats?.isFile() === true || !mayHold(pathOf(path)),
  });
  watcher.on('addDir', changed);
  watcher.on('unlinkDir', changed);
  watcher.on('raw', (_event, path, details) => {
    const { watchedPath = projectDir } = details as { readonly watchedPath?: string };
    // Not every system says which file it was.
    const name = path as string | null;
    if (name === null || matches(pathOf(join(watchedPath, name)))) changed();
  });
  let broken: StepFailed | undefined;
  const begun = new Promise<void>((resolve) => {
    watcher.once('ready', resolve);
    watcher.on('error', (error) => {
      broken ??= new StepFailed({ reason: 'file-system', code: codeOf(error), path: projectDir, operation: 'watch' });
      resolve();
      changed();
    });
  });
  const sound = async (): Promise<void> => {
    await begun;
    if (broken) throw broken;
  };
  return { sound, close: () => watcher.close() };
}

const any =
  (asked: readonly ((path: string) => boolean)[]) =>
  (path: string): boolean =>
    asked.some((one) => one(path));

/** Which folders could hold files that globs match. */
export function folderMatcher(globs: readonly string[]): (folder: string) => boolean {
  const { wanted, unwanted } = readGlobs(globs);
  return (folder) => {
    const parts = folder === '' ? [] : folder.split('/');
    // Down to where a glob begins, and from there on.
    const leads = ({ root, enters }: Glob): boolean =>
      parts.every((name, depth) => (root.length <= depth || root[depth] === name) && enters(name));
    return wanted.some(leads) && (folder === '' || !unwanted(folder));
  };
}
