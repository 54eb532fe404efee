#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Names of the file, in the order in which they are looked for; `.mts` is a module whatever package.json says. */
const NAMES = ['tasks.ts', 'tasks.mts'];

/** Runs the `tasks.ts` that is named first on its command line. */
const LAUNCHER = new URL('../../scripts/launch.cjs', import.meta.url);

/** Runs the nearest `tasks.ts` of this folder or one above it: `slipway deploy` is `node --import tsx tasks.ts deploy`. */
async function bin(): Promise<void> {
  const found = nearest(process.cwd(), NAMES);
  if (found === null)
    return refuse(
      'there is no tasks.ts in this folder or above it',
      'go to your project, or write one: see the README',
    );
  const type = basename(found) === 'tasks.mts' ? 'module' : typeIn(manifestOf(found));
  if (type === null) return refuse(`${String(manifestOf(found))} is no JSON`, 'correct it: it says what tasks.ts is');
  if (type !== 'module')
    return refuse(`${found} is not a module`, 'write "type": "module" into its package.json, or name it tasks.mts');
  process.argv.splice(1, 1, fileURLToPath(LAUNCHER), found);
  await import(LAUNCHER.href);
}

function refuse(message: string, next: string): void {
  process.stderr.write(`slipway: ${message}\n  ${next}\n`);
  process.exitCode = 2;
}

const manifestOf = (path: string): string | null => nearest(dirname(path), ['package.json']);

/** A tasks.ts awaits `main` at its top level and reads `import.meta`: both need a module. `null`: it cannot be read. */
function typeIn(manifest: string | null): string | null | undefined {
  if (manifest === null) return undefined;
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }).type;
  } catch {
    return null;
  }
}

/** The first of some names in a folder, or in one above it. */
function nearest(folder: string, names: readonly string[]): string | null {
  const path = names.map((name) => join(folder, name)).find((name) => existsSync(name));
  if (path !== undefined) return path;
  return dirname(folder) === folder ? null : nearest(dirname(folder), names);
}

await bin();
