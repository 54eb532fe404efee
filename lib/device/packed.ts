import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import { check, s, type Infer } from '../model/schema.ts';
import { unpackedSize } from './wheel-size.ts';

const file = s.object({ path: s.string, sha256: s.string, size: s.number });
const manifestSchema = s.object({ entries: s.json, wheels: s.list(s.string) });

/** A file of a packed tree, `path` relative to it. */
export type PackedFile = Infer<typeof file>;

/** A packed release: what `release.pack` left in a folder. */
export interface Packed {
  /** The manifest as it is written: canonical JSON, of which the release's id is the digest. */
  readonly text: string;
  readonly files: readonly PackedFile[];
  /** The same by their place among the manifest's entries. */
  readonly byEntry: ReadonlyMap<number, PackedFile>;
  /** Number of files, folders and links. */
  readonly entries: number;
  /** Which of the files are wheels. */
  readonly wheels: readonly string[];
  /** The folder that holds the files. */
  readonly tree: string;
}

type Read = { readonly ok: true; readonly packed: Packed } | { readonly ok: false; readonly failure: Failure };

/** Reads `<from>/manifest.json`; `from` is relative to the project. */
export function readPacked(projectDir: string, from: string): Read {
  const folder = resolve(projectDir, from);
  const path = join(folder, 'manifest.json');
  let text: string;
  let manifest: Json;
  try {
    text = readFileSync(path, 'utf8');
    manifest = JSON.parse(text) as Json;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== undefined) return { ok: false, failure: { reason: 'file-system', code, path, operation: 'read' } };
    return {
      ok: false,
      failure: { reason: 'unexpected-value', what: path, at: '', expected: 'JSON', actual: 'other text' },
    };
  }
  const checked = check(manifestSchema, manifest);
  if (!checked.fits) return { ok: false, failure: { reason: 'unexpected-value', what: path, ...checked.mismatch } };
  const { entries, wheels } = checked.value as Infer<typeof manifestSchema>;
  if (!Array.isArray(entries))
    return {
      ok: false,
      failure: { reason: 'unexpected-value', what: path, at: 'entries', expected: 'list', actual: 'something else' },
    };
  const byEntry = new Map<number, PackedFile>();
  for (const [index, entry] of (entries as readonly Json[]).entries()) {
    if (!isFile(entry)) continue;
    if (!isPackedFile(entry)) {
      const one = check(file, entry, `entries.${String(index)}`);
      if (!one.fits) return { ok: false, failure: { reason: 'unexpected-value', what: path, ...one.mismatch } };
    }
    byEntry.set(index, entry as unknown as PackedFile);
  }
  const files = [...byEntry.values()];
  return { ok: true, packed: { text, files, byEntry, entries: entries.length, wheels, tree: join(folder, 'tree') } };
}

/** Folders and links are in the manifest alone: they have no content to send. */
function isFile(entry: Json): entry is { readonly [key: string]: Json } {
  return entry !== null && typeof entry === 'object' && (entry as { readonly [key: string]: Json })['kind'] === 'file';
}

/** The schema can say what is wrong, but takes its time, and there are thousands. */
function isPackedFile(entry: { readonly [key: string]: Json }): boolean {
  const { path, sha256, size } = entry;
  return typeof path === 'string' && typeof sha256 === 'string' && typeof size === 'number';
}

/**
 * The room that a release takes while it is staged, as `device.room` wants it: contents lie among the blobs and in the
 * tree for a moment, and wheels unpacked beside themselves.
 */
export function sizeOf({ files, entries, wheels, tree }: Packed): { readonly bytes: number; readonly files: number } {
  const sent = files.reduce((sum, file) => sum + file.size, 0);
  const unpacked = wheels.map((wheel) => unpackedSize(join(tree, wheel)));
  return {
    bytes: 2 * sent + unpacked.reduce((sum, one) => sum + one.bytes, 0),
    files: entries + files.length + unpacked.reduce((sum, one) => sum + one.files, 0),
  };
}
