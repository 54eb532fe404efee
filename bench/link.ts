import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** How a link behaves: `delayMs` one way, `bytesPerS` in each direction. */
export interface LinkShape {
  readonly delayMs: number;
  readonly bytesPerS: number;
}

/** A link in front of a port on loopback. */
export interface ShapedLink {
  readonly port: number;
  close(): Promise<void>;
}

/** What one direction may hold before its sender has to wait, in bytes: as much as is under way, and a router's queue. */
const QUEUE_BYTES = 512 * 1024;
/** The longest piece that is handed on at once, in bytes. */
const PIECE_BYTES = 16 * 1024;

/**
 * Stands between two programs like a longer and thinner wire: each direction is a line that lets `bytesPerS` through,
 * and everything arrives `delayMs` later. (`tc netem` needs a kernel module that many kernels lack.)
 */
export async function shapedLink(to: number, shape: LinkShape): Promise<ShapedLink> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port: to, allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      socket.on('error', () => void [near, far].map((one) => one.destroy()));
    }
    carry(near, far, shape);
    carry(far, near, shape);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

interface Piece {
  /** `null`: the sender's end. */
  readonly bytes: Buffer | null;
  readonly dueMs: number;
}

/** One direction. */
function carry(from: Socket, to: Socket, { delayMs, bytesPerS }: LinkShape): void {
  const queue: Piece[] = [];
  let held = 0;
  /** When the wire is free again. */
  let freeMs = 0;
  let timer: NodeJS.Timeout | null = null;

  const deliver = (): void => {
    timer = null;
    for (let piece = queue[0]; piece !== undefined && piece.dueMs <= performance.now(); piece = queue[0]) {
      queue.shift();
      if (piece.bytes === null) to.end();
      else {
        held -= piece.bytes.length;
        to.write(piece.bytes);
      }
    }
    if (held < QUEUE_BYTES && from.isPaused()) from.resume();
    const next = queue[0];
    // A timer may come a millisecond late: what is due by then goes together, so the rate holds all the same.
    if (next !== undefined) timer = setTimeout(deliver, Math.max(0, next.dueMs - performance.now()));
  };
  const add = (bytes: Buffer | null): void => {
    freeMs = Math.max(freeMs, performance.now()) + ((bytes?.length ?? 0) / bytesPerS) * 1000;
    queue.push({ bytes, dueMs: freeMs + delayMs });
    held += bytes?.length ?? 0;
    timer ??= setTimeout(deliver, delayMs);
  };
  from.on('data', (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) add(bytes.subarray(at, at + PIECE_BYTES));
    if (held >= QUEUE_BYTES) from.pause();
  });
  from.on('end', () => add(null));
}
