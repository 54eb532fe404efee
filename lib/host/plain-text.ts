import { StepFailed } from '../model/failure.ts';
import type { Json } from '../model/json.ts';

/** A value where a step needs text. A ref may have brought anything: what is no text fails, and is not spelt `null` or `[object Object]`. */
export function plainText(value: Json, what: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const actual = value === null ? 'null' : Array.isArray(value) ? 'list' : 'object';
  throw new StepFailed({ reason: 'unexpected-value', what, at: '', expected: 'string', actual });
}
