import { hash } from 'node:crypto';
import type { Hash } from '../model/ports.ts';

/** sha256 of a text as UTF-8, in hexadecimal digits. */
export const sha256: Hash = (text) => hash('sha256', text);
