import * as fs from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep, basename } from 'node:path';
import { StepFailed } from '../model/failure.ts';
import { codeOf } from './store.ts';

/**
 * The absolute place of a path of the project; its folders' links are followed, its last part is not. A path that
 * leaves the project, also through a link, or names the project itself, throws `refused`.
 */
export function insideProject(projectDir: string, path: string): string {
  const outside = new StepFailed({ reason: 'refused', message: `${JSON.stringify(path)} is not inside the project` });
  if (path.includes('\0')) throw outside;
  const given = resolve(projectDir, path);
  if (given === resolve(projectDir) || !isBelow(resolve(projectDir), given)) throw outside;
  const root = fs.realpathSync(projectDir);
  const real = join(realFolder(dirname(given)), basename(given));
  if (real === root || !isBelow(root, real)) throw outside;
  return real;
}

/** The same for a folder to run in: the project itself is allowed, and links are followed to the end. */
export function folderInside(projectDir: string, path: string): string {
  if (resolve(projectDir, path) === resolve(projectDir)) return resolve(projectDir);
  const place = insideProject(projectDir, path);
  if (!isBelow(fs.realpathSync(projectDir), realFolder(place)))
    throw new StepFailed({ reason: 'refused', message: `${JSON.stringify(path)} is not inside the project` });
  return place;
}

/** True for a folder itself and everything below it. */
export function isBelow(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** A folder with all links followed; the part of it that is not there yet stays as it is. */
function realFolder(folder: string): string {
  try {
    return fs.realpathSync(folder);
  } catch (error) {
    // A link to nowhere is no missing part: made through it, the file would land at its target.
    if (codeOf(error) !== 'ENOENT' || isLink(folder))
      throw new StepFailed({ reason: 'file-system', code: codeOf(error), path: folder, operation: 'resolve' });
    return join(realFolder(dirname(folder)), basename(folder));
  }
}

function isLink(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
