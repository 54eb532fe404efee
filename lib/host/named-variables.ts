import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Larger files are no sources, in bytes. */
const MAX_SOURCE_BYTES = 1024 * 1024;

/** How JavaScript, Python, Ruby, Go, Rust and C ask for a variable by its name. */
const ASKS = [
  /\bprocess\.env\.([A-Za-z_]\w*)/g,
  /\bprocess\.env\[\s*['"`]([A-Za-z_]\w*)['"`]\s*\]/g,
  /\b(?:os\.)?environ(?:\.get)?[[(]\s*['"]([A-Za-z_]\w*)['"]/g,
  /\b(?:getenv|Getenv|LookupEnv|env::var(?:_os)?)\(\s*['"]([A-Za-z_]\w*)['"]/g,
  /\bENV(?:\.fetch)?[[(]\s*['"]([A-Za-z_]\w*)['"]/g,
];

/** Names of variables that the project's own sources among these files ask for, by name; what packages ask for is theirs. */
export function namedVariables(projectDir: string, paths: Iterable<string>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const path of paths) {
    if (/(^|\/)(node_modules|site-packages|\.venv)\//.test(path)) continue;
    const stat = statSync(join(projectDir, path), { throwIfNoEntry: false });
    if (stat?.isFile() !== true || stat.size > MAX_SOURCE_BYTES) continue;
    const text = readFileSync(join(projectDir, path), 'utf8');
    for (const ask of ASKS) for (const [, name = ''] of text.matchAll(ask)) names.add(name);
  }
  return names;
}
