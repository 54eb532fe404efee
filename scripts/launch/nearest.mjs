import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The nearest file of a name in a folder or above it, and where it is missing on the way there.
 * @type {(folder: string, name: string) => { found: string | null, absent: readonly string[] }}
 */
export function nearest(folder, name) {
  /** @type {string[]} */
  const absent = [];
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, name);
    if (existsSync(path)) return { found: path, absent };
    absent.push(path);
    if (dirname(at) === at) return { found: null, absent };
  }
}
