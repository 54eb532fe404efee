import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { makePrivateFolder, writeFileAtomic } from './store.ts';

/** Hashes remembered by what `stat` says of a file. */
export interface StatCache {
  hash(path: string, stat: fs.BigIntStats, compute: () => string): string;
  /** How often it had to be computed. */
  readonly hashed: number;
  /** Keeps what was asked for in this run, and earlier entries while there are not too many. */
  save(): void;
}

/** A file that changed so shortly before it was hashed may change again without its times telling; in ms. */
const RACY_MS = 2_000;
/** Entries beyond which only those of this run are kept: files come and go. */
const MAX_ENTRIES = 200_000;

const MAGIC = Buffer.from('slipway-stat-01\n', 'latin1');
const HEADER_BYTES = 24;
/** Size, mtime and ctime in ns, inode. */
const FIELDS = 4;
const DIGEST_BYTES = 32;

/** Numbers of 64 bits are compared in halves: as bigints each would be an object. */
const WORDS = FIELDS * 2;
const wordsOf = (fields: BigInt64Array): Int32Array =>
  new Int32Array(fields.buffer, fields.byteOffset, fields.length * 2);

/** Remembered files: of each a path, fields, and a digest, all in the same row. */
interface Table {
  readonly paths: readonly string[];
  readonly fields: BigInt64Array;
  readonly digests: Buffer;
}

/** Rows that come in, in one array that grows: an array of its own for each would keep the collector busy. */
class Added {
  readonly rows = new Map<string, number>();
  readonly digests: string[] = [];
  fields = new BigInt64Array(1024 * FIELDS);
  words = wordsOf(this.fields);

  set(path: string, fields: BigInt64Array, digest: string): void {
    const row = this.digests.push(digest) - 1;
    if (this.fields.length === row * FIELDS) {
      const larger = new BigInt64Array(2 * this.fields.length);
      larger.set(this.fields);
      [this.fields, this.words] = [larger, wordsOf(larger)];
    }
    this.fields.set(fields, row * FIELDS);
    this.rows.set(path, row);
  }
}

/** What became of a row in this run. */
const ASKED = 1;
const GONE = 2;

/**
 * Opens the cache; a file that is not there, or is not whole, remembers nothing. It is a table of numbers, not JSON:
 * fifty thousand rows are there as soon as they are read.
 */
export function openStatCache(file: string, nowMs: () => number): StatCache {
  const table = read(file);
  const fate = new Uint8Array(table.paths.length);
  const added = new Added();
  const now = new BigInt64Array(FIELDS);
  const [rowWords, nowWords] = [wordsOf(table.fields), wordsOf(now)];
  let rows: ReadonlyMap<string, number> | undefined;
  let next = 0;
  let hashed = 0;
  let changed = false;
  /** Files are asked for in the order in which they were written down, unless some came or went. */
  const rowOf = (path: string): number | undefined => {
    if (table.paths[next] === path) return next++;
    rows ??= new Map(table.paths.map((one, row) => [one, row]));
    const row = rows.get(path);
    if (row !== undefined) next = row + 1;
    return row;
  };
  return {
    hash(path, stat, compute) {
      [now[0], now[1], now[2], now[3]] = [stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino];
      const row = rowOf(path);
      if (row !== undefined && same(rowWords, row * WORDS, nowWords)) {
        fate[row] = ASKED;
        return table.digests.toString('hex', row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
      }
      const own = added.rows.get(path);
      if (own !== undefined && same(added.words, own * WORDS, nowWords)) return added.digests[own] ?? '';
      // Before the file is read: a write during the read must count as after it.
      const safeMs = nowMs() - RACY_MS;
      const digest = compute();
      hashed++;
      changed = true;
      if (row !== undefined) fate[row] = GONE;
      const latestNs = stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
      // Also of a time to come, which is what a clock that jumped back leaves.
      if (latestNs / 1_000_000n < BigInt(Math.floor(safeMs))) added.set(path, now, digest);
      else added.rows.delete(path);
      return digest;
    },
    get hashed() {
      return hashed;
    },
    save() {
      if (!changed) return;
      makePrivateFolder(dirname(file));
      writeFileAtomic(file, write(table, fate, added), 0o600, false);
      changed = false;
    },
  };
}

function same(words: Int32Array, at: number, now: Int32Array): boolean {
  for (let word = 0; word < WORDS; word++) if (words[at + word] !== now[word]) return false;
  return true;
}

function read(file: string): Table {
  const nothing: Table = { paths: [], fields: new BigInt64Array(), digests: Buffer.alloc(0) };
  try {
    // A copy, since numbers of eight bytes must begin at a multiple of eight.
    const bytes = Buffer.from(new Uint8Array(fs.readFileSync(file)).buffer);
    const count = bytes.readUInt32LE(MAGIC.length);
    const digestsAt = HEADER_BYTES + count * FIELDS * 8;
    const pathsAt = digestsAt + count * DIGEST_BYTES;
    const pathBytes = bytes.readUInt32LE(MAGIC.length + 4);
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || bytes.length !== pathsAt + pathBytes) return nothing;
    const paths = count === 0 ? [] : bytes.toString('utf8', pathsAt).split('\0');
    if (paths.length !== count) return nothing;
    return {
      paths,
      fields: new BigInt64Array(bytes.buffer, HEADER_BYTES, count * FIELDS),
      digests: bytes.subarray(digestsAt, pathsAt),
    };
  } catch {
    return nothing;
  }
}

/** Rows that still hold, those that nobody asked for only while there are not too many, then what was added. */
function write(table: Table, fate: Uint8Array, added: Added): Buffer {
  const few = table.paths.length + added.rows.size <= MAX_ENTRIES;
  const rows = [...table.paths.keys()].filter((row) => fate[row] === ASKED || (few && fate[row] !== GONE));
  const count = rows.length + added.rows.size;
  const paths = Buffer.from([...rows.map((row) => table.paths[row]), ...added.rows.keys()].join('\0'), 'utf8');
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(count, MAGIC.length);
  header.writeUInt32LE(paths.length, MAGIC.length + 4);
  const fields = new BigInt64Array(count * FIELDS);
  const digests = Buffer.alloc(count * DIGEST_BYTES);
  rows.forEach((row, at) => {
    fields.set(table.fields.subarray(row * FIELDS, (row + 1) * FIELDS), at * FIELDS);
    table.digests.copy(digests, at * DIGEST_BYTES, row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
  });
  [...added.rows.values()].forEach((row, index) => {
    const at = rows.length + index;
    fields.set(added.fields.subarray(row * FIELDS, (row + 1) * FIELDS), at * FIELDS);
    digests.write(added.digests[row] ?? '', at * DIGEST_BYTES, 'hex');
  });
  return Buffer.concat([header, Buffer.from(fields.buffer), digests, paths]);
}
