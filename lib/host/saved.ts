import * as fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { sha256 } from './hash.ts';
import { safeName } from './names.ts';
import { besideOf, codeOf, makePrivateFolder, syncFolder, writeFileAtomic } from './store.ts';
import { removeTree } from './tree.ts';

/** What a step found at a path before it acted. `folders` were missing above it, outermost first, from the project. */
type Found =
  | { readonly state: 'nothing'; readonly folders: readonly string[] }
  | { readonly state: 'link'; readonly target: string }
  /** A copy; mode and times are the original's. */
  | { readonly state: 'file'; readonly mode: number; readonly atimeMs: number; readonly mtimeMs: number }
  /** Taken away by rename, whole. */
  | { readonly state: 'moved' };

/** Where one step of one run keeps what it found at one path. */
export interface Place {
  readonly folder: string;
  readonly path: string;
  /** What is kept names places from here: a checkout may be moved before it is put back. */
  readonly root: string;
}

/** A step that is repeated (`each`) may touch several paths: each is kept on its own. */
export function savedPlace(slipwayDir: string, run: string, step: string, path: string): Place {
  const root = dirname(slipwayDir);
  const name = sha256(relative(root, path)).slice(0, 16);
  return { root, path, folder: join(slipwayDir, 'saved', safeName(run), safeName(step), name) };
}

const foundPath = (place: Place): string => join(place.folder, 'found.json');
const contentPath = (place: Place): string => join(place.folder, 'content');
const backPath = (place: Place): string => join(place.folder, 'put-back');

/**
 * Keeps what is at the path, once: a second call of the same step keeps the first save. What was put back since is what
 * somebody may have altered: it is kept anew.
 */
export function save(place: Place, how: 'copy' | 'move'): void {
  if (exists(backPath(place))) removeTree(place.folder);
  if (readFound(place) === null) {
    makePrivateFolder(place.folder);
    const found = look(place, how);
    if (found.state === 'file') copyFile(place.path, contentPath(place), 0o600);
    // Last, and durable: a save without this file did not happen, and nothing was changed yet.
    writeFileAtomic(foundPath(place), JSON.stringify({ path: relative(place.root, place.path), ...found }), 0o600);
  }
  if (readFound(place)?.state === 'moved' && !exists(contentPath(place))) move(place.path, contentPath(place));
}

/**
 * Puts back what was kept; false when nothing is: then the step had not begun to act. Right however far it came, and as
 * often as it is called.
 */
export function putBack(place: Place): boolean {
  const found = readFound(place);
  if (found === null) return false;
  if (!exists(backPath(place))) {
    put(found, place);
    writeFileAtomic(backPath(place), '', 0o600);
  }
  return true;
}

function put(found: Found, place: Place): void {
  switch (found.state) {
    case 'nothing':
      removeTree(place.path);
      return removeEmpty(found.folders.map((folder) => join(place.root, folder)));
    case 'link':
      return replace(place.path, (beside) => fs.symlinkSync(found.target, beside));
    case 'file':
      return replace(place.path, (beside) => {
        copyFile(contentPath(place), beside, found.mode);
        fs.utimesSync(beside, found.atimeMs / 1000, found.mtimeMs / 1000);
      });
    case 'moved':
      // Nothing there: the tree was never taken away, or it was put back already.
      if (exists(contentPath(place))) {
        removeTree(place.path);
        move(contentPath(place), place.path);
      }
  }
}

/** Whether what was kept is still there, as it was when it was kept. */
export function isKept(place: Place): boolean {
  const found = readFound(place);
  return found !== null && (found.state === 'nothing' || found.state === 'link' || exists(contentPath(place)));
}

/** Makes something beside a path, then renames it there; a folder in the way is taken away first. */
export function replace(path: string, make: (beside: string) => void): void {
  fs.mkdirSync(dirname(path), { recursive: true });
  const beside = besideOf(path);
  try {
    make(beside);
    if (fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) removeTree(path);
    fs.renameSync(beside, path);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function look({ path, root }: Place, how: 'copy' | 'move'): Found {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return { state: 'nothing', folders: missingFolders(path).map((folder) => relative(root, folder)) };
  if (how === 'move') return { state: 'moved' };
  if (stat.isSymbolicLink()) return { state: 'link', target: fs.readlinkSync(path) };
  return { state: 'file', mode: stat.mode & 0o7777, atimeMs: stat.atimeMs, mtimeMs: stat.mtimeMs };
}

function missingFolders(path: string): string[] {
  const folder = dirname(path);
  return exists(folder) ? [] : [...missingFolders(folder), folder];
}

function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) {
    try {
      fs.rmdirSync(folder);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') return;
    }
  }
}

function readFound(place: Place): Found | null {
  try {
    return JSON.parse(fs.readFileSync(foundPath(place), 'utf8')) as Found;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function copyFile(from: string, to: string, mode: number): void {
  fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
  fs.chmodSync(to, mode);
  const fd = fs.openSync(to, 'r');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

function move(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    if (codeOf(error) !== 'EXDEV') throw error;
    // Copied under another name first: a copy cut short must not be taken for the whole.
    const beside = besideOf(to);
    fs.cpSync(from, beside, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    fs.renameSync(beside, to);
    removeTree(from);
  }
  syncFolder(dirname(to));
  syncFolder(dirname(from));
}

const exists = (path: string): boolean => fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
