import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';

/** A cancel that its owner can set off, at most once. Given a parent, it follows the parent too. */
export class CancelSource implements Cancel {
  cancelled: Failure | null = null;
  readonly #listeners = new Set<(why: Failure) => void>();
  readonly #detach: () => void;

  constructor(parent?: Cancel | null) {
    this.#detach = parent?.onCancel((why) => this.cancel(why)) ?? ((): void => undefined);
  }

  /** Asks everything that listens to stop; only the first reason counts. */
  cancel(why: Failure): void {
    if (this.cancelled) return;
    this.cancelled = why;
    const told = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of told) listener(why);
  }

  onCancel(listener: (why: Failure) => void): () => void {
    if (this.cancelled) {
      listener(this.cancelled);
      return () => undefined;
    }
    // A wrapper, so that the same function registered twice is called twice.
    const entry = (why: Failure): void => listener(why);
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Lets go of the parent: called when what it guards is over. */
  release(): void {
    this.#detach();
  }
}

/** Never set off: what an undo runs under. */
export const NEVER: Cancel = { cancelled: null, onCancel: () => () => undefined };
