import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createFreshness, type Freshness } from '../engine/freshness.ts';
import { openFingerprints } from '../host/fingerprint.ts';
import { sha256 } from '../host/hash.ts';
import { safeName } from '../host/names.ts';
import { makePrivateFolder, writeFileAtomic } from '../host/store.ts';
import type { Json } from '../model/json.ts';
import type { Folders } from './project.ts';

/** Freshness over the project's files, with its state under `.slipway/state/`. `save` keeps the hashes for the next run. */
export function openFreshness(
  { projectDir, slipwayDir }: Folders,
  variable: (name: string) => string | undefined,
): { readonly freshness: Freshness; readonly save: () => void } {
  const fingerprints = openFingerprints(projectDir, slipwayDir);
  const folder = join(slipwayDir, 'state');
  const fileOf = (node: string): string => join(folder, `${safeName(node)}.json`);
  const freshness = createFreshness(
    {
      fingerprint: (globs) => (globs.length === 0 ? [] : fingerprints.expand(globs)),
      variable,
      read: (node) => readState(fileOf(node)),
      write(node, state) {
        if (state === null) return rmSync(fileOf(node), { force: true });
        makePrivateFolder(folder);
        writeFileAtomic(fileOf(node), JSON.stringify(state), 0o600);
      },
    },
    sha256,
  );
  return { freshness, save: () => fingerprints.save() };
}

/** A state that cannot be read is no state: the task runs. */
function readState(path: string): Json | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Json;
  } catch {
    return null;
  }
}
