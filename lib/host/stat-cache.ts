import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { makePrivateFolder, writeFileAtomic } from './store.ts';

/** Hashes remembered by what `stat` says of a file. */
export interface StatCache {
  hash(path: string, stat: fs.BigIntStats, compute: () => string): string;
  /** Keeps what was asked for in this run, and earlier entries while there are not too many. */
  save(): void;
}

/** Size, mtime and ctime in ns, inode, sha256. */
type Entry = readonly [size: string, mtimeNs: string, ctimeNs: string, inode: string, sha256: string];

/** A file written so shortly before it was hashed may be written again without its times telling; in ms. */
const RACY_MS = 2_000;
const VERSION = 1;
/** Entries beyond which only those of this run are kept: files come and go. */
const MAX_ENTRIES = 200_000;

/** Opens `.slipway/stat.json`; a file that is not there, or that cannot be read, remembers nothing. */
export function openStatCache(file: string, nowMs: () => number): StatCache {
  const entries = read(file);
  const asked = new Set<string>();
  let changed = false;
  return {
    hash(path, stat, compute) {
      asked.add(path);
      const key = [stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino].map(String) as [string, string, string, string];
      const found = entries.get(path);
      if (found && key.every((part, index) => part === found[index])) return found[4];
      // Before the file is read: a write during the read must count as after it.
      const hashedMs = nowMs();
      const sha256 = compute();
      changed = true;
      if (hashedMs - Number(stat.mtimeNs / 1_000_000n) >= RACY_MS) entries.set(path, [...key, sha256]);
      else entries.delete(path);
      return sha256;
    },
    save() {
      if (!changed) return;
      if (entries.size > MAX_ENTRIES) for (const path of entries.keys()) if (!asked.has(path)) entries.delete(path);
      makePrivateFolder(dirname(file));
      writeFileAtomic(file, JSON.stringify({ version: VERSION, files: Object.fromEntries(entries) }), 0o600);
      changed = false;
    },
  };
}

function read(file: string): Map<string, Entry> {
  try {
    const { version, files } = JSON.parse(fs.readFileSync(file, 'utf8')) as { version?: unknown; files?: unknown };
    if (version !== VERSION || typeof files !== 'object' || files === null) return new Map();
    return new Map(Object.entries(files).filter((entry): entry is [string, Entry] => isEntry(entry[1])));
  } catch {
    return new Map();
  }
}

const isEntry = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 5 && value.every((part) => typeof part === 'string');
