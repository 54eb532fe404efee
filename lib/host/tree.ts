import * as fs from 'node:fs';
import { join } from 'node:path';
import { codeOf } from './store.ts';

/** Removes a file or tree, also one whose folders were made read-only (a module cache, say). */
export function removeTree(path: string): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (codeOf(error) !== 'EACCES' && codeOf(error) !== 'EPERM') throw error;
    makeWritable(path);
    fs.rmSync(path, { recursive: true, force: true });
  }
}

function makeWritable(folder: string): void {
  fs.chmodSync(folder, 0o700);
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(join(folder, entry.name));
  }
}
