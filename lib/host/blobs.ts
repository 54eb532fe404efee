import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { hashFile } from './fingerprint.ts';
import { besideOf, makePrivateFolder, writeAll } from './store.ts';

/** Contents by their sha256, each in a file of its own. */
export interface Blobs {
  has(digest: string, sizeBytes: number): boolean;
  /** Copies a file in; false when it is not that content any more. One that is there counts as used now. */
  add(digest: string, sizeBytes: number, from: string): boolean;
  /** Copies a content to a file that is not there; false when it is damaged: then it is removed. */
  copyTo(digest: string, to: string, mode: number): boolean;
  /** Removes a content that is not what its name says. */
  prove(digest: string): void;
  list(): readonly Blob[];
  /** Removes one, unless somebody used it since `unusedSinceMs`. */
  remove(digest: string, unusedSinceMs: number): void;
}

export interface Blob {
  readonly digest: string;
  readonly sizeBytes: number;
  /** When it was last added, in ms. */
  readonly usedMs: number;
}

const BLOCK = Buffer.allocUnsafe(256 * 1024);
/** Of digests, which name files and so must be nothing else. */
export const DIGEST = /^[0-9a-f]{64}$/;

/** Opens the blobs in a folder, which appears with the first of them. */
export function openBlobs(folder: string): Blobs {
  const pathOf = (digest: string): string => join(folder, digest.slice(0, 2), digest.slice(2));
  const statOf = (digest: string): fs.Stats | undefined => fs.lstatSync(pathOf(digest), { throwIfNoEntry: false });
  return {
    has: (digest, sizeBytes) => statOf(digest)?.size === sizeBytes,
    add(digest, sizeBytes, from) {
      const path = pathOf(digest);
      if (statOf(digest)?.size === sizeBytes) {
        const now = new Date();
        fs.utimesSync(path, now, now);
        return true;
      }
      makePrivateFolder(dirname(path));
      return copyVerified(from, path, digest, 0o600);
    },
    copyTo(digest, to, mode) {
      if (statOf(digest) && copyVerified(pathOf(digest), to, digest, mode)) return true;
      fs.rmSync(pathOf(digest), { force: true });
      return false;
    },
    prove(digest) {
      if (statOf(digest) && hashFile(pathOf(digest)) !== digest) fs.rmSync(pathOf(digest), { force: true });
    },
    list: () =>
      foldersIn(folder).flatMap((start) =>
        foldersIn(join(folder, start)).flatMap((rest) => {
          const stat = statOf(start + rest);
          return stat ? [{ digest: start + rest, sizeBytes: stat.size, usedMs: stat.mtimeMs }] : [];
        }),
      ),
    remove(digest, unusedSinceMs) {
      const stat = statOf(digest);
      if (stat && stat.mtimeMs < unusedSinceMs) fs.rmSync(pathOf(digest), { force: true });
    },
  };
}

/** Names in a folder; one that is not there has none, nor has a file that somebody left in its place. */
export const foldersIn = (folder: string): readonly string[] =>
  fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? fs.readdirSync(folder) : [];

/** Copies beside the target and renames, only if what was read has that digest. */
function copyVerified(from: string, to: string, digest: string, mode: number): boolean {
  const beside = besideOf(to);
  try {
    const whole = copy(from, beside, mode) === digest;
    if (whole) fs.renameSync(beside, to);
    return whole;
  } finally {
    fs.rmSync(beside, { force: true });
  }
}

function copy(from: string, to: string, mode: number): string {
  const source = fs.openSync(from, 'r');
  try {
    const target = fs.openSync(to, 'wx', mode);
    try {
      const hash = createHash('sha256');
      for (let read; (read = fs.readSync(source, BLOCK)) > 0;) {
        const piece = BLOCK.subarray(0, read);
        hash.update(piece);
        writeAll(target, piece);
      }
      return hash.digest('hex');
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
}
