/** Sent as it is, or compressed before. */
export type Way = 'plain' | 'packed';

const KIB = 1024;
const MIB = 1024 * KIB;
/** A piece, and one of those few that measure what the link carries, in bytes. */
const PIECE_BYTES = 512 * KIB;
const TRIAL_PIECE_BYTES = 128 * KIB;
const TRIAL_PIECES = 4;
/** What the link carries, in bytes per ms, from which on a compressor keeps it back rather than helps. */
const FAST = 40_000;
/** Below this nothing but the link is slow: it is not tried again. */
const SLOW = 5_000;
/** So much is measured before it counts, in bytes; older measurements count half after so many. */
const ENOUGH_BYTES = 256 * KIB;
const MEMORY_BYTES = 16 * MIB;
/** After so many bytes sent compressed, the link is measured again: it may have been somebody else's for a moment. */
const TRIAL_AFTER_BYTES = 32 * MIB;
/** After pieces that became no smaller, so many more at most go as they are before another is tried. */
const MOST_SPARED = 32;

interface Measured {
  bytes: number;
  ms: number;
}

/** One piece of what is to be sent. */
export interface Piece {
  readonly way: Way;
  /** The most that it may hold. */
  readonly bytes: number;
}

/**
 * Whether compressing pays: the first pieces go as they are and show what the link carries. Until that is known, and on
 * a slow link, the others go compressed, as long as they arrive faster than those did.
 */
export class Pace {
  readonly #measured: { readonly [W in Way]: Measured } = {
    plain: { bytes: 0, ms: 0 },
    packed: { bytes: 0, ms: 0 },
  };
  readonly #underWay: { readonly way: Way; readonly end: number; readonly bytes: number; readonly wire: number }[] = [];
  #sent = 0;
  #receivedMs: number | null = null;
  #packedBytes = 0;
  #trialLeft = TRIAL_PIECES + 1;
  /** Pieces in a row that became no smaller, and how many are not tried because of them. */
  #futile = 0;
  #spared = 0;

  /** A stream begins: the time before it is nobody's. */
  begin(): void {
    [this.#sent, this.#receivedMs, this.#underWay.length] = [0, null, 0];
  }

  /** How to send the next piece. */
  next(): Piece {
    if (this.#trialLeft === 0 && this.#shouldTry()) {
      this.#trialLeft = TRIAL_PIECES;
      this.#measured.plain.bytes = this.#measured.plain.ms = this.#packedBytes = 0;
    }
    if (this.#trialLeft === 0) return { way: this.#spare(this.#better()), bytes: PIECE_BYTES };
    this.#trialLeft--;
    return { way: 'plain', bytes: TRIAL_PIECE_BYTES };
  }

  /** A piece goes out, with so many bytes of content, as so many on the wire. */
  sent(way: Way, bytes: number, wire: number): void {
    if (way === 'packed') {
      this.#packedBytes += bytes;
      this.#futile = wire < bytes ? 0 : this.#futile + 1;
      this.#spared = this.#futile === 0 ? 0 : Math.min(2 ** this.#futile, MOST_SPARED);
    }
    this.#sent += bytes;
    this.#underWay.push({ way, end: this.#sent, bytes, wire });
  }

  /** So many bytes of the stream had arrived, by the device's clock. Pieces of which it is told at once share the time. */
  received(bytes: number, atMs: number): void {
    const still = this.#underWay.findIndex(({ end }) => end > bytes);
    const pieces = this.#underWay.splice(0, still === -1 ? this.#underWay.length : still);
    if (pieces.length === 0) return;
    // The first ones of a stream also took the way there and back.
    if (this.#receivedMs !== null) {
      const perByte = (atMs - this.#receivedMs) / pieces.reduce((sum, { wire }) => sum + wire, 0);
      for (const piece of pieces) count(this.#measured[piece.way], piece.bytes, perByte * piece.wire);
    }
    this.#receivedMs = atMs;
  }

  /** What is compressed already, an image say, comes in runs. */
  #spare(way: Way): Way {
    if (way === 'plain' || this.#spared === 0) return way;
    this.#spared--;
    return 'plain';
  }

  #better(): Way {
    const { plain, packed } = this.#measured;
    if (plain.bytes < ENOUGH_BYTES) return 'packed';
    return rate(plain) >= FAST || (packed.bytes >= ENOUGH_BYTES && rate(plain) >= rate(packed)) ? 'plain' : 'packed';
  }

  #shouldTry(): boolean {
    return this.#packedBytes >= TRIAL_AFTER_BYTES && rate(this.#measured.packed) > SLOW;
  }
}

/** In bytes per ms. */
const rate = ({ bytes, ms }: Measured): number => bytes / Math.max(ms, 0.001);

function count(measured: Measured, bytes: number, ms: number): void {
  const keep = measured.bytes > MEMORY_BYTES ? 0.5 : 1;
  measured.bytes = measured.bytes * keep + bytes;
  measured.ms = measured.ms * keep + ms;
}
