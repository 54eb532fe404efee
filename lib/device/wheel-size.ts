import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

/** What a wheel becomes when it is unpacked. */
export interface Unpacked {
  readonly bytes: number;
  readonly files: number;
}

/** The end record of a zip file (PKWARE APPNOTE 4.3.16) with the longest comment that it may have. */
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const END_MAGIC = 0x06054b50;
const ENTRY_MAGIC = 0x02014b50;
const ENTRY_BYTES = 46;
/** For a file that is no plain zip: wheels are seldom compressed better. The device checks it whole. */
const USUAL_RATIO = 4;

/** Reads the sizes of a wheel's contents from its table of contents; the contents are not read. */
export function unpackedSize(path: string): Unpacked {
  // The upload says what is wrong with a file that went.
  if (!existsSync(path)) return { bytes: 0, files: 0 };
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const guess = { bytes: size * USUAL_RATIO, files: 1 };
    const tail = readAt(fd, Math.max(0, size - END_BYTES - MAX_COMMENT_BYTES), size);
    const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
    if (end < 0 || tail.length - end < END_BYTES || tail.readUInt32LE(end) !== END_MAGIC) return guess;
    const [length, offset] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
    return offset + length > size ? guess : (sumEntries(readAt(fd, offset, offset + length)) ?? guess);
  } finally {
    closeSync(fd);
  }
}

function sumEntries(table: Buffer): Unpacked | null {
  let [bytes, files] = [0, 0];
  for (let at = 0; at < table.length; files++) {
    if (table.length - at < ENTRY_BYTES || table.readUInt32LE(at) !== ENTRY_MAGIC) return null;
    bytes += table.readUInt32LE(at + 24);
    at += ENTRY_BYTES + table.readUInt16LE(at + 28) + table.readUInt16LE(at + 30) + table.readUInt16LE(at + 32);
  }
  return { bytes, files };
}

function readAt(fd: number, from: number, to: number): Buffer {
  const buffer = Buffer.alloc(to - from);
  return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, from));
}
