import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { StepFailed } from '../model/failure.ts';
import { wants, type Glob, type GlobSet } from './glob.ts';
import { codeOf } from './store.ts';

/** Something that globs match: a file, a link, or a folder with nothing in it. Paths are from the project. */
export interface Met {
  readonly path: string;
  readonly full: string;
  readonly kind: 'file' | 'link' | 'folder';
  readonly stat: fs.BigIntStats;
  /** A link that is not followed, behind which a glob looks for what it matches. */
  readonly hides?: true;
}

interface Folder {
  readonly path: string;
  readonly full: string;
  /** Globs that may match something below. */
  readonly globs: readonly Glob[];
  readonly depth: number;
  /** Real paths of the folders whose links were followed to get here. */
  readonly followed: readonly string[];
  /** Of the whole walk: links to folders that were followed below another one. */
  readonly links: { count: number };
}

/** Folders that link to each other are walked on each of the ways through them, which soon are more than anybody waits for. */
const MAX_LINKS = 5_000;

/**
 * Calls `meet` for everything that globs match, in one walk, in the order of names. All of it is synchronous: three
 * times faster than through promises, measured. `follow` goes through links to folders, each once on one way.
 */
export function walkGlobs(projectDir: string, set: GlobSet, follow: boolean, meet: (met: Met) => void): void {
  if (set.wanted.length === 0) return;
  walkFolder(
    { path: '', full: projectDir, globs: set.wanted, depth: 0, followed: [], links: { count: 0 } },
    follow,
    meet,
  );
}

function walkFolder(folder: Folder, follow: boolean, meet: (met: Met) => void): number {
  const names = namesIn(folder);
  for (const name of names) {
    const globs = below(folder, name);
    if (globs.length === 0) continue;
    const path = folder.path === '' ? name : `${folder.path}/${name}`;
    const full = `${folder.full}/${name}`;
    const stat = fs.lstatSync(full, { bigint: true, throwIfNoEntry: false });
    if (!stat) {
      // Gone since it was listed: then it is not there. A name that is no UTF-8 only seems to be gone.
      if (name.includes('\ufffd')) refuseName({ ...folder, globs }, name, path);
      continue;
    }
    if (stat.isFile()) {
      if (wanted(globs, path)) meet({ path, full, kind: 'file', stat });
    } else if (stat.isDirectory()) {
      const inside = open(globs, path);
      if (inside.length === 0) continue;
      const count = walkFolder({ ...folder, path, full, globs: inside, depth: folder.depth + 1 }, follow, meet);
      if (count === 0 && wanted(inside, path)) meet({ path, full, kind: 'folder', stat });
    } else if (stat.isSymbolicLink()) {
      if (follow) followLink({ ...folder, path, full, globs }, stat, meet);
      else if (globs.some(({ root, below }) => root.length + (below ? 1 : 0) > folder.depth + 1))
        meet({ path, full, kind: 'link', stat, hides: true });
      else if (wanted(globs, path)) meet({ path, full, kind: 'link', stat });
    }
  }
  return names.length;
}

/** Nobody could ask for it again, or notice what becomes of it. */
function refuseName({ full, globs }: Folder, name: string, path: string): void {
  const found = fs.readdirSync(full, { withFileTypes: true }).find((one) => one.name === name);
  if (!found || open(globs, path).length === 0 || (found.isFile() && !wanted(globs, path))) return;
  throw new StepFailed({ reason: 'file-system', code: 'EILSEQ', path: `${full}/${name}`, operation: 'name' });
}

function wanted(globs: readonly Glob[], path: string): boolean {
  for (const glob of globs) if (wants(glob, path)) return true;
  return false;
}

/** The globs that do not leave a folder out; the same list when none does. */
function open(globs: readonly Glob[], folder: string): readonly Glob[] {
  return globs.some((glob) => glob.unwanted(folder)) ? globs.filter((glob) => !glob.unwanted(folder)) : globs;
}

/** A link to nowhere is not there; one to a folder is that folder, unless it leads back to where the walk is. */
function followLink(link: Folder, stat: fs.BigIntStats, meet: (met: Met) => void): void {
  const target = statMaybe(link.full);
  if (target?.isFile() === true && wanted(link.globs, link.path))
    meet({ path: link.path, full: link.full, kind: 'link', stat });
  if (target?.isDirectory() !== true) return;
  const globs = open(link.globs, link.path);
  if (globs.length === 0) return;
  // Node's own asks for each part of a path.
  const real = fs.realpathSync.native(link.full);
  const here = fs.realpathSync.native(dirname(link.full));
  if (`${here}/`.startsWith(`${real}/`) || link.followed.includes(real)) return;
  if (link.followed.length > 0 && ++link.links.count > MAX_LINKS)
    throw new StepFailed({ reason: 'file-system', code: 'ELOOP', path: link.full, operation: 'follow' });
  walkFolder({ ...link, globs, depth: link.depth + 1, followed: [...link.followed, real] }, true, meet);
}

/** What is at a path, its links followed; nothing where they lead nowhere or in a circle. */
export function statMaybe(path: string): fs.Stats | undefined {
  try {
    return fs.statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (codeOf(error) === 'ELOOP') return undefined;
    throw error;
  }
}

/** What to look at in a folder: all of it, or, above where every glob begins, only the ways there. */
function namesIn({ full, globs, depth }: Folder): readonly string[] {
  if (globs.every(({ root }) => root.length > depth))
    return [...new Set(globs.map(({ root }) => root[depth] ?? ''))].sort();
  try {
    return fs.readdirSync(full).sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new StepFailed({ reason: 'file-system', code: codeOf(error), path: full, operation: 'list' });
  }
}

/** The globs that may match a name or something below it; the same list when all may, as almost everywhere. */
function below({ globs, depth }: Folder, name: string): readonly Glob[] {
  const may = ({ root, enters }: Glob): boolean => (root.length <= depth || root[depth] === name) && enters(name);
  return globs.every(may) ? globs : globs.filter(may);
}
