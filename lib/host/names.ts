import { join } from 'node:path';
import { sha256 } from './hash.ts';

/** Longest name made here, in bytes; file systems take 255. */
const MAX_NAME_BYTES = 180;

/** A file name for a step id or any other text: readable, never a path, and different for different texts. */
export function safeName(text: string): string {
  const escaped = text.replaceAll(/[^A-Za-z0-9._=,()-]/g, (char) =>
    char === '/' ? '+' : `~${(char.codePointAt(0) ?? 0).toString(16)}~`,
  );
  const plain = /^\.*$/.test(escaped) ? `~${escaped}` : escaped;
  return plain.length <= MAX_NAME_BYTES ? plain : `${plain.slice(0, MAX_NAME_BYTES - 17)}~${sha256(text).slice(0, 16)}`;
}

/** Where the ledger of a run is as long as something of it may be running. */
export const ledgerPath = (slipwayDir: string, run: string): string => join(slipwayDir, 'runs', run, 'ledger.jsonl');
