import { createHash, hash as hashOnce } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Found, Listing } from '../engine/freshness.ts';
import type { FileEntry } from '../model/check.ts';
import { StepFailed } from '../model/failure.ts';
import { readGlobs, wants, type Glob, type GlobSet } from './glob.ts';
import { sha256 } from './hash.ts';
import { openStatCache } from './stat-cache.ts';
import { codeOf } from './store.ts';
import { walkGlobs, type Met } from './walk.ts';

/** Finds and hashes files, and remembers hashes from run to run. */
export interface Fingerprints {
  /**
   * What lists of globs match, each with its own `!`, sorted; a folder stands for all files below it. Links are
   * followed; one to nowhere is not there.
   */
  inputs(...lists: readonly (readonly string[])[]): Found;
  /** The same of what a task made: links are links, and folders with nothing in them count. */
  outputs(globs: readonly string[]): Found;
  /** sha256 of one file's content, its links followed; `null` when it is not there. */
  file(path: string): string | null;
  /** Files hashed so far, rather than remembered. */
  readonly hashed: number;
  /** Keeps the hashes for the next run. */
  save(): void;
}

/** Opens the fingerprints of a project. */
export function openFingerprints(projectDir: string, slipwayDir: string, nowMs: () => number = Date.now): Fingerprints {
  const cache = openStatCache(join(slipwayDir, 'stat.bin'), nowMs);
  const contentOf = ({ path, full }: Met, stat: fs.BigIntStats): string => cache.hash(path, stat, () => hashFile(full));
  const fileEntry = (met: Met): FileEntry => [met.path, 'file', executable(met.stat), contentOf(met, met.stat)];
  const inputEntry = (met: Met): FileEntry | null => {
    if (met.kind === 'folder') return null;
    if (met.kind === 'file') return fileEntry(met);
    const behind = fs.statSync(met.full, { bigint: true, throwIfNoEntry: false });
    if (!behind) return null;
    return [met.path, 'link', executable(behind), sha256(`${fs.readlinkSync(met.full)}\0${contentOf(met, behind)}`)];
  };
  const outputEntry = (met: Met): FileEntry => {
    if (met.kind === 'file') return fileEntry(met);
    return [met.path, met.kind, 0, met.kind === 'link' ? fs.readlinkSync(met.full) : ''];
  };
  const list = (set: GlobSet, follow: boolean, entryOf: (met: Met) => FileEntry | null): Found => {
    const entries: FileEntry[] = [];
    let hidden: string | undefined;
    walkGlobs(projectDir, set, follow, (met) => {
      const entry = entryOf(met);
      if (entry) entries.push(entry);
      if (met.hides) hidden = met.path;
    });
    const matched = (glob: Glob): boolean => entries.some(([path]) => wants(glob, path));
    return { ...listingOf(entries), hidden, unmatched: set.wanted.flatMap((glob) => (matched(glob) ? [] : glob.text)) };
  };
  return {
    inputs: (...lists) => list(readGlobs(...lists), true, inputEntry),
    outputs: (globs) => list(readGlobs(globs), false, outputEntry),
    file(path) {
      const full = join(projectDir, path);
      const stat = fs.statSync(full, { bigint: true, throwIfNoEntry: false });
      return stat ? cache.hash(path, stat, () => hashFile(full)) : null;
    },
    get hashed() {
      return cache.hashed;
    },
    save: () => cache.save(),
  };
}

const executable = ({ mode }: fs.BigIntStats): 0 | 1 => ((mode & 0o100n) === 0n ? 0 : 1);

/** Entries with the digest of all of them. */
export const listingOf = (entries: readonly FileEntry[]): Listing => ({
  entries,
  digest: sha256(entries.map((entry) => entry.join('\0')).join('\n')),
});

const BLOCK = Buffer.allocUnsafe(256 * 1024);

/** sha256 of a file, read in blocks. */
export function hashFile(path: string): string {
  const fd = openToRead(path);
  try {
    let read = fs.readSync(fd, BLOCK);
    // Most files are no longer than one block, and take one call.
    if (read < BLOCK.length) return hashOnce('sha256', BLOCK.subarray(0, read));
    const hash = createHash('sha256');
    for (; read > 0; read = fs.readSync(fd, BLOCK)) hash.update(BLOCK.subarray(0, read));
    return hash.digest('hex');
  } finally {
    fs.closeSync(fd);
  }
}

function openToRead(path: string): number {
  try {
    return fs.openSync(path, 'r');
  } catch (error) {
    throw new StepFailed({ reason: 'file-system', code: codeOf(error), path, operation: 'hash' });
  }
}
