import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { canonical, type Json } from '../../lib/model/json.ts';

/** A packed release as `release.pack` leaves it, of these files. */
export function packedTree(
  folder: string,
  files: { readonly [path: string]: string | Buffer },
  more: {
    readonly links?: { readonly [path: string]: string };
    readonly modes?: { readonly [path: string]: number };
    readonly folders?: { readonly [path: string]: number };
  } = {},
): { readonly from: string; readonly release: string } {
  const entries = Object.entries(files).map(([path, content]): Json => {
    mkdirSync(dirname(join(folder, 'tree', path)), { recursive: true });
    writeFileSync(join(folder, 'tree', path), content);
    return {
      kind: 'file',
      path,
      mode: more.modes?.[path] ?? 0o644,
      size: Buffer.byteLength(content),
      sha256: createHash('sha256').update(content).digest('hex'),
    };
  });
  const links = Object.entries(more.links ?? {}).map(([path, target]): Json => ({ kind: 'link', path, target }));
  const folders = Object.entries(more.folders ?? {}).map(([path, mode]): Json => ({ kind: 'folder', path, mode }));
  const manifest: Json = {
    version: 1,
    entries: [...entries, ...links, ...folders],
    wheels: [],
    system: { name: 'test', services: [], reservedMb: 0, boardMb: 512, keep: 3 },
  };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  return { from: folder, release: createHash('sha256').update(canonical(manifest)).digest('hex').slice(0, 16) };
}
