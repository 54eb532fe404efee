import { UsageError, type Failure } from '../model/failure.ts';
import { REHEARSAL, configuredDevices, variable } from './device.ts';
import { lookupFor, type Sources } from './lookup.ts';

/** The device in force, with what said so, or why none is. */
export type Target =
  | { readonly ok: true; readonly target: string; readonly source: string }
  | { readonly ok: false; readonly failure: Failure };

/**
 * Chooses the target: the flag that names one, then `DEPLOY_TO`; otherwise `rehearsal` while no real device is configured. Once one is,
 * silence is `refused` (status 3), because a command must not change its meaning when a file appears.
 */
export function chooseTarget(sources: Sources, declared: readonly string[], flag = '--to'): Target {
  const found = lookupFor(sources, null).get('DEPLOY_TO');
  if (found !== undefined && found.value !== '') {
    if (!/^[a-z][a-z0-9-]*$/.test(found.value)) {
      throw new UsageError(
        `${found.source === flag ? flag : `DEPLOY_TO (${found.source})`} is ${JSON.stringify(found.value)}: not a device name (lower case letters, digits and -)`,
        `configured: ${[REHEARSAL, ...configuredDevices(sources, declared)].join(', ')}`,
      );
    }
    return { ok: true, target: found.value, source: found.source };
  }
  const real = configuredDevices(sources, declared);
  if (real.length === 0) return { ok: true, target: REHEARSAL, source: 'default' };
  const choice = [...real, REHEARSAL];
  const set = real.map((name) => variable(name, 'HOST')).join(', ');
  return {
    ok: false,
    failure: {
      reason: 'refused',
      message: `which device? ${set} ${real.length === 1 ? 'is' : 'are'} set, so say ${flag} or DEPLOY_TO: ${choice.join(', ')}`,
    },
  };
}
