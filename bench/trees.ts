import { createHash, randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { canonical } from '../lib/model/json.ts';

/** A packed tree, as `release.pack` leaves it, and the release that it is. */
export interface BenchTree {
  readonly from: string;
  readonly release: string;
}

/** Sizes of files beside the mean: many small ones, a few large ones. */
const SIZES = [0.1, 0.25, 0.5, 1, 3.15];
const MEAN_BYTES = 40_000;
const PER_FOLDER = 50;

/** Makes files of 40 KB on average: bytes at random, which nothing compresses, or pieces of a program's source. */
export function makeTree(from: string, files: number, content: 'random' | 'source'): BenchTree {
  mkdirSync(join(from, 'tree'), { recursive: true });
  for (let index = 0; index < files; index++) fill(from, index, content, '');
  return packed(from);
}

/** The same tree with every hundredth file changed. */
export function changedTree(tree: BenchTree, from: string, files: number, content: 'random' | 'source'): BenchTree {
  mkdirSync(from);
  cpSync(join(tree.from, 'tree'), join(from, 'tree'), { recursive: true, preserveTimestamps: true });
  for (let index = 7; index < files; index += 100) fill(from, index, content, 'changed');
  return packed(from);
}

function fill(from: string, index: number, content: 'random' | 'source', salt: string): void {
  const size = Math.round(MEAN_BYTES * (SIZES[index % SIZES.length] ?? 1));
  const folder = join(from, 'tree', `d${String(Math.floor(index / PER_FOLDER))}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `f${String(index)}.js`),
    content === 'random' ? randomBytes(size) : piece(index, size, salt),
  );
}

let source: Buffer | null = null;

/** Some hundred lines of TypeScript's compiler, others for each file. */
function piece(index: number, size: number, salt: string): Buffer {
  source ??= readFileSync(createRequire(import.meta.url).resolve('typescript'));
  const head = Buffer.from(`// ${salt} file ${String(index)}\n`);
  const at = (index * 41_777) % (source.length - size);
  return Buffer.concat([head, source.subarray(at, at + size - head.length)]);
}

function packed(from: string): BenchTree {
  const entries = readdirSync(join(from, 'tree'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const content = readFileSync(join(entry.parentPath, entry.name));
      const path = join(entry.parentPath, entry.name).slice(join(from, 'tree').length + 1);
      const sha256 = createHash('sha256').update(content).digest('hex');
      return { kind: 'file', path, mode: 0o644, size: content.length, sha256 };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const system = { name: 'bench', services: [], reservedMb: 0, boardMb: 512, keep: 3 };
  const text = canonical({ version: 1, entries, wheels: [], system });
  writeFileSync(join(from, 'manifest.json'), text);
  return { from, release: createHash('sha256').update(text).digest('hex').slice(0, 16) };
}
