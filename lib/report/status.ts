import type { Failure } from '../model/failure.ts';
import { textOf, type Json } from '../model/json.ts';
import { neutral } from './neutral.ts';

/** How a device is: sizes in MB and bytes; `null` where the device cannot say. */
export interface Vitals {
  readonly memory: { readonly totalMb: number; readonly availableMb: number | null };
  readonly disk: { readonly totalBytes: number; readonly freeBytes: number; readonly freeInodes: number | null };
  readonly temperature: { readonly celsius: number; readonly zone: string } | null;
}

/** Who holds the deploy lock. */
export interface LockHolder {
  readonly run: string;
  readonly client: string;
  readonly since: string;
}

/** One device of `status --json`. */
export interface ShownDevice {
  readonly name: string;
  readonly url: string | null;
  readonly current: string | null;
  readonly releases: readonly { readonly id: string; readonly state: string }[];
  readonly services: readonly { readonly name: string; readonly state: string; readonly memoryMb: number | null }[];
  readonly memory: Vitals['memory'] | null;
  readonly disk: Vitals['disk'] | null;
  readonly temperature: Vitals['temperature'];
  readonly lock: LockHolder | null;
  /** The last switch of releases (docs/agent.md): `state` armed, confirmed, taking-back, stuck or taken-back. */
  readonly switch: { readonly [field: string]: Json } | null;
}

/** A device of `status --json` that could not be asked. */
export interface UnaskedDevice {
  readonly name: string;
  readonly error: { readonly reason: Failure['reason']; readonly message: string; readonly next: string };
}

/** A device's state in lines: what runs, how it is, which releases there are, and who is at work. */
export function statusLines(device: ShownDevice): readonly string[] {
  const { name, url, current, releases, services, lock } = device;
  const lines = [
    `${name}: ${current === null ? 'no release yet' : `release ${current}`}${url === null ? '' : ` at ${url}`}`,
    ...services.map(
      (one) => `  ${one.name.padEnd(16)} ${one.state}${one.memoryMb === null ? '' : `  ${String(one.memoryMb)} MB`}`,
    ),
    ...vitalLines(device),
    ...releases.map(({ id, state }) => `  release ${id}  ${state}${id === current ? ' (current)' : ''}`),
    ...(lock === null ? [] : [`  locked by run ${lock.run} of ${lock.client}, since ${lock.since}`]),
    ...switchLines(device.switch),
  ];
  return lines.map((line) => neutral(line, false));
}

function vitalLines({ memory, disk, temperature }: ShownDevice): readonly string[] {
  const free = (part: number, whole: number): string => `${String(part)} MB of ${String(whole)} MB free`;
  const megabytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);
  return [
    ...(memory === null || memory.availableMb === null
      ? []
      : [`  memory  ${free(memory.availableMb, memory.totalMb)}`]),
    ...(disk === null
      ? []
      : [
          `  disk    ${free(megabytes(disk.freeBytes), megabytes(disk.totalBytes))}${disk.freeInodes === null ? '' : `, ${String(disk.freeInodes)} inodes`}`,
        ]),
    ...(temperature === null ? [] : [`  heat    ${String(temperature.celsius)} °C (${temperature.zone})`]),
  ];
}

/** A switch that is confirmed is over; of every other one somebody should know. */
function switchLines(last: ShownDevice['switch']): readonly string[] {
  if (last === null) return [];
  const field = (name: string): string => textOf(last[name] ?? null) || 'unknown';
  const what = `  switch  to release ${field('release')} by run ${field('run')} of ${field('client')}`;
  const why = textOf(last['why'] ?? null);
  switch (last['state']) {
    case 'armed':
      return [`${what} is armed: put back unless confirmed, or heard of, by ${field('deadline')}`];
    case 'taking-back':
      return [`${what} is being put back: ${why}`];
    case 'stuck':
      return [`${what} could not be put back (${why}): ${textOf(last['failure'] ?? null)}`];
    case 'taken-back':
      return [`${what} was put back: ${why}`];
    default:
      return [];
  }
}
