import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import { check, s, type Schema } from '../model/schema.ts';

/** What an operation came to. */
export type Answer = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly failure: Failure };

/** A message of the agent. */
export type Message =
  | { readonly type: 'hello'; readonly python: string }
  /** sudo has let the agent's command through. */
  | { readonly type: 'ready' }
  | { readonly type: 'too-old'; readonly found: string }
  /** The bootstrap could not start the agent. */
  | { readonly type: 'not-started'; readonly failure: Failure }
  | { readonly type: 'output'; readonly id: number; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  /** So many bytes of content have arrived, at that moment of the device's clock. */
  | { readonly type: 'received'; readonly id: number; readonly bytes: number; readonly atMs: number }
  /** The operation has failed: what would still come is not wanted. */
  | { readonly type: 'enough'; readonly id: number }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer };

/** Fields of the failures that the agent may report; `place` is the client's to fill in. */
const FAILURES: { readonly [reason: string]: { readonly [field: string]: Schema } } = {
  'exit-non-zero': { command: s.string, exitCode: s.number, tail: s.list(s.string) },
  'killed-by-signal': { command: s.string, signal: s.string, tail: s.list(s.string) },
  'command-not-found': { command: s.string },
  'timed-out': { what: s.string, timeoutMs: s.number },
  'file-system': { code: s.string, path: s.string, operation: s.string },
  'checksum-mismatch': { path: s.string, expected: s.string, actual: s.string },
  'lock-held': { name: s.string, holder: s.string },
  'device-refused': { code: s.string, detail: s.string },
  cancelled: { signal: s.choice('SIGINT', 'SIGTERM', 'SIGHUP') },
  broken: { message: s.string },
};

const PLACED: readonly string[] = ['lock-held', 'device-refused'];

/** Reads one line of the agent; `null` when it is no message. */
export function parseMessage(line: string, place: string): Message | null {
  let json: Json;
  try {
    json = JSON.parse(line) as Json;
  } catch {
    return null;
  }
  if (!isRecord(json)) return null;
  if (isRecord(json['hello'])) return hello(json['hello'], place);
  // Before the first operation there is no id.
  const id = json['id'] === null ? 0 : json['id'];
  if (typeof id !== 'number') return null;
  if (json['ok'] === true) return { type: 'answer', id, answer: { ok: true, value: json['value'] ?? null } };
  if (json['ok'] === false)
    return { type: 'answer', id, answer: { ok: false, failure: failureFrom(json['failure'] ?? null, place) } };
  const { output, text, received, ms } = json;
  if (typeof received === 'number' && typeof ms === 'number')
    return { type: 'received', id, bytes: received, atMs: ms };
  if (json['enough'] === true) return { type: 'enough', id };
  return (output === 'stdout' || output === 'stderr') && typeof text === 'string'
    ? { type: 'output', id, stream: output, text }
    : null;
}

function hello(fields: { readonly [key: string]: Json }, place: string): Message | null {
  if (fields['ready'] === true) return { type: 'ready' };
  if (typeof fields['tooOld'] === 'string') return { type: 'too-old', found: fields['tooOld'] };
  if (fields['failure'] !== undefined) return { type: 'not-started', failure: failureFrom(fields['failure'], place) };
  return typeof fields['python'] === 'string' ? { type: 'hello', python: fields['python'] } : null;
}

/** A failure as the agent reported it, checked, with the device's name. */
export function failureFrom(json: Json, place: string): Failure {
  const reason = isRecord(json) && typeof json['reason'] === 'string' ? json['reason'] : '';
  const fields = FAILURES[reason];
  const checked = fields && check(s.object(fields), json);
  if (checked?.fits !== true)
    return { reason: 'device-refused', place, code: 'unknown-failure', detail: JSON.stringify(json).slice(0, 2000) };
  const located = PLACED.includes(reason) ? { place } : {};
  return { reason, ...located, ...(checked.value as object) } as Failure;
}

function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
