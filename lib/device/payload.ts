import type { Failure } from '../model/failure.ts';
import { BLOCK_BYTES, BlockReader, type Buffers } from './blocks.ts';
import { Flight } from './flight.ts';
import { Garbage } from './garbage.ts';
import { HEADER_BYTES, LAST_FRAME, MAX_FRAME_BYTES, packedFrame, plainFrame, type Compression } from './frames.ts';
import type { Pace, Piece, Way } from './pace.ts';
import type { PackedFile } from './packed.ts';
import type { RawBytes } from './request.ts';

/** Frames that are read, and where it pays compressed, while others are on their way. */
const AHEAD = 2;

const WHOLE: Piece = { way: 'plain', bytes: BLOCK_BYTES };

interface Ready {
  readonly way: Way;
  /** Of content. */
  readonly bytes: number;
  readonly frame: Buffer;
}

/** The contents of files as one stream, and the first file that was not what its manifest says. */
export interface Payload extends RawBytes {
  readonly failure: Failure | null;
}

/** How contents are to be sent. */
export interface Sending {
  /** What the device can undo and this side can do. */
  readonly compression: Compression | null;
  /** Knows whether that pays; it goes on from one stream to the next. */
  readonly pace: Pace;
  /** One stream after the other uses them. */
  readonly buffers: Buffers;
  /** Hears how much of the content has arrived. */
  readonly arrived: (bytes: number) => void;
}

/** Streams files one after the other. A file that changed meanwhile, or went, is recorded and ends the stream early. */
export function payloadOf(tree: string, files: readonly PackedFile[], sending: Sending): Payload {
  const reader = new BlockReader(tree, files);
  const flight = new Flight();
  const garbage = new Garbage();
  const { compression, pace, buffers, arrived } = sending;
  const lent = new Map<ArrayBufferLike, Buffer>();
  let stopped = false;
  const wanted = (): boolean => !stopped;
  pace.begin();

  const begin = (buffer: Buffer): Promise<Ready> | null => {
    const piece = compression === null ? WHOLE : pace.next();
    const end = reader.fill(buffer.subarray(0, HEADER_BYTES + piece.bytes));
    if (end === null) {
      buffers.give(buffer);
      return null;
    }
    lent.set(buffer.buffer, buffer);
    return frameOf(buffer, end, piece.way);
  };
  const frameOf = async (buffer: Buffer, end: number, way: Way): Promise<Ready> => {
    const bytes = end - HEADER_BYTES;
    const packed = way === 'packed' && compression !== null ? await packedFrame(buffer, end, compression) : null;
    if (packed === null) return { way, bytes, frame: plainFrame(buffer, end) };
    lent.delete(buffer.buffer);
    buffers.give(buffer);
    return { way, bytes, frame: packed };
  };

  async function* chunks(): AsyncGenerator<Buffer> {
    const ahead: Promise<Ready>[] = [];
    try {
      for (let more = true; wanted() && (more || ahead.length > 0);) {
        // With something to send at hand, a free buffer is not waited for.
        const buffer = !more || ahead.length >= AHEAD ? null : ahead.length > 0 ? buffers.now() : await buffers.take();
        const begun = buffer === null ? null : begin(buffer);
        if (begun !== null) {
          ahead.push(begun);
          if (ahead.length < AHEAD) continue;
        } else if (buffer !== null || ahead.length === 0) more = false;
        const ready = await ahead.shift();
        if (ready === undefined) continue;
        await flight.room();
        if (!wanted()) break;
        flight.sent(ready.bytes, ready.frame.length);
        pace.sent(ready.way, ready.bytes, ready.frame.length);
        garbage.sent(ready.bytes);
        yield ready.frame;
      }
      yield LAST_FRAME;
    } finally {
      await Promise.allSettled(ahead);
      reader.close();
    }
  }

  return {
    chunks: chunks(),
    written(chunk) {
      const buffer = lent.get(chunk.buffer);
      if (buffer === undefined) return;
      lent.delete(chunk.buffer);
      buffers.give(buffer);
    },
    received(bytes, atMs) {
      pace.received(bytes, atMs);
      flight.arrived(bytes, atMs);
      arrived(bytes);
    },
    stop() {
      stopped = true;
      flight.close();
      buffers.wake();
      reader.close();
    },
    get failure() {
      return reader.failure;
    },
  };
}

/** One text in frames, compressed where the device can undo that. */
export async function textFrames(text: Buffer, compression: Compression): Promise<readonly Buffer[]> {
  const frames: Buffer[] = [];
  for (let at = 0; at < text.length; at += MAX_FRAME_BYTES) {
    const part = text.subarray(at, at + MAX_FRAME_BYTES);
    const buffer = Buffer.concat([Buffer.alloc(HEADER_BYTES), part]);
    frames.push((await packedFrame(buffer, buffer.length, compression)) ?? plainFrame(buffer, buffer.length));
  }
  return [...frames, LAST_FRAME];
}

/** Frames as a stream. */
export function framesPayload(frames: Promise<readonly Buffer[]>): RawBytes {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* await frames;
  }
  return { chunks: chunks() };
}
