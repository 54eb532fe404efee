import { channelSecret } from './channel.ts';
import { DEFAULT_ROOT, REHEARSAL, SETTINGS, configuredDevices, sudoPasswordVariable, variable } from './device.ts';
import { lookupFor, type Sources } from './lookup.ts';
import { chooseTarget } from './target.ts';

/** One value of the `config` verb; secrets are masked. */
export interface ConfigRow {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

const MASK = '***';

/** What is configured and where each value comes from: the target, its settings and secrets, and other devices' hosts. */
export function configReport(
  sources: Sources,
  declared: {
    readonly devices: readonly string[];
    readonly secrets: readonly string[];
    readonly variables?: readonly string[];
    /** Names of channels' secrets. */
    readonly channels?: readonly string[];
  },
): readonly ConfigRow[] {
  const chosen = chooseTarget(sources, declared.devices);
  const target = chosen.ok ? chosen.target : null;
  const devices = new Set([...(target === null ? [] : [target]), ...configuredDevices(sources, declared.devices)]);
  return [
    { name: 'DEPLOY_TO', value: target ?? '', source: chosen.ok ? chosen.source : 'not set' },
    ...[...devices].flatMap((device) => deviceRows(sources, device)),
    ...(declared.variables ?? []).map((name) => variableRow(sources, target, name)),
    ...declared.secrets.map((name) => secretRow(sources, target, name)),
    ...(declared.channels ?? []).map((name) => channelRow(sources, target, name)),
  ];
}

function deviceRows(sources: Sources, device: string): ConfigRow[] {
  const lookup = lookupFor(sources, device);
  const settings = device === REHEARSAL ? (['HTTP_PORT'] as const) : SETTINGS;
  const rows = settings.flatMap((setting) => {
    const name = variable(device, setting);
    const found = lookup.get(name) ?? (setting === 'ROOT' ? { value: DEFAULT_ROOT, source: 'default' } : undefined);
    return found ? [{ name, value: found.value, source: found.source }] : [];
  });
  const password = sudoPasswordVariable(device);
  const found = device === REHEARSAL ? undefined : lookup.get(password);
  return found ? [...rows, { name: password, value: MASK, source: found.source }] : rows;
}

function variableRow(sources: Sources, target: string | null, name: string): ConfigRow {
  const found = lookupFor(sources, target).get(name);
  return { name, value: found?.value ?? '', source: found?.source ?? 'not set' };
}

function secretRow(sources: Sources, target: string | null, name: string): ConfigRow {
  const lookup = lookupFor(sources, target);
  if (target !== REHEARSAL) {
    const found = lookup.get(name);
    return { name, value: found ? MASK : '', source: found?.source ?? 'not set' };
  }
  if (!lookup.hasOwnFile) return { name, value: MASK, source: 'generated' };
  const own = lookup.own(name);
  return { name, value: own ? MASK : '', source: own?.source ?? 'not set' };
}

function channelRow(sources: Sources, target: string | null, name: string): ConfigRow {
  const found = channelSecret(name, lookupFor(sources, target));
  return { name, value: found ? MASK : '', source: found?.source ?? 'not set' };
}
