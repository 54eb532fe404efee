import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Kept } from '../engine/freshness.ts';
import type { FileEntry } from '../model/check.ts';
import { DIGEST, foldersIn, openBlobs, type Blob, type Blobs } from './blobs.ts';
import { listingOf } from './fingerprint.ts';
import { sha256 } from './hash.ts';
import { safeName } from './names.ts';
import { cleanOutputs, placeOutputs, type KeptFile } from './restore.ts';
import { makePrivateFolder, writeFileAtomic } from './store.ts';

/** What tasks made, kept to be put back: contents by digest, and an entry for each key. */
export interface KeptOutputs {
  any(node: string): boolean;
  find(node: string, key: string): Kept | null;
  restore(node: string, key: string, globs: readonly string[]): boolean;
  add(node: string, key: string, kept: Kept): void;
  /** Removes what was used longest ago, until what is left fits; only if something was added. */
  evict(): void;
}

export interface KeptOutputsOptions {
  readonly projectDir: string;
  /** `.slipway/cache`. */
  readonly folder: string;
  readonly limitBytes: number;
  readonly say: (line: string) => void;
  /** A dry run only looks: what is damaged stays. */
  readonly looks: boolean;
}

interface Entry {
  readonly files: readonly KeptFile[];
  readonly facts: Kept['facts'];
  readonly tookMs: number;
}

/** Contents that no entry names may be on the way into one: they stay so long, in ms. */
const ORPHAN_MS = 3_600_000;

/** Opens what is kept of a project's outputs. */
export function openKeptOutputs({ projectDir, folder, limitBytes, say, looks }: KeptOutputsOptions): KeptOutputs {
  const blobs = openBlobs(join(folder, 'blobs'));
  const entries = join(folder, 'entries');
  const folderOf = (node: string): string => join(entries, safeName(node));
  const fileOf = (node: string, key: string): string => join(folderOf(node), `${key}.json`);
  let added = false;

  const damaged = (node: string, file: string, what: string): null => {
    say(`what was kept of ${node} is damaged (${what})${looks ? '' : ': removed'}`);
    if (!looks) fs.rmSync(file, { force: true });
    return null;
  };
  const find = (node: string, key: string): Entry | null => {
    const file = fileOf(node, key);
    if (!fs.existsSync(file)) return null;
    const entry = readEntry(file);
    if (!entry) return damaged(node, file, 'its entry');
    const lost = entry.files.find((one) => one.kind === 'file' && !blobs.has(one.digest, one.sizeBytes));
    return lost ? damaged(node, file, lost.path) : entry;
  };

  return {
    any: (node) => foldersIn(folderOf(node)).length > 0,
    find(node, key) {
      const entry = find(node, key);
      if (!entry) return null;
      const { files, facts, tookMs } = entry;
      return { outputs: listingOf(files.map(entryOf)), facts, tookMs };
    },
    restore(node, key, globs) {
      const entry = find(node, key);
      if (!entry) return false;
      cleanOutputs(projectDir, globs);
      const lost = placeOutputs(projectDir, entry.files, blobs);
      if (lost?.inTheWay) {
        say(`what was kept of ${node} cannot be put back: something is in the way of ${lost.path}`);
        return false;
      }
      if (lost) {
        for (const one of entry.files) if (one.kind === 'file') blobs.prove(one.digest);
        damaged(node, fileOf(node, key), lost.path);
        return false;
      }
      const now = new Date();
      fs.utimesSync(fileOf(node, key), now, now);
      return true;
    },
    add(node, key, kept) {
      const files = kept.outputs.entries.map((one) => describe(projectDir, one));
      const body = JSON.stringify({ files, facts: kept.facts, tookMs: kept.tookMs });
      const text = `${sha256(body)}\n${body}`;
      const sizeBytes = files.reduce((sum, one) => sum + one.sizeBytes, Buffer.byteLength(text));
      if (sizeBytes > limitBytes) return;
      for (const one of files)
        if (one.kind === 'file' && !blobs.add(one.digest, one.sizeBytes, join(projectDir, one.path))) return;
      makePrivateFolder(folderOf(node));
      writeFileAtomic(fileOf(node, key), text, 0o600, false);
      added = true;
    },
    evict() {
      // What was kept before its limit became 0 goes as well.
      if (!added && limitBytes > 0) return;
      added = false;
      evict(entries, blobs, limitBytes);
    },
  };
}

const entryOf = ({ path, kind, executable, digest }: KeptFile): FileEntry => [path, kind, executable, digest];

/** A restored file has its time again: what was compiled from it (Python's `.pyc`) says so. */
function describe(projectDir: string, [path, kind, executable, digest]: FileEntry): KeptFile {
  const stat = fs.lstatSync(join(projectDir, path));
  const { mtimeMs } = stat;
  if (kind !== 'file') return { path, kind, executable, digest, sizeBytes: 0, mtimeMs };
  return { path, kind, executable, mode: stat.mode & 0o777, digest, sizeBytes: stat.size, mtimeMs };
}

/** An entry that is whole, `null` otherwise: its first line is the digest of the rest. */
function readEntry(file: string): Entry | null {
  const text = fs.readFileSync(file, 'utf8');
  const [digest = ''] = text.split('\n', 1);
  const body = text.slice(digest.length + 1);
  if (sha256(body) !== digest) return null;
  const entry = JSON.parse(body) as Entry;
  return entry.files.every((one) => one.kind !== 'file' || DIGEST.test(one.digest)) ? entry : null;
}

/** Two runs may do this at once: each removes what it finds, and a content that was used meanwhile stays. */
function evict(folder: string, blobs: Blobs, limitBytes: number): void {
  const nowMs = Date.now();
  // Contents before entries: what an entry names that came in between is not on the list.
  const all = new Map(blobs.list().map((blob) => [blob.digest, blob]));
  const used = new Set<string>();
  const dropped = new Set<string>();
  let sumBytes = 0;
  for (const { file, sizeBytes } of entriesByUse(folder)) {
    const digests = digestsOf(file);
    const news = digests.filter((digest) => !used.has(digest));
    sumBytes += news.reduce((sum, digest) => sum + (all.get(digest)?.sizeBytes ?? 0), sizeBytes);
    if (sumBytes > limitBytes) {
      fs.rmSync(file, { force: true });
      for (const digest of news) dropped.add(digest);
      // Whatever was used even longer ago goes, too.
      sumBytes = Infinity;
    } else for (const digest of news) used.add(digest);
  }
  const unused = [...all.values()].filter(({ digest }: Blob) => !used.has(digest));
  for (const { digest } of unused) blobs.remove(digest, dropped.has(digest) ? nowMs : nowMs - ORPHAN_MS);
}

/** The files of all entries with their own sizes, the latest used first. */
function entriesByUse(folder: string): readonly { readonly file: string; readonly sizeBytes: number }[] {
  const files = foldersIn(folder).flatMap((node) =>
    foldersIn(join(folder, node)).map((name) => join(folder, node, name)),
  );
  return files
    .map((file) => ({ file, stat: fs.lstatSync(file, { throwIfNoEntry: false }) }))
    .sort((a, b) => (b.stat?.mtimeMs ?? 0) - (a.stat?.mtimeMs ?? 0))
    .map(({ file, stat }) => ({ file, sizeBytes: stat?.size ?? 0 }));
}

function digestsOf(file: string): readonly string[] {
  const entry = fs.existsSync(file) ? readEntry(file) : null;
  return [...new Set((entry?.files ?? []).flatMap(({ kind, digest }) => (kind === 'file' ? [digest] : [])))];
}
