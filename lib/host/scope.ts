import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Entered } from '../model/ports.ts';
import type { Failure } from '../model/failure.ts';
import type { Scope } from '../model/step.ts';
import { GRACE_MS } from './group.ts';
import { reapRun, type Ledger } from './ledger.ts';
import { deadHolder, takeLock } from './lock.ts';
import { safeName } from './names.ts';
import { codeOf, makePrivateFolder } from './store.ts';
import { removeTree } from './tree.ts';

/** A scope that was entered, or why not. */
export type Entering =
  { readonly ok: true; readonly entered: Entered } | { readonly ok: false; readonly failure: Failure };

/** What a scope needs to know of its run. */
interface Site {
  readonly slipwayDir: string;
  readonly run: string;
  readonly ledger: Ledger;
  readonly graceMs?: number;
}

/** Takes a lock of this checkout, or makes an empty folder below `.slipway/tmp/RUN`, whose absolute path is the value. */
export async function enterScope(scope: Scope, site: Site): Promise<Entering> {
  try {
    return scope.kind === 'lock' ? await enterLock(scope, site) : enterScratch(scope, site);
  } catch (error) {
    return {
      ok: false,
      failure: { reason: 'file-system', code: codeOf(error), path: scope.name, operation: scope.kind },
    };
  }
}

async function enterLock({ place, name }: Scope, { slipwayDir, run, graceMs = GRACE_MS }: Site): Promise<Entering> {
  const dead = deadHolder(slipwayDir, name);
  if (dead !== null) await reapRun(slipwayDir, dead, graceMs);
  const locked = takeLock(slipwayDir, name, run);
  if (!locked.ok) return { ok: false, failure: { reason: 'lock-held', place, name, holder: locked.holder } };
  return { ok: true, entered: { value: name, leave: () => never(() => locked.release()) } };
}

function enterScratch({ name }: Scope, { slipwayDir, run, ledger }: Site): Entering {
  // Before the folder is made: a runner that dies leaves it to the next one, which looks into ledgers.
  ledger.begin();
  const folder = join(slipwayDir, 'tmp', run);
  makePrivateFolder(folder);
  const value = mkdtempSync(join(folder, `${safeName(name)}-`));
  return { ok: true, entered: { value, leave: () => never(() => removeTree(value)) } };
}

/** The way out never fails the run; what could not be removed, the next run tries again. */
function never(act: () => void): Promise<void> {
  try {
    act();
  } catch {
    // Nothing that depends on it is left.
  }
  return Promise.resolve();
}
