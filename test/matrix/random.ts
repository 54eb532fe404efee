/** A series of numbers that its seed decides. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to and without `end`. (mulberry32) */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
  }

  /** One of several. */
  of<T>(some: readonly T[]): T {
    const found = some[this.below(some.length)];
    if (found === undefined) throw new Error('there is nothing to choose from');
    return found;
  }

  /** The same in another order. */
  shuffled<T>(some: readonly T[]): readonly T[] {
    const keyed = some.map((one) => [this.below(1 << 30), one] as const);
    return keyed.sort(([a], [b]) => a - b).map(([, one]) => one);
  }
}
