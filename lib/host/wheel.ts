import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, inflateRawSync } from 'node:zlib';
import { machineOf, processor, type Machine } from './binary.ts';

/** Parts of a zip file (PKWARE APPNOTE 4.3): the end record with the longest comment that it may have, entries, headers. */
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const ENTRY_MAGIC = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;
/** Enough packed bytes to unpack the head of a file, the longest table of codes included. */
const PACKED_HEAD_BYTES = 2_048;

/** The machines that a wheel's file name says it is for (PEP 425); `null`: any. */
export function machinesOfTag(fileName: string): readonly Machine[] | null {
  const platforms = (
    fileName
      .replace(/\.whl$/, '')
      .split('-')
      .at(-1) ?? 'any'
  ).split('.');
  if (platforms.includes('any')) return null;
  return platforms.flatMap(machinesOfPlatform);
}

function machinesOfPlatform(platform: string): readonly Machine[] {
  const mac = /^macosx_\d+_\d+_(.+)$/.exec(platform)?.[1];
  if (mac !== undefined) {
    const both = mac === 'universal2' ? ['x86_64', 'arm64'] : [mac];
    return both.map((one) => ({ system: 'Darwin', architecture: processor(one) }));
  }
  const windows = /^win(?:_(.+)|32)$/.exec(platform);
  if (windows) return [{ system: 'Windows', architecture: processor(windows[1] ?? 'i686') }];
  const linux = /^(?:linux|manylinux\d+|manylinux_\d+_\d+|musllinux_\d+_\d+)_(.+)$/.exec(platform)?.[1];
  return linux === undefined ? [] : [{ system: 'Linux', architecture: processor(linux) }];
}

/** The shared objects inside a wheel with the machines that they are for; none where it is no plain zip: the device checks it whole. */
export function binariesInWheel(path: string): readonly { readonly name: string; readonly machine: Machine }[] {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const tail = readAt(fd, Math.max(0, size - END_BYTES - MAX_COMMENT_BYTES), size);
    const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
    if (end < 0 || tail.length - end < END_BYTES) return [];
    const [length, offset] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
    if (offset + length > size) return [];
    return entries(readAt(fd, offset, offset + length)).flatMap((entry) => {
      const machine = /\.so(\.\d+)*$/.test(entry.name) ? machineOf(head(fd, entry)) : null;
      return machine === null ? [] : [{ name: entry.name, machine }];
    });
  } finally {
    closeSync(fd);
  }
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packedBytes: number;
  readonly offset: number;
}

function entries(table: Buffer): readonly Entry[] {
  const found: Entry[] = [];
  for (let at = 0; table.length - at >= ENTRY_BYTES && table.readUInt32LE(at) === ENTRY_MAGIC;) {
    const nameEnd = at + ENTRY_BYTES + table.readUInt16LE(at + 28);
    found.push({
      name: table.toString('utf8', at + ENTRY_BYTES, nameEnd),
      method: table.readUInt16LE(at + 10),
      packedBytes: table.readUInt32LE(at + 20),
      offset: table.readUInt32LE(at + 42),
    });
    at = nameEnd + table.readUInt16LE(at + 30) + table.readUInt16LE(at + 32);
  }
  return found;
}

/** The first bytes of an entry; empty when they cannot be unpacked. */
function head(fd: number, { method, packedBytes, offset }: Entry): Buffer {
  const local = readAt(fd, offset, offset + LOCAL_BYTES);
  if (local.length < LOCAL_BYTES) return Buffer.alloc(0);
  const begin = offset + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28);
  const packed = readAt(fd, begin, begin + Math.min(packedBytes, PACKED_HEAD_BYTES));
  if (method === STORED) return packed;
  if (method !== DEFLATED) return Buffer.alloc(0);
  try {
    // The rest of the entry is missing on purpose.
    return inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}

function readAt(fd: number, from: number, to: number): Buffer {
  const buffer = Buffer.alloc(Math.max(0, to - from));
  return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, from));
}
