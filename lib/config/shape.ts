import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UsageError } from '../model/failure.ts';
import type { Supervisor } from '../model/service.ts';
import type { Found } from './lookup.ts';

/** Parses a TCP port; `UsageError` when it is not a whole number from 1 to 65535. */
export function port(name: string, found: Found): number {
  const value = Number(found.value);
  if (/^\d{1,5}$/.test(found.value) && value >= 1 && value <= 65_535) return value;
  throw new UsageError(
    `${name} is ${shown(found)}: a port is a number from 1 to 65535`,
    `correct ${name} in ${found.source}`,
  );
}

/** One word of a few. */
export function oneOf<Word extends string>(name: string, found: Found, words: readonly Word[]): Word {
  const word = words.find((one) => one === found.value);
  if (word !== undefined) return word;
  throw new UsageError(`${name} is ${shown(found)}: not ${words.join(' or ')}`, `correct ${name} in ${found.source}`);
}

/** A whole number of seconds, from 0. */
export function seconds(name: string, found: Found, most: number): number {
  const value = Number(found.value);
  if (/^\d{1,9}$/.test(found.value) && value <= most) return value;
  throw new UsageError(
    `${name} is ${shown(found)}: not a number of seconds from 0 to ${String(most)}`,
    `correct ${name} in ${found.source}`,
  );
}

/** A host name, address or alias of ssh_config; never something that a command would take for an option. */
export function host(name: string, found: Found): string {
  if (/^[\p{L}\p{N}_[][\p{L}\p{N}._:%[\]-]*$/u.test(found.value)) return found.value;
  throw new UsageError(
    `${name} is ${shown(found)}: not a host name or address`,
    `correct ${name} in ${found.source}; the login goes into ${name.replace(/_HOST$/, '_USER')}`,
  );
}

/** Who keeps a device's services. */
export function supervisor(name: string, found: Found): Supervisor {
  if (found.value === 'plain' || found.value === 'systemd') return found.value;
  throw new UsageError(`${name} is ${shown(found)}: it is plain or systemd`, `correct ${name} in ${found.source}`);
}

/** A login name. */
export function user(name: string, found: Found): string {
  if (/^[^\s\0-\u001f:@-][^\s\0-\u001f:@]*$/.test(found.value)) return found.value;
  throw new UsageError(`${name} is ${shown(found)}: not a login name`, `correct ${name} in ${found.source}`);
}

/** A file that must be there, as an absolute path; `secret`: readable by nobody but its owner. */
export function file(name: string, found: Found, projectDir: string, need: 'there' | 'secret'): string {
  const path = absolute(found.value, projectDir);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true)
    throw new UsageError(`${name} names ${path}, which is not a file`, `correct ${name} in ${found.source}`);
  const mode = stat.mode & 0o777;
  if (need === 'secret' && (mode & 0o077) !== 0) {
    throw new UsageError(
      `${name} names ${path}, which others can read (mode ${mode.toString(8).padStart(4, '0')})`,
      `chmod 600 ${path}`,
    );
  }
  return path;
}

/** The device's root: absolute, or below the login's home folder (`~/…`). */
export function root(name: string, found: Found): string {
  const path = found.value.trim();
  if (path === '')
    throw new UsageError(
      `${name} is empty: everything that Slipway keeps on the device lies below it`,
      `set ${name} in ${found.source}, or remove it there for the default`,
    );
  if (/^(\/|~\/)[^\0-\u001f]+$/.test(path) && !path.split('/').includes('..')) return path;
  throw new UsageError(
    `${name} is ${shown(found)}: a root is an absolute path, or begins with ~/`,
    `correct ${name} in ${found.source}`,
  );
}

function absolute(path: string, projectDir: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(projectDir, path);
}

function shown({ value, source }: Found): string {
  return `${JSON.stringify(value)} (${source})`;
}
