import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Failure } from '../model/failure.ts';
import { HEADER_BYTES } from './frames.ts';
import type { PackedFile } from './packed.ts';

/** Content of one frame, in bytes: large enough for few messages, small enough to hear a cancel soon. */
export const BLOCK_BYTES = 512 * 1024;
/** How many buffers there are: what is read ahead, compressed and not yet taken by the connection lies in them. */
const BUFFERS = 4;

/** Buffers that are used again and again: garbage of this size makes a process grow long before it is collected. */
export class Buffers {
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer | null) => void)[] = [];
  #made = 0;

  /** A buffer that is free now, or `null`. */
  now(): Buffer | null {
    const free = this.#free.pop();
    if (free !== undefined || this.#made === BUFFERS) return free ?? null;
    this.#made++;
    return Buffer.allocUnsafeSlow(HEADER_BYTES + BLOCK_BYTES);
  }

  /** Waits for one; `null` when nobody is to wait any more. */
  take(): Promise<Buffer | null> {
    const free = this.now();
    return free === null ? new Promise((take) => this.#waiting.push(take)) : Promise.resolve(free);
  }

  give(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next) next(buffer);
    else this.#free.push(buffer);
  }

  /** Whoever waits goes away empty-handed. */
  wake(): void {
    for (const waiting of this.#waiting.splice(0)) waiting(null);
  }
}

/**
 * Reads files one after the other into blocks. Synchronously: a read of what is in memory takes as long as handing it
 * to another thread, and a block is what may stand between two looks at a cancel.
 */
export class BlockReader {
  readonly #tree: string;
  readonly #files: readonly PackedFile[];
  #index = 0;
  #fd: number | null = null;
  #left = 0;
  /** The first file that was not what its manifest says; nothing is read after it. */
  failure: Failure | null = null;

  constructor(tree: string, files: readonly PackedFile[]) {
    this.#tree = tree;
    this.#files = files;
  }

  /** Fills a buffer behind the room for a header; returns where the content ends, or `null` when there is no more. */
  fill(buffer: Buffer): number | null {
    let at = HEADER_BYTES;
    for (
      let file = this.#files[this.#index];
      file !== undefined && at < buffer.length;
      file = this.#files[this.#index]
    ) {
      try {
        at += this.#read(file, buffer, at);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === undefined) throw error;
        this.failure ??= { reason: 'file-system', code, path: file.path, operation: 'read' };
      }
      if (this.failure !== null) {
        this.close();
        return null;
      }
    }
    return at === HEADER_BYTES ? null : at;
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    this.#index = this.#files.length;
  }

  #read(file: PackedFile, buffer: Buffer, at: number): number {
    if (this.#fd === null) [this.#fd, this.#left] = [openSync(join(this.#tree, file.path), 'r'), file.size];
    const wanted = Math.min(this.#left, buffer.length - at);
    const read = wanted === 0 ? 0 : readSync(this.#fd, buffer, at, wanted, null);
    this.#left -= read;
    if (this.#left > 0 && read > 0) return read;
    const { size } = fstatSync(this.#fd);
    if (this.#left > 0 || size !== file.size) this.failure = changed(file, size);
    closeSync(this.#fd);
    this.#fd = null;
    this.#index++;
    return read;
  }
}

function changed(file: PackedFile, size: number): Failure {
  return {
    reason: 'checksum-mismatch',
    path: file.path,
    expected: `${String(file.size)} bytes`,
    actual: `${String(size)} bytes`,
  };
}
