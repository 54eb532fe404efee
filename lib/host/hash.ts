import { createHash, hash } from 'node:crypto';
import type { Hash } from '../model/ports.ts';

/** sha256 of a text as UTF-8, in hexadecimal digits. */
export const sha256: Hash = (text) => {
  if (typeof text === 'string') return hash('sha256', text);
  const hasher = createHash('sha256');
  for (const piece of text) hasher.update(piece);
  return hasher.digest('hex');
};
