import type { Readable, Writable } from 'node:stream';
import type { Failure } from '../model/failure.ts';

/** A login on a device, whichever program keeps it. */
export interface Connection {
  readonly place: string;
  /** Starts one command; `connection-lost` when that is no longer possible. */
  exec(command: string): Promise<Opened>;
  /** Ends the connection; never hangs, never fails. */
  close(): Promise<void>;
}

/** The three streams of a command on a device. */
export interface ByteChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** The command's exit status, or `null` when the connection or a signal ended it: after that nothing comes any more. */
  readonly exit: Promise<number | null>;
  /** Ends it at once, whatever the other side does. */
  cut(): void;
}

export type Opened =
  { readonly ok: true; readonly channel: ByteChannel } | { readonly ok: false; readonly failure: Failure };
export type Connected =
  { readonly ok: true; readonly connection: Connection } | { readonly ok: false; readonly failure: Failure };

/** Opens a channel whose connection went before it began. */
export function lostBeforeStart(place: string): Opened {
  return { ok: false, failure: { reason: 'connection-lost', place, doing: 'starting the agent' } };
}
