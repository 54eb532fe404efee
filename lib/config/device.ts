import { deviceVariable, type DeviceTarget } from '../model/device.ts';
import { UsageError } from '../model/failure.ts';
import { lookupFor, type Found, type Lookup, type Sources } from './lookup.ts';
import * as shape from './shape.ts';

/** The device that is always there: the embedded stand-in. */
export const REHEARSAL = 'rehearsal';

/** A device's root when `X_ROOT` says nothing. */
export const DEFAULT_ROOT = '~/slipway';

/** The longest that a lost connection may be waited for, in seconds. */
const MAX_RECONNECT_S = 3600;

/** The last word of each variable of a device. */
export const SETTINGS = [
  'HOST',
  'PORT',
  'USER',
  'KEY',
  'KNOWN_HOSTS',
  'ROOT',
  'HTTP_PORT',
  'TRANSPORT',
  'RECONNECT_S',
  'SUPERVISOR',
  'SUDO',
] as const;
export type Setting = (typeof SETTINGS)[number];

/** The variable that configures a device: `my-board`, `HOST` → `MY_BOARD_HOST`. */
export function variable(device: string, setting: Setting): string {
  return deviceVariable(device, setting);
}

/** How a real device is reached; `UsageError` when it is not configured, or wrongly. */
export function deviceConfig(name: string, lookup: Lookup): DeviceTarget {
  const get = (setting: Setting): Found | undefined => present(lookup.get(variable(name, setting)));
  const each = <T>(setting: Setting, parse: (variable: string, found: Found) => T): T | null => {
    const found = get(setting);
    return found ? parse(variable(name, setting), found) : null;
  };
  const host = each('HOST', shape.host);
  if (host === null) {
    const where = `.env.${name}`;
    throw new UsageError(
      `device ${name} is not configured: ${variable(name, 'HOST')} is not set`,
      `write ${variable(name, 'HOST')}=… into ${where}, or choose another device with --to`,
    );
  }
  const found = lookup.get(variable(name, 'ROOT'));
  return {
    name,
    host,
    port: each('PORT', shape.port),
    user: each('USER', shape.user),
    key: each('KEY', (variable, found) => shape.file(variable, found, lookup.projectDir, 'secret')),
    knownHosts: each('KNOWN_HOSTS', (variable, found) => shape.file(variable, found, lookup.projectDir, 'there')),
    root: found ? shape.root(variable(name, 'ROOT'), found) : DEFAULT_ROOT,
    httpPort: each('HTTP_PORT', shape.port),
    transport: each('TRANSPORT', (variable, found) => shape.oneOf(variable, found, ['ssh2', 'ssh'])) ?? 'ssh2',
    sudo: each('SUDO', (variable, found) => shape.oneOf(variable, found, ['yes', 'no']) === 'yes'),
    reconnectMs: each('RECONNECT_S', (variable, found) => shape.seconds(variable, found, MAX_RECONNECT_S) * 1000),
    rehearsal: false,
    supervisor: each('SUPERVISOR', shape.supervisor),
  };
}

/** The variable that holds what sudo on a device asks for; its value is shown nowhere. */
export const sudoPasswordVariable = (name: string): string => deviceVariable(name, 'SUDO_PASSWORD');

/** What sudo on a device asks for, or `null`; one line, as sudo reads no more. */
export function sudoPassword(name: string, lookup: Lookup): string | null {
  const variable = sudoPasswordVariable(name);
  const found = present(lookup.get(variable));
  if (found === undefined) return null;
  if (/^[^\r\n\0]+$/.test(found.value)) return found.value;
  throw new UsageError(`${variable} is more than one line`, `correct ${variable} in ${found.source}`);
}

/** The rehearsal device's public port: `REHEARSAL_HTTP_PORT`, or `null` for one that it chooses and keeps. */
export function rehearsalHttpPort(lookup: Lookup): number | null {
  const name = variable(REHEARSAL, 'HTTP_PORT');
  const found = present(lookup.get(name));
  return found ? shape.port(name, found) : null;
}

/** Settings that no other program's variables are likely to have: `DB_HOST` and `DB_PORT` make no device. */
const TELLING: readonly Setting[] = ['ROOT', 'KNOWN_HOSTS', 'HTTP_PORT', 'SUPERVISOR'];

/**
 * The real devices that are configured, sorted. `X_HOST` makes a device of `x` when the project declares `x`, has a
 * `.env.x`, or sets one of X_ROOT, X_KNOWN_HOSTS, X_HTTP_PORT, X_SUPERVISOR beside it: shells and applications have variables
 * such as DOCKER_HOST and DB_HOST, too.
 */
export function configuredDevices(sources: Sources, declared: readonly string[]): readonly string[] {
  const names = new Set([...declared, ...sources.targets.keys(), ...namesIn(sources)]);
  names.delete(REHEARSAL);
  return [...names].filter((name) => present(lookupFor(sources, name).get(variable(name, 'HOST')))).sort();
}

function namesIn(sources: Sources): string[] {
  const variables = [...Object.keys(sources.environment), ...(sources.shared?.values.keys() ?? [])];
  return variables.flatMap((name) => {
    const prefix = /^([A-Z][A-Z0-9_]*)_HOST$/.exec(name)?.[1];
    if (prefix === undefined) return [];
    return TELLING.some((setting) => variables.includes(`${prefix}_${setting}`))
      ? [prefix.toLowerCase().replaceAll('_', '-')]
      : [];
  });
}

function present(found: Found | undefined): Found | undefined {
  return found === undefined || found.value === '' ? undefined : found;
}
