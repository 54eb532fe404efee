import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { StepFailed } from '../model/failure.ts';
import { canonical, type Json } from '../model/json.ts';
import type { Cancel } from '../model/ports.ts';
import { cancelledBy } from './cancel.ts';
import { sha256 } from './hash.ts';
import { folderInside, insideProject, isBelow } from './inside.ts';
import { collect, refused, type Found } from './pack-walk.ts';
import { writeAll, writeFileAtomic } from './store.ts';
import { removeTree } from './tree.ts';

/** What `release.pack` is asked for: `from` in the project, `to` in the release, `wheels` a folder of `*.whl`. */
export interface PackArgs {
  readonly into: string;
  readonly include: readonly { readonly from: string; readonly to: string }[];
  readonly wheels?: string;
  readonly system: { readonly name: string; readonly [key: string]: Json };
}

/** One line of a manifest; folders are listed only when empty. */
type ManifestEntry =
  | {
      readonly path: string;
      readonly kind: 'file';
      readonly mode: number;
      readonly size: number;
      readonly sha256: string;
    }
  | { readonly path: string; readonly kind: 'link'; readonly target: string }
  | { readonly path: string; readonly kind: 'folder'; readonly mode: number };

/** What a pack came to: the release's id, and how much there is of it. */
export interface Packed {
  readonly release: string;
  readonly files: number;
  readonly bytes: number;
}

/** Folder of the wheels inside a release. */
const WHEELS = 'wheels';
/** First hex digits of the manifest's sha256 that are the release's id. */
const ID_DIGITS = 16;

/**
 * Copies an allow-list into `into/tree` and writes `into/manifest.json`, canonical JSON whose sha256 begins with the
 * release's id. The same files give the same id on every machine: neither times nor owners count, modes only as 0644 or 0755.
 */
export async function pack(args: PackArgs, projectDir: string, cancel: Cancel): Promise<Packed> {
  const into = insideProject(projectDir, args.into);
  const found = collect(sourcesOf(args, projectDir, into));
  removeTree(join(into, 'manifest.json'));
  removeTree(join(into, 'tree'));
  fs.mkdirSync(join(into, 'tree'), { recursive: true });
  const entries: ManifestEntry[] = [];
  for (const one of found) {
    entries.push(place(one, join(into, 'tree')));
    await turn(cancel);
  }
  const wheels = entries
    .map((entry) => entry.path)
    .filter((path) => path.startsWith(`${WHEELS}/`) && path.endsWith('.whl'));
  const manifest = canonical({
    version: 1,
    name: args.system.name,
    system: args.system,
    entries,
    wheels: args.wheels === undefined ? [] : wheels,
  });
  // Last: a tree without a manifest is no release.
  writeFileAtomic(join(into, 'manifest.json'), manifest, 0o644);
  const files = entries.filter((entry) => entry.kind === 'file');
  return {
    release: sha256(manifest).slice(0, ID_DIGITS),
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
  };
}

/** Each source with its place in the release; a source that holds the result would pack itself. */
/** The files in the project that a pack reads, absolute. */
export const filesToPack = (args: PackArgs, projectDir: string): readonly string[] =>
  collect(sourcesOf(args, projectDir, insideProject(projectDir, args.into))).flatMap((one) =>
    one.kind === 'file' ? [one.from] : one.kind === 'link' ? [join(projectDir, one.shown)] : [],
  );

function sourcesOf(
  args: PackArgs,
  projectDir: string,
  into: string,
): readonly { from: string; to: string; shown: string; only?: RegExp }[] {
  const sources = args.include.map(({ from, to }) => ({ from: folderInside(projectDir, from), to, shown: from }));
  const wheels =
    args.wheels === undefined
      ? []
      : [{ from: folderInside(projectDir, args.wheels), to: WHEELS, shown: args.wheels, only: /\.whl$/ }];
  for (const { from, shown } of [...sources, ...wheels]) {
    if (isBelow(from, into) || isBelow(into, from)) throw refused(shown, 'overlaps the folder that it is packed into');
  }
  return [...sources, ...wheels];
}

/** Lets signals and timers in between two files. */
async function turn(cancel: Cancel): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  const why = cancelledBy(cancel);
  if (why) throw new StepFailed(why);
}

function place(found: Found, tree: string): ManifestEntry {
  const { path } = found;
  const to = join(tree, path);
  fs.mkdirSync(dirname(to), { recursive: true });
  switch (found.kind) {
    case 'folder':
      fs.mkdirSync(to, { recursive: true });
      return { path, kind: 'folder', mode: 0o755 };
    case 'link':
      fs.symlinkSync(found.target, to);
      return { path, kind: 'link', target: found.target };
    case 'file': {
      const mode = found.executable ? 0o755 : 0o644;
      return { path, kind: 'file', mode, ...copyHashed(found.from, to, mode) };
    }
  }
}

const BLOCK = Buffer.allocUnsafe(1024 * 1024);

/** Hashes the very bytes that it copies, so that a file changed meanwhile cannot differ from its manifest. */
function copyHashed(from: string, to: string, mode: number): { readonly size: number; readonly sha256: string } {
  const hash = createHash('sha256');
  const source = fs.openSync(from, 'r');
  const target = fs.openSync(to, 'wx', 0o600);
  try {
    let size = 0;
    for (let read; (read = fs.readSync(source, BLOCK)) > 0; size += read) {
      const bytes = BLOCK.subarray(0, read);
      hash.update(bytes);
      writeAll(target, bytes);
    }
    fs.fchmodSync(target, mode);
    return { size, sha256: hash.digest('hex') };
  } finally {
    fs.closeSync(source);
    fs.closeSync(target);
  }
}
