import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The commit that a project's checkout is at, read from git's own files (gitrepository-layout(5)); `null` without one. */
export function checkedOutCommit(projectDir: string): string | null {
  const folder = gitFolder(projectDir);
  if (folder === null) return null;
  const head = read(join(folder, 'HEAD'))?.trim() ?? '';
  if (!head.startsWith('ref: ')) return asCommit(head);
  const name = head.slice('ref: '.length);
  // In a worktree of its own the branches lie in the first one's folder.
  const common = resolve(folder, read(join(folder, 'commondir'))?.trim() ?? '.');
  return asCommit(read(join(common, name))?.trim() ?? packed(common, name));
}

/** `.git`, here or above: a folder, or a file that names one. */
function gitFolder(from: string): string | null {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const path = join(folder, '.git');
    if (read(join(path, 'HEAD')) !== null) return path;
    const named = /^gitdir: (.+)$/m.exec(read(path) ?? '')?.[1];
    if (named !== undefined) return resolve(folder, named);
    if (dirname(folder) === folder) return null;
  }
}

function packed(folder: string, name: string): string {
  const line = (read(join(folder, 'packed-refs')) ?? '').split('\n').find((one) => one.endsWith(` ${name}`));
  return line?.split(' ')[0] ?? '';
}

const asCommit = (text: string): string | null => (/^[0-9a-f]{40,64}$/.test(text) ? text : null);

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
