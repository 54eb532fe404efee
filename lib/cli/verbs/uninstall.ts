import { REHEARSAL, deviceConfig } from '../../config/device.ts';
import { lookupFor } from '../../config/lookup.ts';
import { UsageError } from '../../model/failure.ts';
import { STATUS } from '../../model/exit-status.ts';
import { explainFailure } from '../../report/explain.ts';
import { confirmed, type Said } from '../consent.ts';
import type { Context } from '../context.ts';
import { openPlaces } from '../on-device.ts';
import { say } from '../reporting.ts';
import { newRunId } from '../runs.ts';

export interface UninstallOptions extends Said {
  readonly device: string;
  /** The system's data and its copies go, too. */
  readonly withData: boolean;
}

/** Takes everything off a device that Slipway made there, once the device's name was typed. */
export async function uninstall(context: Context, { device, withData, ...said }: UninstallOptions): Promise<number> {
  const lookup = lookupFor(context.sources, device);
  if (device === REHEARSAL) throw new UsageError(`${REHEARSAL} is no real device`, 'type rehearsal stop');
  deviceConfig(device, lookup);
  if (!(await confirmed(device, said))) {
    const { message, next } = explainFailure({ reason: 'not-confirmed', what: device });
    say(`${message}\n  ${next}`);
    return STATUS.refused;
  }
  const places = openPlaces(context, newRunId(new Date()));
  try {
    const performer = await places.device(device);
    const locked = await performer.ask('lock', { name: 'deploy', client: 'uninstall' });
    const answer = locked.ok ? await performer.ask('uninstall', { data: withData ? 'remove' : 'keep' }) : locked;
    if (answer.ok) {
      say(`${device}: nothing of Slipway is left${withData ? '' : '; the data stays below its root'}`);
      return STATUS.done;
    }
    const { message, next } = explainFailure(answer.failure);
    say(`${message}\n  ${next}`);
    return STATUS.failed;
  } finally {
    await places.close();
  }
}
