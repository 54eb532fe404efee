import { join, relative, sep } from 'node:path';
import { watch } from 'chokidar';
import picomatch from 'picomatch';
import { StepFailed } from '../model/failure.ts';
import { UNNAMED } from './fingerprint.ts';
import { codeOf } from './store.ts';

/** Tells that something may have happened to files that globs match. */
export interface Watcher {
  /** Waits until everything is told. Throws `StepFailed` once the system refused to tell. */
  sound(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Watches the folders in which the globs could match something, whether they are there yet or not. Only folders are
 * watched, since a watch on each file costs seconds where there are thousands; what happened to their files, if
 * anything, is the caller's to find out.
 */
export function openWatcher(projectDir: string, globs: readonly string[], changed: () => void): Watcher {
  const { mayHold, matches } = matcher(globs);
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

/** What globs match, a folder standing for all files below it, and which folders could hold such files. */
export function matcher(globs: readonly string[]): {
  readonly matches: (path: string) => boolean;
  readonly mayHold: (folder: string) => boolean;
} {
  const options = { dot: true };
  const unwanted = globs.filter((glob) => glob.startsWith('!')).map((glob) => glob.slice(1));
  const isUnwanted = unwanted.length === 0 ? (): boolean => false : picomatch(unwanted, options);
  const wanted = globs
    .filter((glob) => !glob.startsWith('!'))
    .map((glob) => {
      const matches = picomatch([glob, `${glob.replace(/\/$/, '')}/**`], options);
      const base = picomatch.scan(glob.replace(/^\.\//, '')).base.replace(/^\.$/, '');
      const left = UNNAMED.filter((name) => !glob.split('/').includes(name));
      return { matches, base, left };
    });
  const passes = (path: string, left: readonly string[]): boolean =>
    !path.split('/').some((name) => left.includes(name));
  return {
    matches: (path) => !isUnwanted(path) && wanted.some((one) => one.matches(path) && passes(path, one.left)),
    mayHold: (folder) =>
      folder === '' ||
      (!isUnwanted(folder) &&
        wanted.some(({ base, left }) => (isBelow(base, folder) || isBelow(folder, base)) && passes(folder, left))),
  };
}

const isBelow = (path: string, folder: string): boolean =>
  folder === '' || path === folder || path.startsWith(`${folder}/`);
