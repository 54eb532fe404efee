import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Failure } from '../model/failure.ts';
import type { PackedFile } from './packed.ts';

/** How much of a file is in memory at a time, in bytes. */
const CHUNK_BYTES = 256 * 1024;

/** The contents of files as one stream, and the first file that was not what its manifest says. */
export interface Payload {
  readonly bytes: number;
  readonly chunks: AsyncIterable<Buffer>;
  readonly failure: Failure | null;
}

/**
 * Streams files one after the other. The number of bytes was announced, so it is kept whatever happens: a file that
 * shrank, grew or went is padded or cut to its announced size (its digest then fails on the device) and recorded.
 */
export function payloadOf(tree: string, files: readonly PackedFile[]): Payload {
  let failure: Failure | null = null;
  async function* chunks(): AsyncGenerator<Buffer> {
    for (const file of files) {
      let left = file.size;
      try {
        for await (const chunk of contents(join(tree, file.path), file.size)) {
          left -= chunk.length;
          yield chunk;
        }
        const size = await sizeNow(join(tree, file.path));
        if (left !== 0 || size !== file.size) failure ??= changed(file, size);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === undefined) throw error;
        failure ??= { reason: 'file-system', code, path: file.path, operation: 'read' };
      }
      for (; left > 0; left -= Math.min(left, CHUNK_BYTES)) yield Buffer.alloc(Math.min(left, CHUNK_BYTES));
    }
  }
  return {
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    chunks: chunks(),
    get failure() {
      return failure;
    },
  };
}

/** At most the first `size` bytes of a file. */
async function* contents(path: string, size: number): AsyncGenerator<Buffer> {
  const handle = await open(path, 'r');
  try {
    for (let at = 0; at < size;) {
      // A fresh buffer each time: the connection still holds the one before.
      const { bytesRead, buffer } = await handle.read(
        Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - at)),
        0,
        undefined,
        at,
      );
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function sizeNow(path: string): Promise<number> {
  const handle = await open(path, 'r');
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
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
