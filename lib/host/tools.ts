import * as fs from 'node:fs';
import { delimiter, relative, resolve } from 'node:path';
import { isBelow } from './inside.ts';
import { statMaybe } from './walk.ts';

/**
 * What identifies the command that a word starts: of a file of the project its content, of any other its real path,
 * size and time, as installing another version changes them. `null`: there is none. A step's own PATH takes the
 * usual one's place.
 */
export function openTools(
  projectDir: string,
  hashOf: (path: string) => string | null,
  usual: string = process.env['PATH'] ?? '',
): (word: string, path?: string) => string | null {
  const root = fs.realpathSync(projectDir);
  const found = new Map<string, string | null>();
  const identify = (path: string): string | null => {
    const stat = statMaybe(path);
    // What cannot be executed is passed over, as the system does.
    if (stat?.isFile() !== true || (stat.mode & 0o111) === 0) return null;
    const real = fs.realpathSync(path);
    return isBelow(root, real) ? hashOf(relative(root, real)) : [real, stat.size, stat.mtimeMs].join('\0');
  };
  const search = (word: string, path: string): string | null => {
    for (const folder of path.split(delimiter)) {
      const identity = folder === '' ? null : identify(resolve(projectDir, folder, word));
      if (identity !== null) return identity;
    }
    return null;
  };
  return (word, path = usual) => {
    // One of the project may be made while the run goes on, and a PATH of a step's own may lead there.
    if (word.includes('/')) return identify(resolve(projectDir, word));
    if (path !== usual) return search(word, path);
    const known = found.get(word);
    if (known !== undefined) return known;
    const identity = search(word, usual);
    found.set(word, identity);
    return identity;
  };
}
