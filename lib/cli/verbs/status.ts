import { REHEARSAL, configuredDevices, deviceConfig } from '../../config/device.ts';
import { lookupFor } from '../../config/lookup.ts';
import { STATUS } from '../../model/exit-status.ts';
import { explainFailure } from '../../report/explain.ts';
import {
  statusLines,
  type LockHolder,
  type ShownDevice,
  type UnaskedDevice,
  type Vitals,
} from '../../report/status.ts';
import { addressOf, type DeviceStatus } from '../afterwards.ts';
import type { Context } from '../context.ts';
import { cutOff, cutOffLine } from '../cut-off.ts';
import { askOn, oneDevice, openPlaces } from '../on-device.ts';
import { print, say, type Manner } from '../reporting.ts';
import { leftovers, listRuns, newRunId } from '../runs.ts';

/** What `device.vitals` answers. */
interface AllVitals extends Vitals {
  readonly services: readonly { readonly name: string; readonly memoryMb: number | null }[];
}

/** Asks every configured device and the rehearsal device, or the given one alone; and says which runs were cut off. */
export async function status(context: Context, manner: Manner, device: string | null): Promise<number> {
  const configured = configuredDevices(context.sources, context.project.devices ?? []);
  const names = device === null ? [...configured, REHEARSAL] : [oneDevice(context)];
  const places = openPlaces(context, newRunId(new Date()));
  const devices: (ShownDevice | UnaskedDevice)[] = [];
  try {
    for (const name of names) {
      const [answer, vitals] = [
        await askOn(places, name, 'release.status'),
        await askOn(places, name, 'device.vitals'),
      ];
      if (answer.ok) {
        const found = vitals.ok ? (vitals.value as unknown as AllVitals) : null;
        devices.push(shown(context, name, answer.value as unknown as DeviceStatus, found));
      } else {
        const { message, next } = explainFailure(answer.failure);
        devices.push({ name, error: { reason: answer.failure.reason, message, next } });
        say(`${name}: ${message}; ${next}`);
      }
    }
  } finally {
    await places.close();
  }
  const left = leftovers(listRuns(context.slipwayDir)).map(cutOff);
  if (manner.output === 'json') print(JSON.stringify({ devices, cutOff: left }));
  else {
    for (const one of devices) if (!('error' in one)) for (const line of statusLines(one)) print(line);
    for (const one of left) print(cutOffLine(one));
  }
  if (names.length === 1 && names[0] === REHEARSAL) say('REHEARSAL: nothing reached a real board');
  return devices.some((one) => 'error' in one) ? STATUS.failed : STATUS.done;
}

function shown(context: Context, name: string, status: DeviceStatus, vitals: AllVitals | null): ShownDevice {
  const host = name === REHEARSAL ? '127.0.0.1' : deviceConfig(name, lookupFor(context.sources, name)).host;
  const memoryOf = (service: string): number | null =>
    vitals?.services.find((one) => one.name === service)?.memoryMb ?? null;
  return {
    name,
    url: addressOf(status, host),
    current: status.current,
    releases: status.releases.map(({ id, state }) => ({ id, state })),
    services: status.services.map(({ name: service, state }) => ({
      name: service,
      state,
      memoryMb: memoryOf(service),
    })),
    memory: vitals?.memory ?? null,
    disk: vitals?.disk ?? null,
    temperature: vitals?.temperature ?? null,
    lock: status.lock ? holderOf(status.lock.holder) : null,
    switch: status.switch ?? null,
  };
}

/** The holder's text, as far as it is one (docs/agent.md, `state/lock-NAME`): it may just be written anew. */
function holderOf(text: string): LockHolder {
  try {
    const { run, client, since } = JSON.parse(text) as { readonly [field: string]: unknown };
    return { run: String(run), client: String(client), since: String(since) };
  } catch {
    return { run: 'unknown', client: 'unknown', since: 'unknown' };
  }
}
