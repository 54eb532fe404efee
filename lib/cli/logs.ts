import { join } from 'node:path';
import { LogFile } from '../host/log-file.ts';
import { safeName } from '../host/names.ts';
import type { RunEvent } from '../model/event.ts';
import type { StepId } from '../model/ref.ts';
import { HERE } from '../model/step.ts';

/** The file that keeps what a step prints, here or on a device. */
export const logOf = (slipwayDir: string, run: string, step: StepId): string =>
  join(slipwayDir, 'runs', run, `${safeName(step)}.log`);

/** Keeps the output of steps on devices, beside the logs that `here` writes itself. */
export function openDeviceLogs(
  slipwayDir: string,
  run: string,
): { readonly write: (event: RunEvent) => void; readonly close: () => void } {
  const logs = new Map<StepId, LogFile>();
  const end = (id: StepId): void => {
    logs.get(id)?.close();
    logs.delete(id);
  };
  return {
    write(event) {
      if (event.type === 'step-started' && event.place !== HERE)
        logs.set(event.id, new LogFile(logOf(slipwayDir, run, event.id)));
      if (event.type === 'step-output') logs.get(event.id)?.write(event.text);
      if (event.type === 'step-finished' || event.type === 'step-failed') end(event.id);
    },
    close: () => [...logs.keys()].forEach(end),
  };
}
