import type { Json } from '../model/json.ts';
import type { Cancel } from '../model/ports.ts';

/** Raw bytes that follow a request line: frames (`docs/agent.md`), of which the last is empty. */
export interface RawBytes {
  readonly chunks: AsyncIterable<Buffer>;
  /** A chunk went out: its memory may be used again. */
  written?(chunk: Buffer): void;
  /** So many bytes of content had arrived on the device, at that moment of its clock. */
  received?(bytes: number, atMs: number): void;
  /** Nothing more is wanted: the next chunk is the last. */
  stop?(): void;
}

/** One request to the agent. */
export interface Request {
  readonly op: string;
  readonly args: { readonly [name: string]: Json };
  /** The change that it makes under a dead-man's switch, and what puts that back. */
  readonly change?: { readonly id: string; readonly undone: string; readonly undo: readonly Json[] };
  /** Makes the raw bytes that follow the request line, each time that it is sent. */
  readonly payload?: () => RawBytes;
  readonly output?: (stream: 'stdout' | 'stderr', text: string) => void;
  /** `null`: nothing but the timeout may cut it short. */
  readonly cancel: Cancel | null;
  readonly timeoutMs: number;
  /** How long the agent may take to end the operation after a cancel, in ms. */
  readonly graceMs?: number;
}

/** A request without output, payload or cancel, for what is asked beside the plan. */
export function plainRequest(op: string, args: { readonly [name: string]: Json }, timeoutMs: number): Request {
  return { op, args, cancel: null, timeoutMs };
}
