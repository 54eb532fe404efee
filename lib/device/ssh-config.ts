import { deviceVariable, type DeviceTarget } from '../model/device.ts';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Failure } from '../model/failure.ts';
import { runCommand } from './command.ts';
import type { Environment } from './target.ts';

/** Where and how to connect, every choice made. */
export interface Endpoint {
  /** The device's name, for failures. */
  readonly place: string;
  /** The choices as they were configured: OpenSSH itself reads the rest from its own configuration. */
  readonly given: DeviceTarget;
  /** The host as it was configured, which may be an alias of ssh_config. */
  readonly alias: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The key that was configured, alone; otherwise ssh_config's identities, of which some may not exist. */
  readonly keys: readonly string[];
  readonly keyConfigured: boolean;
  readonly knownHosts: readonly string[];
  /** ssh_config's HostKeyAlias: the name under which the host key is known. */
  readonly hostKeyAlias: string | null;
  readonly agentSocket: string | null;
  /** What leads there according to ssh_config (`proxyjump bastion`), or `null`: only OpenSSH follows it. */
  readonly through: string | null;
}

/** Where an endpoint is, for people. */
export function addressOf({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

type Resolved = { readonly ok: true; readonly endpoint: Endpoint } | { readonly ok: false; readonly failure: Failure };
type Settings = ReadonlyMap<string, readonly string[]>;

/** A device's own configuration first, then what `ssh -G` says for its host, then SSH's defaults. */
export async function resolveEndpoint(target: DeviceTarget, environment: Environment): Promise<Resolved> {
  const settings: Settings = target.rehearsal ? new Map() : await sshSettings(target, environment);
  const one = (name: string): string | undefined => settings.get(name)?.[0];
  const hop = ['proxyjump', 'proxycommand'].find((name) => (one(name) ?? 'none') !== 'none');
  const through = hop === undefined ? null : `${hop} ${one(hop) ?? ''}`;
  if (through !== null && target.transport === 'ssh2') {
    const message = `ssh_config reaches ${target.host} through ${through}, which only OpenSSH can follow: set ${deviceVariable(target.name, 'TRANSPORT')}=ssh`;
    return { ok: false, failure: { reason: 'refused', message } };
  }
  const endpoint: Endpoint = {
    place: target.name,
    given: target,
    alias: target.host,
    host: one('hostname') ?? target.host,
    port: target.port ?? Number(one('port') ?? 22),
    user: target.user ?? one('user') ?? userInfo().username,
    keys:
      target.key !== null
        ? [target.key]
        : (settings.get('identityfile') ?? DEFAULT_IDENTITIES).map((path) => inHome(path, environment)),
    keyConfigured: target.key !== null,
    knownHosts: target.knownHosts !== null ? [target.knownHosts] : knownHostsFiles(settings, environment),
    hostKeyAlias: one('hostkeyalias') ?? null,
    agentSocket: target.rehearsal ? null : agentSocket(one('identityagent'), environment),
    through,
  };
  return { ok: true, endpoint };
}

/** What names a host in known_hosts files, and those files. */
export type HostName = Pick<Endpoint, 'host' | 'port' | 'hostKeyAlias' | 'knownHosts'>;

/** How a host is known if ssh_config says nothing about it. */
export const hostNameOf = (target: DeviceTarget, environment: Environment): HostName => ({
  host: target.host,
  port: target.port ?? 22,
  hostKeyAlias: null,
  knownHosts: target.knownHosts !== null ? [target.knownHosts] : knownHostsFiles(new Map(), environment),
});

const DEFAULT_IDENTITIES = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa'];

/** What ssh itself would use (`ssh -G` connects to nothing); empty when there is no ssh, or it does not know. */
async function sshSettings(target: DeviceTarget, environment: Environment): Promise<Settings> {
  const port = target.port === null ? [] : ['-p', String(target.port)];
  const user = target.user === null ? [] : ['-l', target.user];
  const result = await runCommand(['ssh', '-G', ...port, ...user, '--', target.host], environment);
  const settings = new Map<string, string[]>();
  if (result.missing || result.exitCode !== 0) return settings;
  for (const line of result.stdout.split('\n')) {
    const [name, value] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
    if (name !== '') settings.set(name, [...(settings.get(name) ?? []), value]);
  }
  return settings;
}

function knownHostsFiles(settings: Settings, environment: Environment): string[] {
  const files = (name: string, otherwise: string): string[] =>
    (settings.get(name)?.[0] ?? otherwise).split(/\s+/).filter((file) => file !== 'none' && file !== '');
  return [
    ...files('userknownhostsfile', '~/.ssh/known_hosts ~/.ssh/known_hosts2'),
    ...files('globalknownhostsfile', '/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2'),
  ].map((path) => inHome(path, environment));
}

function agentSocket(configured: string | undefined, environment: Environment): string | null {
  if (configured === 'none') return null;
  if (configured === undefined || configured === 'SSH_AUTH_SOCK') return environment['SSH_AUTH_SOCK'] || null;
  return inHome(configured, environment);
}

function inHome(path: string, environment: Environment): string {
  return path.startsWith('~/') ? join(environment['HOME'] ?? homedir(), path.slice(2)) : path;
}
