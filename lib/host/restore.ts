import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Blobs } from './blobs.ts';
import { globMatcher, readGlobs } from './glob.ts';
import { BESIDE, besideBy, besideOf, codeOf } from './store.ts';
import { walkGlobs } from './walk.ts';

/** One output as it is kept: of a file the digest of its content, of a link its target. */
export interface KeptFile {
  readonly path: string;
  readonly kind: 'file' | 'link' | 'folder';
  readonly executable: 0 | 1;
  /** Permissions; what was kept by an earlier version has none. */
  readonly mode?: number;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** Removes what globs match, links themselves rather than what they point at, and the folders that this empties. */
export function cleanOutputs(projectDir: string, globs: readonly string[]): void {
  const found: string[] = [];
  walkGlobs(projectDir, readGlobs(globs), false, ({ path, kind, hides }) => {
    // Such a link is on the way to outputs, and none itself.
    if (hides) return;
    if (kind !== 'folder') fs.rmSync(join(projectDir, path), { force: true });
    found.push(kind === 'folder' ? path : dirname(path));
  });
  const matches = globMatcher(globs);
  for (const folder of new Set(found)) removeEmpty(projectDir, folder, matches);
}

/** Removes files that were not renamed to what they should be: they lie beside outputs, whose globs need not match them. */
export function tidyOutputs(projectDir: string, globs: readonly string[]): void {
  const beside = globs
    .filter((glob) => !glob.startsWith('!'))
    .map((glob) =>
      [
        ...glob
          .split('/')
          .filter((part) => part !== '')
          .slice(0, -1),
        BESIDE,
      ].join('/'),
    );
  walkGlobs(projectDir, readGlobs(globs, beside), false, ({ path, full }) => {
    const pid = besideBy(path);
    // Another process may be about to rename its own; this one has none under way.
    if (pid !== null && (pid === process.pid || !lives(pid))) fs.rmSync(full, { force: true });
  });
}

/** Asked with a signal that is none: a dry run loads this file, and nothing that could start a process. */
function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** A folder without anything in it, and those around it that become so, as far as they are outputs. */
function removeEmpty(projectDir: string, folder: string, matches: (path: string) => boolean): void {
  if (folder === '.' || !matches(folder)) return;
  try {
    fs.rmdirSync(join(projectDir, folder));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return;
  }
  removeEmpty(projectDir, dirname(folder), matches);
}

/** Why an output was not put back. */
export interface NotPlaced {
  readonly path: string;
  /** Something that is no output of the task stands there: a folder in place of a file, or the other way round. */
  readonly inTheWay: boolean;
}

/** Puts outputs where they belong; the first that cannot be, `null` when all are there. */
export function placeOutputs(projectDir: string, files: readonly KeptFile[], blobs: Blobs): NotPlaced | null {
  const ready = new Set<string>(['.']);
  for (const file of files) {
    const { path, kind } = file;
    if (!isPlain(path)) return { path, inTheWay: false };
    if (!makeFolder(projectDir, kind === 'folder' ? path : dirname(path), ready)) return { path, inTheWay: true };
    if (kind !== 'folder' && isFolder(join(projectDir, path))) return { path, inTheWay: true };
    if (kind !== 'folder' && !place(projectDir, file, blobs)) return { path, inTheWay: false };
  }
  return null;
}

/** Below the project, spelt in one way. */
const isPlain = (path: string): boolean =>
  path !== '' && !path.startsWith('/') && path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');

/** Makes a folder; false where a link or a file is in the way: nothing is ever written through a link. */
function makeFolder(projectDir: string, folder: string, ready: Set<string>): boolean {
  if (ready.has(folder)) return true;
  if (!makeFolder(projectDir, dirname(folder), ready)) return false;
  const full = join(projectDir, folder);
  const stat = fs.lstatSync(full, { throwIfNoEntry: false });
  if (stat?.isDirectory() === false) return false;
  if (!stat) fs.mkdirSync(full);
  ready.add(folder);
  return true;
}

const isFolder = (path: string): boolean => fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function place(projectDir: string, file: KeptFile, blobs: Blobs): boolean {
  const full = join(projectDir, file.path);
  if (file.kind === 'link') {
    const beside = besideOf(full);
    fs.symlinkSync(file.digest, beside);
    fs.renameSync(beside, full);
    return true;
  }
  const mode = file.mode === undefined ? (file.executable ? 0o777 : 0o666) : 0o600;
  if (!blobs.copyTo(file.digest, full, mode)) return false;
  if (file.mode !== undefined) fs.chmodSync(full, file.mode);
  fs.utimesSync(full, new Date(), new Date(file.mtimeMs));
  return true;
}
