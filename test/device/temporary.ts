import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of a test file's own. */
export function temporary(name: string): { readonly path: string; remove(): void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `slipway-${name}-`)));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
