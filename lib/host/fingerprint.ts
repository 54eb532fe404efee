import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { globSync } from 'tinyglobby';
import { StepFailed } from '../model/failure.ts';
import { openStatCache } from './stat-cache.ts';
import { codeOf } from './store.ts';

/** What one file adds to a task's key: path from the project, kind, whether it is executable, sha256 of the content, a link's target before it. */
export type FileEntry = readonly [path: string, kind: 'file' | 'link', executable: 0 | 1, sha256: string];

/** Finds and hashes files, and remembers hashes from run to run. */
export interface Fingerprints {
  /** What the globs match, sorted by path; a folder stands for all files below it. Links are followed; one to nowhere is not there. */
  expand(globs: readonly string[]): readonly FileEntry[];
  /** Keeps the hashes for the next run. */
  save(): void;
}

/** Folders that no glob goes into unless it names them. */
export const UNNAMED = ['.git', 'node_modules', '.slipway'];

/** Opens the fingerprints of a project. All of it is synchronous: three times faster than through promises, measured. */
export function openFingerprints(projectDir: string, slipwayDir: string, nowMs: () => number = Date.now): Fingerprints {
  const cache = openStatCache(join(slipwayDir, 'stat.json'), nowMs);
  const entryOf = (path: string): FileEntry[] => {
    const full = join(projectDir, path);
    const stat = fs.lstatSync(full, { bigint: true, throwIfNoEntry: false });
    // Gone since it was listed: then it is not there.
    if (!stat) return [];
    if (stat.isSymbolicLink()) return [[path, 'link', 0, hashLink(full)]];
    return [[path, 'file', (stat.mode & 0o100n) === 0n ? 0 : 1, cache.hash(path, stat, () => hashFile(full))]];
  };
  return {
    expand: (globs) => list(projectDir, globs).flatMap(entryOf),
    save: () => cache.save(),
  };
}

function list(projectDir: string, globs: readonly string[]): readonly string[] {
  const outside = globs.find((glob) => /^!?(\/|(.*\/)?\.\.(\/|$))/.test(glob));
  if (outside !== undefined)
    throw new StepFailed({
      reason: 'refused',
      message: `the glob ${JSON.stringify(outside)} is not inside the project`,
    });
  const unwanted = globs.filter((glob) => glob.startsWith('!')).map((glob) => glob.slice(1));
  const paths = new Set<string>();
  for (const [ignored, patterns] of byIgnored(globs.filter((glob) => !glob.startsWith('!')))) {
    const ignore = [
      ...unwanted,
      ...ignored
        .split('\0')
        .filter((name) => name !== '')
        .map((name) => `**/${name}`),
    ];
    for (const path of globSync([...patterns], { cwd: projectDir, dot: true, ignore, followSymbolicLinks: true }))
      paths.add(path);
  }
  return [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Globs that leave the same folders out are expanded in one walk. */
function byIgnored(globs: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const glob of globs) {
    const names = glob.split('/');
    const ignored = UNNAMED.filter((name) => !names.includes(name)).join('\0');
    groups.set(ignored, [...(groups.get(ignored) ?? []), glob]);
  }
  return groups;
}

const BLOCK = Buffer.allocUnsafe(256 * 1024);

function hashFile(path: string): string {
  const hash = createHash('sha256');
  const fd = openToRead(path);
  try {
    for (let read; (read = fs.readSync(fd, BLOCK)) > 0;) hash.update(BLOCK.subarray(0, read));
  } finally {
    fs.closeSync(fd);
  }
  return hash.digest('hex');
}

function openToRead(path: string): number {
  try {
    return fs.openSync(path, 'r');
  } catch (error) {
    throw new StepFailed({ reason: 'file-system', code: codeOf(error), path, operation: 'hash' });
  }
}

/** A link's own text, and what it brings. */
function hashLink(path: string): string {
  const hash = createHash('sha256').update(fs.readlinkSync(path));
  return hash.update(`\0${hashFile(path)}`).digest('hex');
}
