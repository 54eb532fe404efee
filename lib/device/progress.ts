import type { StepProgress } from '../model/ports.ts';

/** Between two reports, in ms: the first comes after as long, so that a short step has none. */
const EVERY_MS = 500;
/** The rate is that of so long, in ms. */
const WINDOW_MS = 5_000;

/** Tells how far bytes have come, seldom, with their rate and the time that is left. */
export class Progress {
  readonly #total: number;
  readonly #tell: ((progress: StepProgress) => void) | undefined;
  readonly #nowMs: () => number;
  readonly #marks: { readonly ms: number; readonly bytes: number }[];
  #toldMs: number;

  constructor(total: number, tell?: (progress: StepProgress) => void, nowMs = (): number => performance.now()) {
    [this.#total, this.#tell, this.#nowMs] = [total, tell, nowMs];
    this.#toldMs = nowMs();
    this.#marks = [{ ms: this.#toldMs, bytes: 0 }];
  }

  /** So many bytes in all have arrived. */
  at(done: number): void {
    const ms = this.#nowMs();
    if (ms - this.#toldMs < EVERY_MS) return;
    this.#toldMs = ms;
    this.#marks.push({ ms, bytes: done });
    while (this.#marks.length > 2 && ms - (this.#marks[0]?.ms ?? ms) > WINDOW_MS) this.#marks.shift();
    const first = this.#marks[0] ?? { ms, bytes: done };
    const ratePerS = Math.round(((done - first.bytes) / (ms - first.ms)) * 1000);
    const leftS = ratePerS > 0 ? Math.ceil((this.#total - done) / ratePerS) : null;
    this.#tell?.({ done, total: this.#total, unit: 'bytes', ratePerS, leftS });
  }
}
