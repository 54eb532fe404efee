import * as fs from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';

/** A file that only grows, line by line. */
export interface LineFile {
  /** Appends one line; returns after fsync when `durable`, otherwise once the kernel has it (which outlives this process). */
  appendLine(line: string, durable: boolean): void;
  /** Appends one line by the end of the turn, or with the next; an error is thrown by the next. */
  appendSoon(line: string): void;
  close(): void;
}

/** What a line file holds; `cutShort` is a last line whose end never arrived, `null` when there is none. */
export interface Lines {
  readonly lines: readonly string[];
  readonly cutShort: string | null;
}

/** Makes `.slipway/` (and folders below it): readable by its owner alone. */
export function makePrivateFolder(path: string): void {
  try {
    fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    // Which is also what a recursive one says of a read-only file system; one by one they say why.
    if (!fs.existsSync(dirname(path))) makePrivateFolder(dirname(path));
    fs.mkdirSync(path, { mode: 0o700 });
  }
}

/**
 * Opens a line file for appending, mode 0600; a last line cut short is dropped first, so that the next stands alone.
 * Its name is durable unless told otherwise.
 */
export function openLineFile(path: string, durable = true): LineFile {
  makePrivateFolder(dirname(path));
  const isNew = !fs.existsSync(path);
  const fd = fs.openSync(path, 'a+', 0o600);
  dropCutShort(fd);
  if (isNew && durable) syncFolder(dirname(path));
  let soon = '';
  let failed: unknown;
  const whole = (line: string): string => {
    if (line.includes('\n')) throw new TypeError('a line holds no line break');
    return `${line}\n`;
  };
  const write = (text: string): void => {
    soon = '';
    if (failed !== undefined) throw failed as Error;
    if (text !== '') writeAll(fd, Buffer.from(text, 'utf8'));
  };
  const writeSoon = (): void => {
    try {
      write(soon);
    } catch (error) {
      failed = error;
    }
  };
  return {
    appendLine(line, durable) {
      write(soon + whole(line));
      if (durable) fs.fsyncSync(fd);
    },
    appendSoon(line) {
      if (failed !== undefined) throw failed as Error;
      if (soon === '') setImmediate(writeSoon);
      soon += whole(line);
    },
    close() {
      writeSoon();
      fs.closeSync(fd);
    },
  };
}

function dropCutShort(fd: number): void {
  const { size } = fs.fstatSync(fd);
  const block = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0;) {
    const from = Math.max(0, end - block.length);
    const read = fs.readSync(fd, block, 0, end - from, from);
    const last = block.subarray(0, read).lastIndexOf(0x0a);
    if (last !== -1 || from === 0) {
      const whole = last === -1 ? 0 : from + last + 1;
      if (whole < size) fs.ftruncateSync(fd, whole);
      return;
    }
    end = from;
  }
}

/** Writes every byte: one write call may take fewer. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
}

/** Reads the whole lines of a file; a file that is not there has none. */
export function readLines(path: string): Lines {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { lines: [], cutShort: null };
    throw error;
  }
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  return { lines, cutShort: rest === '' ? null : rest };
}

/** The last bytes of a file as text; `null` when it is not there. */
export const endOf = (path: string, maxBytes: number): string | null =>
  lastBytes(path, maxBytes)?.bytes.toString('utf8') ?? null;

function lastBytes(path: string, maxBytes: number): { readonly bytes: Buffer; readonly size: number } | null {
  const fd = openIfThere(path);
  if (fd === null) return null;
  try {
    const { size } = fs.fstatSync(fd);
    const block = Buffer.alloc(Math.min(size, maxBytes));
    return { bytes: block.subarray(0, fs.readSync(fd, block, 0, block.length, size - block.length)), size };
  } finally {
    fs.closeSync(fd);
  }
}

function openIfThere(path: string): number | null {
  try {
    return fs.openSync(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Replaces a file whole and, unless told otherwise, durably: written beside it, fsynced, renamed, the folder fsynced.
 * A text in pieces is never held as a whole.
 */
export function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Generator<string>,
  mode: number,
  durable = true,
): void {
  const beside = besideOf(path);
  try {
    const fd = fs.openSync(beside, 'wx', mode);
    try {
      for (const bytes of blocksOf(content)) writeAll(fd, bytes);
      // The umask took bits from the mode given to open.
      fs.fchmodSync(fd, mode);
      if (durable) fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(beside, path);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
  if (durable) syncFolder(dirname(path));
}

/** Bytes that are written at once of a text in pieces, about. */
const BLOCK_BYTES = 64 * 1024;

function* blocksOf(content: string | Uint8Array | Generator<string>): Generator<Uint8Array> {
  if (typeof content === 'string' || content instanceof Uint8Array) {
    yield Buffer.from(content);
    return;
  }
  let text = '';
  for (const piece of content) {
    text += piece;
    if (text.length < BLOCK_BYTES) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

/** A name in the same folder, hence on the same file system, that nobody else uses; it says which process does. */
export function besideOf(path: string): string {
  const pid = process.pid.toString(16).padStart(6, '0');
  return join(dirname(path), `.slipway-${pid}${randomBytes(3).toString('hex')}.tmp`);
}

/** A glob for all such names in a folder. */
export const BESIDE = '.slipway-*.tmp';

/** The pid of the process that uses such a name; `null` for any other path. */
export function besideBy(path: string): number | null {
  const pid = /(?:^|\/)\.slipway-([0-9a-f]{6})[0-9a-f]{6}\.tmp$/.exec(path)?.[1];
  return pid === undefined ? null : parseInt(pid, 16);
}

/** Makes renames and new names in a folder durable. */
export function syncFolder(path: string): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** The code of a system error, `UNKNOWN` for anything else. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}

/** The last whole lines of a file within so many bytes, or the end of a longer one, and what is before; `null`: it is not there. */
export function readEnd(
  path: string,
  maxBytes: number,
): { readonly text: string; readonly leftOutBytes: number } | null {
  const last = lastBytes(path, maxBytes);
  if (last === null) return null;
  const { bytes, size } = last;
  const begins = bytes.length < size ? bytes.indexOf(0x0a) + 1 : 0;
  const cut = begins === bytes.length ? 0 : begins;
  return { text: bytes.toString('utf8', cut), leftOutBytes: size - bytes.length + cut };
}

/** Codes that say that nothing can be written in a place, for now or for ever. */
const UNWRITABLE: ReadonlySet<string> = new Set([
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOSPC',
  'EDQUOT',
  // A file, or a link to nowhere, stands where the folder should be.
  'ENOTDIR',
  'EEXIST',
]);

/** Whether an error says that nothing can be written there: a full disk, a read-only one, somebody else's. */
export const isUnwritable = (error: unknown): boolean => UNWRITABLE.has(codeOf(error));
