import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readEnvFile, type EnvFile } from './env-file.ts';

/** A value, and where it came from: `--to`, `environment`, `.env.jetson`, `.env` or `default`. */
export interface Found {
  readonly value: string;
  readonly source: string;
}

/** Answers names in the order flag, environment, `.env.<target>`, `.env`. An empty value is a value. */
export interface Lookup {
  readonly target: string | null;
  readonly projectDir: string;
  /** There is a `.env.<target>`. */
  readonly hasOwnFile: boolean;
  get(name: string): Found | undefined;
  /** The same, from `.env.<target>` alone. */
  own(name: string): Found | undefined;
}

/** All that configuration is read from. */
export interface Sources {
  readonly projectDir: string;
  readonly environment: { readonly [name: string]: string | undefined };
  /** Values given as flags: the variable's name → the flag and its value (`DEPLOY_TO` → `--to`). */
  readonly flags: { readonly [name: string]: { readonly flag: string; readonly value: string } };
  readonly shared: EnvFile | null;
  /** `.env.<target>` files by target. */
  readonly targets: ReadonlyMap<string, EnvFile>;
}

/** A file name that belongs to a target: `.env.example` is a pattern for people, not a target. */
const TARGET_FILE = /^\.env\.(?<target>[a-z][a-z0-9-]*)$/;
const NOT_A_TARGET = new Set(['example', 'sample', 'template', 'dist']);

/** Reads `.env` and every `.env.<target>` of a project. */
export async function readSources(
  given: Pick<Sources, 'projectDir' | 'environment'> & Partial<Pick<Sources, 'flags'>>,
): Promise<Sources> {
  const targets = new Map<string, EnvFile>();
  for (const name of readdirSync(given.projectDir).sort()) {
    const target = TARGET_FILE.exec(name)?.groups?.['target'];
    if (target === undefined || NOT_A_TARGET.has(target)) continue;
    const file = await readEnvFile(join(given.projectDir, name), name);
    if (file !== null) targets.set(target, file);
  }
  return { flags: {}, ...given, shared: await readEnvFile(join(given.projectDir, '.env'), '.env'), targets };
}

/** The values in force for a target, or, without one, those that do not depend on it. */
export function lookupFor(sources: Sources, target: string | null): Lookup {
  const file = target === null ? undefined : sources.targets.get(target);
  const own = (name: string): Found | undefined => inFile(file, name);
  return {
    target,
    projectDir: sources.projectDir,
    hasOwnFile: file !== undefined,
    own,
    get: (name) =>
      fromFlag(sources, name) ?? fromEnvironment(sources, name) ?? own(name) ?? inFile(sources.shared, name),
  };
}

function fromFlag(sources: Sources, name: string): Found | undefined {
  const given = sources.flags[name];
  return given && { value: given.value, source: given.flag };
}

function fromEnvironment(sources: Sources, name: string): Found | undefined {
  const value = sources.environment[name];
  return value === undefined ? undefined : { value, source: 'environment' };
}

function inFile(file: EnvFile | null | undefined, name: string): Found | undefined {
  const value = file?.values.get(name);
  return value === undefined || file == null ? undefined : { value, source: file.name };
}
