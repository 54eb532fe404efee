import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { safeName } from '../host/names.ts';
import type { RunEvent } from '../model/event.ts';
import { HERE } from '../model/step.ts';

/** Keeps the output of steps on devices whole, beside the logs that `here` writes itself. */
export function openDeviceLogs(
  slipwayDir: string,
  run: string,
): { readonly write: (event: RunEvent) => void; readonly close: () => void } {
  const remote = new Set<string>();
  return {
    write(event) {
      if (event.type === 'step-started' && event.place !== HERE) remote.add(event.id);
      if (event.type === 'step-output' && remote.has(event.id)) {
        appendFileSync(join(slipwayDir, 'runs', run, `${safeName(event.id)}.log`), event.text, { mode: 0o600 });
      }
    },
    close: () => remote.clear(),
  };
}
