import type { Json } from './json.ts';
import { WEB_SERVER, webProblem, type Web } from './web.ts';

/** Who keeps services: a process of its own for each, or a unit. */
export type Supervisor = 'plain' | 'systemd';

/** A value in a service's argv or environment, which the device fills in when the service starts. */
export type ServiceText =
  string | { readonly port: string } | { readonly path: 'data' | 'secrets' | 'release' } | readonly ServiceText[];

/** A program that a release brings and that keeps running after the command ends. */
export interface Service {
  readonly name: string;
  /** The command; its working folder is the release. */
  readonly argv: readonly ServiceText[];
  readonly env?: { readonly [name: string]: ServiceText };
  /** It listens on a port, which `{ port: NAME }` names. `public` is the device's `X_HTTP_PORT`; others are chosen free and kept. */
  readonly listens?: 'public' | 'private';
  /** What tells that it runs: an HTTP path that answers 200 on its port; `release` is the JSON field that reports the release id. */
  readonly health?: { readonly path: string; readonly release?: string };
  /** Share of the device's memory, in MB; the sum must fit before anything starts. */
  readonly memoryMb: number;
  /** Never in two releases at once, not even for a moment. The plain supervisor keeps that for every service. */
  readonly singleton?: boolean;
  /** Asks it to begin nothing new, and to go on again; both run in the release and may run twice. */
  readonly quiesce?: { readonly pause: readonly ServiceText[]; readonly resume: readonly ServiceText[] };
  /** Prints one JSON object `{ safeToStop, open }` on its last line: whether it may be stopped, and what is open. */
  readonly safeToStop?: readonly ServiceText[];
  /** Services that start before it and stop after it. */
  readonly after?: readonly string[];
  /** Time to end after TERM before KILL, in ms. */
  readonly graceMs?: number;
  /** It tells systemd that it is ready, and then at least this often that it is well (`sd_notify`), or it is restarted. */
  readonly watchdog?: { readonly everyMs: number };
  /** Devices below `/dev` that it uses, under systemd, and the groups that may use them; no others are there. */
  readonly devices?: readonly string[];
  readonly groups?: readonly string[];
  /** What an error looks like in a line of its log (a Python regular expression): more than before, and a release is not confirmed. */
  readonly errors?: string;
}

/** What a release is made of and how it runs. */
export interface System {
  readonly name: string;
  readonly services: readonly Service[];
  /** Who keeps its services on a real device, unless `X_SUPERVISOR` says otherwise; `plain` unless told. */
  readonly supervisor?: Supervisor;
  /** The web server in front, where the supervisor brings one. */
  readonly web?: Web;
  /** Memory that is not the services', in MB: the operating system and a margin. */
  readonly reservedMb: number;
  /** Memory of the declared board in MB: the budget of the rehearsal device. */
  readonly boardMb: number;
  /** The SQLite database below the data folder, and the commands that migrate it, run in the release. */
  readonly database?: {
    readonly path: string;
    readonly migrate: readonly ServiceText[];
    /**
     * Prints one JSON object `{ accepts, detail, against, missing }` on its last line: whether this release's code can
     * run on the schema that the database has, what stands against it, and which of its own migrations are not applied.
     */
    readonly accepts?: readonly ServiceText[];
    readonly env?: { readonly [name: string]: ServiceText };
  };
  /** Secrets that the services read from one 0600 file outside the releases, as `NAME=value` lines. */
  readonly secrets?: readonly string[];
  /** The system's own test of a release that was just started: a command, run in the release, that ends with 0. */
  readonly smoke?: {
    readonly argv: readonly ServiceText[];
    readonly env?: { readonly [name: string]: ServiceText };
  };
  /** Confirmed previous releases that are kept, at least three. */
  readonly keep: number;
}

/** Declares a system; refuses a name used twice, an unknown `after`, and a cycle of `after`. */
export function system(spec: System): System & { readonly [key: string]: Json } {
  const names = inStartOrder(spec.services).map((service) => service.name);
  const listening = spec.services.filter((service) => service.listens).map((service) => service.name);
  const port = portsIn(spec).find((name) => !listening.includes(name));
  if (port !== undefined) throw new TypeError(`{ port: '${port}' } names no service that listens`);
  const web = spec.web === undefined ? null : webProblem(spec.web, spec.services);
  if (web !== null) throw new TypeError(web);
  if (spec.supervisor === 'systemd') nameUnits(spec.name, names);
  if (spec.keep < 3) throw new TypeError('keep must be at least 3 previous releases');
  return spec as System & { readonly [key: string]: Json };
}

/** Units are named after system and service; `boot` is the one that looks after an unfinished switch. */
function nameUnits(system: string, services: readonly string[]): void {
  for (const name of [system, ...services])
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(name))
      throw new TypeError(`${JSON.stringify(name)} cannot be part of a unit's name: letters, digits and . _ - alone`);
  if (services.includes('boot')) throw new TypeError('under systemd no service can be named boot');
}

/** Names of everything that starts, each after what it needs; the web server, where there is one, comes last. */
export function startOrder({ services, web }: System): readonly string[] {
  return [...inStartOrder(services).map(({ name }) => name), ...(web === undefined ? [] : [WEB_SERVER])];
}

function portsIn(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [];
  if ('port' in value && typeof value.port === 'string') return [value.port];
  return Object.values(value).flatMap(portsIn);
}

/**
 * Services so that each comes after those that it names in `after`; otherwise in the declared order. Refuses a name
 * used twice, an unknown `after`, and a cycle.
 */
export function inStartOrder<S extends { readonly name: string; readonly after?: readonly string[] }>(
  services: readonly S[],
): readonly S[] {
  const names = services.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new TypeError(`two services are named ${twice}`);
  const byName = new Map(services.map((service) => [service.name, service]));
  const out = new Set<S>();
  const visit = (service: S, path: readonly string[]): void => {
    if (path.includes(service.name))
      throw new TypeError(`services start in a circle: ${[...path, service.name].join(' → ')}`);
    for (const name of out.has(service) ? [] : (service.after ?? [])) {
      const before = byName.get(name);
      if (!before) throw new TypeError(`${service.name} starts after ${name}, which is no service`);
      visit(before, [...path, service.name]);
    }
    out.add(service);
  };
  for (const service of services) visit(service, []);
  return [...out];
}
