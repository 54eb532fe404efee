import { readFileSync } from 'node:fs';
import { UsageError } from '../model/failure.ts';

/** Largest environment file that is read. */
const MAX_ENV_FILE_BYTES = 1024 * 1024;

/** The values of one environment file, by name; `name` is the file as people know it (`.env.jetson`). */
export interface EnvFile {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Reads an environment file with dotenv's `parse` (`config()` would print and alter this process's environment).
 * A missing file is `null`; an unreadable one, or a line that is not KEY=value, is a `UsageError`.
 */
export async function readEnvFile(path: string, name: string): Promise<EnvFile | null> {
  const text = readText(path, name);
  if (text === null) return null;
  const { parse } = await import('dotenv');
  const bad = oddLine(text);
  if (bad !== null) {
    throw new UsageError(
      `${name} line ${String(bad)} is not KEY=value`,
      `correct line ${String(bad)} of ${name}, or begin it with #`,
    );
  }
  return { name, values: new Map(Object.entries(parse(text))) };
}

function readText(path: string, name: string): string | null {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_ENV_FILE_BYTES)
      throw new UsageError(
        `${name} is larger than ${String(MAX_ENV_FILE_BYTES)} bytes`,
        `is ${name} an environment file?`,
      );
    return text.replace(/^\uFEFF/, '');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === undefined) throw error;
    throw new UsageError(
      `${name} cannot be read (${code})`,
      code === 'EACCES' ? `chmod u+r ${name}` : `make ${name} a readable file, or remove it`,
    );
  }
}

/** dotenv's own grammar of one assignment: it skips without a word whatever does not match. */
const ASSIGNMENT =
  /^\s*(?:export\s+)?[\w.-]+(?:\s*=\s*?|:\s+?)(?:\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm;

/** The number of the first line that dotenv would skip although it is neither blank nor a comment; counted from 1. */
function oddLine(text: string): number | null {
  const rest = text.replace(/\r\n?/g, '\n').replace(ASSIGNMENT, (match) => match.replace(/[^\n]/g, ''));
  const index = rest.split('\n').findIndex((line) => !/^\s*(#.*)?$/.test(line));
  return index < 0 ? null : index + 1;
}
