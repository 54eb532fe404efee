import * as zlib from 'node:zlib';

/** Bytes before each frame: the codec, and how long the frame is on the wire and unpacked. */
export const HEADER_BYTES = 9;
/** The most that the device takes in one frame, on the wire and unpacked, in bytes. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Compressed to more than this share of itself, a frame goes as it is. */
const WORTH = 0.95;
/** So much of a frame, from its middle, shows whether the rest is worth the time, in bytes. */
const SAMPLE_BYTES = 16 * 1024;

/** How a device can undo a compression; the numbers are the protocol's. */
const CODECS = { plain: 0, zlib: 1, zstd: 2 } as const;
export type Compression = 'zlib' | 'zstd';

/** `zstdCompress` came with Node 22.15; the types are older. */
const withZstd = zlib as unknown as {
  readonly zstdCompress?: (bytes: Buffer, done: (error: Error | null, packed: Buffer) => void) => void;
};

const packers: { readonly [C in Compression]: ((bytes: Buffer) => Promise<Buffer>) | null } = {
  zstd: withZstd.zstdCompress === undefined ? null : by(withZstd.zstdCompress),
  // Where the link is the slower part, the fastest level is: `bench/` has the figures.
  zlib: by((bytes, done) => zlib.deflate(bytes, { level: 1, chunkSize: 64 * 1024 }, done)),
};

function by(
  pack: (bytes: Buffer, done: (error: Error | null, packed: Buffer) => void) => void,
): (bytes: Buffer) => Promise<Buffer> {
  return (bytes) =>
    new Promise((resolve, reject) => pack(bytes, (error, packed) => (error ? reject(error) : resolve(packed))));
}

/** The first of the device's compressions that this side can do, or `null`. */
export function compressionOf(offered: readonly string[]): Compression | null {
  return (
    (offered as readonly Compression[]).find((one) => Object.hasOwn(packers, one) && packers[one] !== null) ?? null
  );
}

/** The frame after which no other comes. */
export const LAST_FRAME = Buffer.alloc(HEADER_BYTES);

/** Makes a frame of what lies in a buffer behind room for the header; the buffer is part of it. */
export function plainFrame(buffer: Buffer, end: number): Buffer {
  return header(buffer, CODECS.plain, end - HEADER_BYTES, end - HEADER_BYTES).subarray(0, end);
}

/** The same, compressed, in memory of its own; `null` when that gains nothing. */
export async function packedFrame(buffer: Buffer, end: number, compression: Compression): Promise<Buffer | null> {
  const content = buffer.subarray(HEADER_BYTES, end);
  const shrunk = async (bytes: Buffer): Promise<Buffer | null> => {
    const packed = await packers[compression]?.(bytes);
    return packed === undefined || packed.length > bytes.length * WORTH ? null : packed;
  };
  const middle = content.length >> 1;
  if (content.length > 4 * SAMPLE_BYTES && !(await shrunk(content.subarray(middle, middle + SAMPLE_BYTES))))
    return null;
  const packed = await shrunk(content);
  if (packed === null) return null;
  const first = header(Buffer.allocUnsafe(HEADER_BYTES), CODECS[compression], packed.length, content.length);
  return Buffer.concat([first, packed]);
}

function header(buffer: Buffer, codec: number, wireBytes: number, contentBytes: number): Buffer {
  buffer.writeUInt8(codec, 0);
  buffer.writeUInt32BE(wireBytes, 1);
  buffer.writeUInt32BE(contentBytes, 5);
  return buffer;
}
