import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makePrivateFolder } from './store.ts';

/** Most that the log of one step takes on the disk, in bytes: of more, the beginning and the end stay. */
export const LOG_BYTES = 64 * 1024 * 1024;
const HEAD_BYTES = LOG_BYTES / 2;
const TAIL_BYTES = LOG_BYTES / 8;
const BLOCK_BYTES = 1024 * 1024;

/** The log of one step: opened by the first output, mode 0600. A full disk ends the log, not the command. */
export class LogFile {
  readonly #path: string;
  /** `null` once it is closed. */
  #fd: number | null | undefined;
  #sizeBytes = 0;
  #leftOutBytes = 0;
  /** Of the line that says how many. */
  #markBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  write(text: string): void {
    if (this.#fd === null) return;
    try {
      const fd = (this.#fd ??= this.#open());
      const bytes = Buffer.from(text, 'utf8');
      if (this.#sizeBytes + bytes.length > LOG_BYTES && this.#sizeBytes > HEAD_BYTES + TAIL_BYTES) this.#shorten(fd);
      this.#append(fd, bytes);
    } catch {
      this.close();
    }
  }

  close(): void {
    if (typeof this.#fd === 'number') closeSync(this.#fd);
    this.#fd = null;
  }

  /** Not for appending: the system would then ignore the place that a write names. */
  #open(): number {
    makePrivateFolder(dirname(this.#path));
    const fd = openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#sizeBytes = fstatSync(fd).size;
    return fd;
  }

  #append(fd: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const written = writeSync(fd, bytes, at, bytes.length - at, this.#sizeBytes);
      at += written;
      this.#sizeBytes += written;
    }
  }

  /** Moves the end to behind the beginning, block by block. */
  #shorten(fd: number): void {
    const end = this.#sizeBytes;
    const from = end - TAIL_BYTES;
    this.#leftOutBytes += from - HEAD_BYTES - this.#markBytes;
    this.#sizeBytes = HEAD_BYTES;
    this.#append(fd, Buffer.from(`\n… ${String(this.#leftOutBytes)} bytes are left out here …\n`));
    this.#markBytes = this.#sizeBytes - HEAD_BYTES;
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let at = from; at < end;) {
      const read = readSync(fd, block, 0, Math.min(block.length, end - at), at);
      if (read === 0) break;
      this.#append(fd, block.subarray(0, read));
      at += read;
    }
    ftruncateSync(fd, this.#sizeBytes);
  }
}
