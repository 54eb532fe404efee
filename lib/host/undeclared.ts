import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { filesAt, type Accessed } from './accesses.ts';
import { readGlobs } from './glob.ts';
import { walkGlobs } from './walk.ts';

/** What a task declares, and what those declare that it needs. */
export interface Declared {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Outputs of the tasks that ran before it, because it needs them: a list of each. */
  readonly needed: readonly (readonly string[])[];
}

/** Globs, ready to paste. */
export interface Undeclared {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Files that lists of globs stand for, taken before the task ran and after it. */
export function declaredFiles(projectDir: string, ...lists: readonly (readonly string[])[]): ReadonlySet<string> {
  const paths = new Set<string>();
  walkGlobs(projectDir, readGlobs(...lists), true, ({ path, kind }) => {
    if (kind !== 'folder') paths.add(path);
  });
  return paths;
}

/** Compares what was done with what is declared; `before`: the files of `declared` as they were before the run. */
export function undeclared(
  projectDir: string,
  done: Accessed,
  declared: Declared,
  before: { readonly inputs: ReadonlySet<string>; readonly outputs: ReadonlySet<string> },
): Undeclared {
  const outputs = new Set([...before.outputs, ...declaredFiles(projectDir, declared.outputs)]);
  const inputs = new Set([
    ...before.inputs,
    ...declaredFiles(projectDir, declared.inputs, ...declared.needed),
    ...outputs,
  ]);
  const globs = [declared.inputs, ...declared.needed, declared.outputs].flat();
  const reads = [...done.reads].filter((path) => !covers(projectDir, inputs, path) && isFile(projectDir, path));
  const lists = [...done.lists].filter((folder) => existsSync(join(projectDir, folder)) && !isListed(folder, globs));
  const writes = [...done.writes]
    .flatMap((path) => filesAt(projectDir, path))
    .filter((path) => !covers(projectDir, outputs, path));
  return {
    inputs: suggest(
      projectDir,
      reads.map((path) => lockOf(projectDir, path) ?? path),
      lists,
    ),
    outputs: suggest(
      projectDir,
      writes.map((path) => installOf(path) ?? path),
      [],
    ),
  };
}

/** A link is covered by its own name alone: what it points at may be declared, and it may point elsewhere tomorrow. */
function covers(projectDir: string, files: ReadonlySet<string>, path: string): boolean {
  if (files.has(path)) return true;
  const lock = packagesIn(path);
  if (lock !== null && locksOf(lock).some((one) => files.has(one))) return true;
  const full = join(projectDir, path);
  if (!existsSync(full)) return false;
  // A link to a folder: globs name what lies in it.
  if (statSync(full).isDirectory()) return [...files].some((file) => file.startsWith(`${path}/`));
  if (lstatSync(full).isSymbolicLink()) return false;
  return files.has(relative(realpathSync(projectDir), realpathSync(full)));
}

const isFile = (projectDir: string, path: string): boolean =>
  statSync(join(projectDir, path), { throwIfNoEntry: false })?.isDirectory() !== true;

/** The outermost folder of installed packages that a path lies in: their lock file stands for all of it. */
function packagesIn(path: string): string | null {
  const parts = path.split('/');
  const at = parts.indexOf('node_modules');
  return at === -1 ? null : parts.slice(0, at + 1).join('/');
}

const LOCKS = ['package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml'];
const beside = (folder: string, name: string): string => join(dirname(folder), name);
const locksOf = (folder: string): readonly string[] => [
  `${folder}/.package-lock.json`,
  ...LOCKS.map((name) => beside(folder, name)),
];

function lockOf(projectDir: string, path: string): string | null {
  const folder = packagesIn(path);
  if (folder === null) return null;
  return LOCKS.map((name) => beside(folder, name)).find((lock) => existsSync(join(projectDir, lock))) ?? `${folder}/**`;
}

function installOf(path: string): string | null {
  const folder = packagesIn(path);
  return folder === null ? null : `${folder}/.package-lock.json`;
}

/** Whether a new file in the folder would be matched: some glob with a wildcard reaches it. */
function isListed(folder: string, globs: readonly string[]): boolean {
  if (packagesIn(folder) !== null) return true;
  return globs.some((glob) => {
    const parts = glob.split('/');
    const wild = parts.findIndex((part) => /[*?{[(]/.test(part));
    if (wild === -1 || glob.startsWith('!')) return false;
    const fixed = parts.slice(0, wild).join('/');
    const below = fixed === '' || folder === fixed || folder.startsWith(`${fixed}/`);
    return below && (folder === fixed || parts.slice(wild).length > 1 || parts[wild] === '**');
  });
}

/** More files than this in one folder are a glob. */
const MOST_NAMED = 3;

/** Globs for these files and listed folders: a folder of which most is meant stands for all of it. */
function suggest(projectDir: string, paths: readonly string[], lists: readonly string[]): readonly string[] {
  const globs = new Set(paths.filter((path) => path.endsWith('/**')));
  const files = [...new Set(paths)].filter((path) => !path.endsWith('/**'));
  const into = (folder: string, some: readonly string[]): void => {
    if (
      folder !== '' &&
      some.length > MOST_NAMED &&
      some.length * 2 > countIn(join(projectDir, folder), some.length * 2)
    )
      return void globs.add(`${literal(folder)}/**`);
    const prefix = folder === '' ? '' : `${folder}/`;
    const folders = new Map<string, string[]>();
    for (const path of some) {
      const [name = '', ...more] = path.slice(prefix.length).split('/');
      if (more.length === 0) globs.add(literal(path));
      else folders.set(name, [...(folders.get(name) ?? []), path]);
    }
    for (const [name, inside] of folders) into(prefix + name, inside);
  };
  into('', files);
  const meant = [...globs];
  for (const folder of lists) if (!isListed(folder, meant)) globs.add(folder === '' ? '*' : `${literal(folder)}/*`);
  return [...globs].sort();
}

/** A glob that means this path alone, whatever it holds. */
const literal = (path: string): string => path.replace(/[*?{}[\]()!|\\]/g, '\\$&');

/** Counts the files below a folder that are neither packages nor history, up to a limit. */
function countIn(folder: string, limit: number): number {
  let count = 0;
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (count > limit) return;
      if (!entry.isDirectory()) count++;
      else if (!['node_modules', '.git', '.slipway'].includes(entry.name)) walk(join(at, entry.name));
    }
  };
  if (existsSync(folder)) walk(folder);
  return count;
}
