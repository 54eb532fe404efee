const KIB = 1024;
/** What may be under way at the beginning, and at least, in bytes on the wire. */
const FIRST_BYTES = 1024 * KIB;
const LEAST_BYTES = 256 * KIB;
/** What may be under way once the rate is known: what arrives in so many ms. */
const AHEAD_MS = 1_000;

/**
 * How much is on its way. Buffers on the way hold megabytes, through which an end that is sent early must follow: on a
 * slow link no more is sent than arrives in a second, so that a cancel is heard soon.
 */
export class Flight {
  readonly #underWay: { readonly contentEnd: number; readonly wire: number }[] = [];
  #wire = 0;
  #content = 0;
  #limit = FIRST_BYTES;
  #first: { readonly ms: number; wire: number } | null = null;
  #wake: (() => void) | null = null;
  #closed = false;

  /** A frame goes out. */
  sent(content: number, wire: number): void {
    this.#content += content;
    this.#wire += wire;
    this.#underWay.push({ contentEnd: this.#content, wire });
  }

  /** So many bytes of content had arrived, by a clock in ms. */
  arrived(content: number, atMs: number): void {
    let wire = 0;
    for (let first = this.#underWay[0]; first !== undefined && first.contentEnd <= content; first = this.#underWay[0]) {
      this.#underWay.shift();
      wire += first.wire;
    }
    this.#wire -= wire;
    if (this.#first === null) this.#first = { ms: atMs, wire: 0 };
    else {
      this.#first.wire += wire;
      const perMs = this.#first.wire / Math.max(atMs - this.#first.ms, 0.001);
      this.#limit = Math.max(LEAST_BYTES, perMs * AHEAD_MS);
    }
    this.#wake?.();
  }

  /** Waits until one more frame may go out. */
  async room(): Promise<void> {
    while (!this.#closed && this.#wire > 0 && this.#wire >= this.#limit)
      await new Promise<void>((wake) => (this.#wake = wake));
  }

  /** Nobody needs to wait any more. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
