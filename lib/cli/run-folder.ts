import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf, isUnwritable } from '../host/store.ts';
import { StepFailed } from '../model/failure.ts';

/** Where a run keeps its journal and logs; `forget` takes away what was only for this run. */
export interface RunFolder {
  readonly slipwayDir: string;
  forget(): void;
}

/**
 * Begins a run in `.slipway`; where nothing can be written there, in a temporary folder that goes with it, unless the
 * plan changes something: a change without a journal could not be put back.
 */
export function openRunFolder(
  slipwayDir: string,
  changes: boolean,
  say: (line: string) => void,
  begin: (slipwayDir: string) => void,
): RunFolder {
  try {
    begin(slipwayDir);
    return { slipwayDir, forget: () => undefined };
  } catch (error) {
    if (!isUnwritable(error)) throw error;
    const code = codeOf(error);
    if (changes) throw new StepFailed({ reason: 'file-system', code, path: slipwayDir, operation: 'write' });
    say(`nothing can be written to .slipway (${code}): of this run nothing is kept`);
    const spare = mkdtempSync(join(tmpdir(), 'slipway-run-'));
    begin(spare);
    return { slipwayDir: spare, forget: () => rmSync(spare, { recursive: true, force: true }) };
  }
}
