import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

/** So much is sent between two collections, in bytes. */
const EVERY_BYTES = 4 * 1024 * 1024;

let collect: Collect | null = null;

/**
 * Keeps memory flat while much is sent. Each packet leaves buffers behind that are large outside of V8's heap and tiny
 * within it: left to itself, V8 lets tens of megabytes of them come together before it looks. A minor collection takes
 * less time than the memory that it saves would take to be made.
 */
export class Garbage {
  #bytes = 0;

  /** So many more bytes were sent. */
  sent(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < EVERY_BYTES) return;
    this.#bytes = 0;
    collect ??= collector();
    collect({ type: 'minor' });
  }
}

/** V8's own function, which is there only on request. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('globalThis.gc') as Collect | undefined;
  setFlagsFromString('--no-expose-gc');
  return found ?? ((): void => undefined);
}
