import { realpathSync, watch as watchFolder, type FSWatcher } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { StepFailed } from '../model/failure.ts';
import { globMatcher, readGlobs, type Glob } from './glob.ts';
import { codeOf } from './store.ts';

/** Tells that something may have happened to files that globs match. */
export interface Watcher {
  /** Tells of the files as well that these links lead to; asked again after each that it told of. */
  follow(links: readonly string[]): void;
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
  const [mayHold, matches] = [folderMatcher(...sets), globMatcher(...sets)];
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
  const refused = (error: unknown, path: string): void => {
    broken ??= new StepFailed({ reason: 'file-system', code: codeOf(error), path, operation: 'watch' });
    changed();
  };
  const behind = new Behind(changed, refused);
  const begun = new Promise<void>((resolve) => {
    watcher.once('ready', resolve);
    watcher.on('error', (error) => {
      // A link that leads in a circle is not there, for runs either.
      if (codeOf(error) === 'ELOOP') return;
      refused(error, projectDir);
      resolve();
    });
  });
  const sound = async (): Promise<void> => {
    await begun;
    if (broken) throw broken;
  };
  return {
    follow: (links) => behind.follow(links.map((link) => join(projectDir, link))),
    sound,
    async close() {
      behind.close();
      await watcher.close();
    },
  };
}

/** The files behind links, each of which may lie anywhere: their folders are watched, and nothing below those. */
class Behind {
  readonly #changed: () => void;
  readonly #refused: (error: unknown, path: string) => void;
  readonly #files = new Set<string>();
  readonly #folders = new Map<string, FSWatcher>();

  constructor(changed: () => void, refused: (error: unknown, path: string) => void) {
    this.#changed = changed;
    this.#refused = refused;
  }

  follow(links: readonly string[]): void {
    for (const link of links) {
      const file = realPath(link);
      if (file === null) continue;
      this.#files.add(file);
      const folder = dirname(file);
      if (!this.#folders.has(folder)) this.#watch(folder);
    }
  }

  #watch(folder: string): void {
    try {
      const watcher = watchFolder(folder, (event, name) => {
        // Its own name: it was removed or replaced.
        if (name !== null && name !== basename(folder) && !this.#files.has(join(folder, name))) return;
        // Another folder may be there by now, of which this watch would tell nothing.
        if (event === 'rename') this.#forget(folder);
        this.#changed();
      });
      watcher.on('error', (error) => this.#refused(error, folder));
      this.#folders.set(folder, watcher);
    } catch (error) {
      // Gone since the link was followed: then the link leads nowhere, which is a change.
      if (codeOf(error) === 'ENOENT') this.#changed();
      else this.#refused(error, folder);
    }
  }

  #forget(folder: string): void {
    this.#folders.get(folder)?.close();
    this.#folders.delete(folder);
  }

  close(): void {
    for (const folder of this.#folders.keys()) this.#forget(folder);
  }
}

function realPath(link: string): string | null {
  try {
    return realpathSync.native(link);
  } catch {
    return null;
  }
}

/** Which folders could hold files that globs match. */
export function folderMatcher(...sets: GlobSets): (folder: string) => boolean {
  const { wanted } = readGlobs(...sets);
  return (folder) => {
    const parts = folder === '' ? [] : folder.split('/');
    // Down to where a glob begins, and from there on.
    const leads = ({ root, enters, unwanted }: Glob): boolean =>
      parts.every((name, depth) => (root.length <= depth || root[depth] === name) && enters(name)) &&
      (folder === '' || !unwanted(folder));
    return wanted.some(leads);
  };
}
