import { REHEARSAL } from '../config/device.ts';
import type { Json } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import { itemsIn } from '../model/step.ts';
import type { Places } from './places.ts';
import { say, type Manner } from './reporting.ts';

/** What `release.status` answers beside what the engine needs. */
export interface DeviceStatus {
  readonly current: string | null;
  readonly state: string | null;
  readonly releases: readonly { readonly id: string; readonly state: string; readonly at: string }[];
  readonly services: readonly {
    readonly name: string;
    readonly state: string;
    readonly port: number | null;
    readonly public?: boolean;
  }[];
  /** Who holds the deploy lock, as the holder wrote it. */
  readonly lock?: { readonly holder: string } | null;
  /** The last switch: one that is armed and not confirmed is put back at its deadline. */
  readonly switch?: { readonly [field: string]: Json } | null;
}

/** The device's own word on what is current and what runs. */
export async function askStatus(places: Places, device: string): Promise<DeviceStatus | null> {
  const answer = await (await places.device(device)).ask('release.status');
  return answer.ok ? (answer.value as unknown as DeviceStatus) : null;
}

/** The address at which a device's public service answers, as far as this machine can reach it. */
export function addressOf(status: DeviceStatus, host: string): string | null {
  const shown = status.services.find((service) => service.public === true && service.port !== null);
  return shown === undefined ? null : `http://${host}:${String(shown.port)}/`;
}

/** After a run that started or stopped services: what each device now shows, asked, not inferred. */
export async function tellPlaces(plan: Plan, places: Places, manner: Manner): Promise<void> {
  const devices = devicesWithServices(plan);
  for (const device of devices) {
    const status = await askStatus(places, device).catch(() => null);
    if (status?.current != null && manner.output === 'human') say(describe(device, status));
  }
  if (touches(plan, REHEARSAL)) say('REHEARSAL: nothing reached a real board');
}

function describe(device: string, status: DeviceStatus): string {
  const running = status.services.filter(({ state }) => state === 'running').map(({ name }) => name);
  const address = device === REHEARSAL ? addressOf(status, '127.0.0.1') : null;
  const where = address === null ? '' : ` at ${address}`;
  return `${device}: release ${String(status.current)} is current (${status.state ?? 'unknown'}), ${running.length === 0 ? 'nothing runs' : `${running.join(', ')} running`}${where}`;
}

function devicesWithServices(plan: Plan): readonly string[] {
  const devices = new Set<string>();
  for (const { body } of plan.nodes)
    for (const item of itemsIn(body))
      if (item.type === 'step' && item.kind === 'service' && item.place !== 'here') devices.add(item.place);
  return [...devices];
}

function touches(plan: Plan, place: string): boolean {
  return plan.nodes.some(({ body }) => [...itemsIn(body)].some((item) => item.type === 'step' && item.place === place));
}
