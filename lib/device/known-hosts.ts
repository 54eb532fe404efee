import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Failure } from '../model/failure.ts';
import { runCommand } from './command.ts';
import type { HostName } from './ssh-config.ts';
import type { Environment } from './target.ts';

/** A host key from a known_hosts file. */
interface KnownKey {
  readonly type: string;
  readonly base64: string;
  readonly revoked: boolean;
  /** A certificate authority's: it signs host keys, and is none. */
  readonly authority: boolean;
}

/** What known_hosts files say about a host: under its name with the port, and under its bare name. */
export interface KnownHost {
  /** The name, with the port where it is not 22, or ssh_config's HostKeyAlias. */
  readonly name: string;
  readonly exact: readonly KnownKey[];
  readonly bare: readonly KnownKey[];
}

export type HostKeyState = 'trusted' | 'unknown' | 'changed' | 'revoked';

type Known = { readonly ok: true; readonly known: KnownHost } | { readonly ok: false; readonly failure: Failure };
type Found =
  { readonly ok: true; readonly keys: readonly KnownKey[] } | { readonly ok: false; readonly failure: Failure };

/** What was asked for one connection: each question is asked once. */
export type Asked = Map<string, Promise<Found>>;

/**
 * Looks a host up in every known_hosts file with `ssh-keygen -F`, which alone knows hashed names and patterns.
 * Whatever goes wrong is a failure: no answer is never "trusted".
 */
export async function knownHost(
  endpoint: HostName,
  environment: Environment,
  asked: Asked = new Map(),
): Promise<Known> {
  const host = endpoint.host.toLowerCase();
  const exactName = endpoint.hostKeyAlias ?? (endpoint.port === 22 ? host : `[${host}]:${String(endpoint.port)}`);
  const files = endpoint.knownHosts.filter((file) => existsSync(file));
  const [exact, bare] = await Promise.all([
    lookUpAll(exactName, files, environment, asked),
    lookUpAll(host, exactName === host || endpoint.hostKeyAlias !== null ? [] : files, environment, asked),
  ]);
  if (!exact.ok) return exact;
  return bare.ok ? { ok: true, known: { name: exactName, exact: exact.keys, bare: bare.keys } } : bare;
}

async function lookUpAll(
  name: string,
  files: readonly string[],
  environment: Environment,
  asked: Asked,
): Promise<Found> {
  const once = (file: string): Promise<Found> => {
    const question = JSON.stringify([name, file]);
    const answer = asked.get(question) ?? lookUp(name, file, environment);
    asked.set(question, answer);
    return answer;
  };
  const found = await Promise.all(files.map(once));
  const failed = found.find((one) => !one.ok);
  return failed ?? { ok: true, keys: found.flatMap((one) => (one.ok ? one.keys : [])) };
}

async function lookUp(name: string, file: string, environment: Environment): Promise<Found> {
  const result = await runCommand(['ssh-keygen', '-F', name, '-f', file], environment);
  if (result.missing) return { ok: false, failure: { reason: 'command-not-found', command: 'ssh-keygen' } };
  if (result.exitCode === 1) return { ok: true, keys: [] };
  if (result.exitCode === 0) return { ok: true, keys: result.stdout.split('\n').flatMap(parseLine) };
  return {
    ok: false,
    failure: {
      reason: 'exit-non-zero',
      command: `ssh-keygen -F ${name} -f ${file}`,
      exitCode: result.exitCode,
      tail: result.stderr.trim().split('\n'),
    },
  };
}

const MARKERS: readonly string[] = ['@revoked', '@cert-authority'];

/** One line, as sshd(8) describes it: `[@marker] names type base64 [comment]`. */
function parseLine(line: string): KnownKey[] {
  if (line === '' || line.startsWith('#')) return [];
  const words = line.split(/\s+/);
  const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined;
  const [, type, base64] = words;
  if (type === undefined || base64 === undefined || (marker !== undefined && !MARKERS.includes(marker))) return [];
  return [{ type, base64, revoked: marker === '@revoked', authority: marker === '@cert-authority' }];
}

const isKey = (key: KnownKey): boolean => !key.revoked && !key.authority;

/**
 * Judges a raw host key as OpenSSH does: revoked under any name wins; the bare name counts only where nothing is known
 * under the port. A host that is known by another type of key alone counts as changed, the safer of two readings.
 */
export function judge({ exact, bare }: KnownHost, rawKey: Buffer): HostKeyState {
  const base64 = rawKey.toString('base64');
  const same = (key: KnownKey): boolean => key.base64 === base64;
  if ([...exact, ...bare].some((key) => key.revoked && same(key))) return 'revoked';
  const valid = exact.filter(isKey);
  if (valid.length > 0) return valid.some(same) ? 'trusted' : 'changed';
  return bare.some((key) => isKey(key) && same(key)) ? 'trusted' : 'unknown';
}

/** The same judgement as a known_hosts file for OpenSSH, every name replaced by the one that it looks up. */
export function knownHostsText({ name, exact, bare }: KnownHost): string {
  const valid = (exact.some((key) => !key.revoked) ? exact : bare).filter((key) => !key.revoked);
  const revoked = [...exact, ...bare].filter((key) => key.revoked);
  const marker = (key: KnownKey): string => (key.revoked ? '@revoked ' : key.authority ? '@cert-authority ' : '');
  return [...revoked, ...valid].map((key) => `${marker(key)}${name} ${key.type} ${key.base64}\n`).join('');
}

/** Whether certificates of a known authority may stand for the host: only OpenSSH can judge those. */
export const hasAuthority = ({ exact, bare }: KnownHost): boolean =>
  [...exact, ...bare].some((key) => key.authority && !key.revoked);

/** A key as people compare it: `SHA256:…`, as `ssh-keygen -l` prints it. */
export function fingerprint(rawKey: Buffer): string {
  return `SHA256:${createHash('sha256').update(rawKey).digest('base64').replace(/=+$/, '')}`;
}

const ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;
export type HostKeyAlgorithm = (typeof ALGORITHMS)[number];

/** Host key algorithms, those of known keys first: a server with several keys then shows the one that can be judged. */
export function hostKeyAlgorithms({ exact, bare }: KnownHost): HostKeyAlgorithm[] {
  const valid = (exact.some(isKey) ? exact : bare).filter(isKey);
  const known = (algorithm: string): boolean =>
    valid.some(({ type }) => type === algorithm || (type === 'ssh-rsa' && algorithm.startsWith('rsa-')));
  return [...ALGORITHMS.filter(known), ...ALGORITHMS.filter((algorithm) => !known(algorithm))];
}
