import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError, type Failure } from '../model/failure.ts';
import type { Lookup } from './lookup.ts';
import { REHEARSAL } from './device.ts';

/** Bytes of a generated secret, written as hexadecimal digits. */
const GENERATED_BYTES = 32;

/** The declared secrets by name; not `ok` where some are missing. */
export type Secrets = { readonly values: ReadonlyMap<string, string> } & (
  { readonly ok: true } | { readonly ok: false; readonly failure: Failure }
);

/**
 * The declared secrets of a device. A real device has them in `.env.<target>`, `.env` or the environment; the
 * rehearsal device in `.env.rehearsal` alone, or generated, so that it never holds a real one.
 */
export function secretsFor(names: readonly string[], lookup: Lookup, slipwayDir: string): Secrets {
  if (lookup.target === REHEARSAL) return rehearsalSecrets(names, lookup, slipwayDir);
  const where = lookup.target === null ? '.env' : `.env.${lookup.target}`;
  return collect(names, (name) => lookup.get(name)?.value, `${where} (or the environment)`);
}

/** With a `.env.rehearsal` nothing is generated: what it leaves out is missing. */
function rehearsalSecrets(names: readonly string[], lookup: Lookup, slipwayDir: string): Secrets {
  if (lookup.hasOwnFile) return collect(names, (name) => lookup.own(name)?.value, `.env.${REHEARSAL}`);
  const generated = names.length === 0 ? {} : generatedSecrets(names, join(slipwayDir, REHEARSAL, 'secrets.json'));
  return collect(names, (name) => generated[name], `.env.${REHEARSAL}`);
}

function collect(names: readonly string[], value: (name: string) => string | undefined, where: string): Secrets {
  const values = new Map<string, string>();
  for (const name of names) {
    const found = value(name);
    if (found !== undefined && found !== '') values.set(name, found);
  }
  const missing = names.filter((name) => !values.has(name));
  return missing.length === 0
    ? { ok: true, values }
    : { ok: false, values, failure: { reason: 'missing-secret', names: missing, where } };
}

/** Secrets made once and kept: a second rehearsal finds the same ones, and a newly declared name is added. */
function generatedSecrets(names: readonly string[], path: string): { readonly [name: string]: string } {
  const kept = readGenerated(path);
  const missing = names.filter((name) => kept[name] === undefined);
  if (missing.length === 0) return kept;
  const all = {
    ...kept,
    ...Object.fromEntries(missing.map((name) => [name, randomBytes(GENERATED_BYTES).toString('hex')])),
  };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${String(process.pid)}.part`;
  writeFileSync(part, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 });
  // The first of two runs at once wins, and the other takes its secrets: both then hold the same.
  if (Object.keys(kept).length > 0) renameSync(part, path);
  else linkOnce(part, path);
  return readGenerated(path);
}

function linkOnce(part: string, path: string): void {
  try {
    linkSync(part, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(part);
  }
}

function readGenerated(path: string): { readonly [name: string]: string } {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { [name: string]: string };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new UsageError(`${path} cannot be read`, `remove ${path}: the rehearsal's secrets are made again`);
  }
}
