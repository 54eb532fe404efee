import picomatch from 'picomatch';
import { StepFailed } from '../model/failure.ts';

/** Folders that no glob goes into unless it names them. */
const UNNAMED: ReadonlySet<string> = new Set(['.git', 'node_modules', '.slipway']);

/** One glob, ready to be asked. */
export interface Glob {
  readonly text: string;
  /** The folders before its first wildcard; of a plain path all of it. */
  readonly root: readonly string[];
  /** Whether what it matches lies below its root. */
  readonly below: boolean;
  /** Whether it matches a path from the project. A folder that it names stands for everything below. */
  readonly matches: (path: string) => boolean;
  /** Whether it goes into a folder of this name, wherever that is. */
  readonly enters: (name: string) => boolean;
  /** Whether a `!` of its own list leaves a path out. */
  readonly unwanted: (path: string) => boolean;
}

/** Files that one of `wanted` matches and does not leave out. */
export interface GlobSet {
  readonly wanted: readonly Glob[];
  /** Whether every list leaves the path out. */
  readonly unwanted: (path: string) => boolean;
}

/**
 * Reads lists of globs; `!` in front leaves out of what its own list matches, and of no other's. One that leaves the
 * project throws `refused`.
 */
export function readGlobs(...lists: readonly (readonly string[])[]): GlobSet {
  const sets = lists.map(readList);
  const [only] = sets;
  if (only && sets.length === 1) return only;
  return {
    wanted: sets.flatMap(({ wanted }) => wanted),
    unwanted: (path) => sets.every(({ unwanted }) => unwanted(path)),
  };
}

function readList(globs: readonly string[]): GlobSet {
  const outside = globs.find((glob) => /^!?(\/|(.*\/)?\.\.(\/|$))/.test(glob));
  if (outside !== undefined)
    throw new StepFailed({
      reason: 'refused',
      message: `the glob ${JSON.stringify(outside)} is not inside the project`,
    });
  const not = globs.filter((glob) => glob.startsWith('!')).map((glob) => readGlob(glob.slice(1), NOTHING));
  const unwanted = not.length === 0 ? NOTHING : (path: string) => not.some((glob) => glob.matches(path));
  return { wanted: globs.filter((glob) => !glob.startsWith('!')).map((glob) => readGlob(glob, unwanted)), unwanted };
}

const NOTHING = (): boolean => false;

/** Whether a glob matches a path and its list does not leave that out. */
export const wants = ({ matches, unwanted }: Glob, path: string): boolean => matches(path) && !unwanted(path);

/** A predicate over paths, for those that are known without looking for them; of lists each has its own `!`. */
export function globMatcher(...lists: readonly (readonly string[])[]): (path: string) => boolean {
  const { wanted } = readGlobs(...lists);
  return (path) => wanted.some((glob) => wants(glob, path) && path.split('/').every((name) => glob.enters(name)));
}

function readGlob(glob: string, unwanted: Glob['unwanted']): Glob {
  const parts = glob.split('/').filter((part) => part !== '' && part !== '.');
  const wild = parts.findIndex((part) => /[*?{}[\]()!|\\]/.test(part));
  const root = wild === -1 ? parts : parts.slice(0, wild);
  return {
    text: glob,
    root,
    below: wild !== -1,
    matches: matcherOf(parts, wild, root.join('/')),
    enters: (name) => !UNNAMED.has(name) || parts.some((part) => namesIn(part).includes(name)),
    unwanted,
  };
}

/** What a part of a glob names: braces and parentheses all that stands in them, but for `!(…)`, which leaves it out. */
const namesIn = (part: string): readonly string[] => part.replace(/!\([^)]*\)/g, '').split(/[{},()|]/);

function matcherOf(parts: readonly string[], wild: number, root: string): Glob['matches'] {
  // Whole folders need no pattern, and are what most globs are.
  const rest = parts.slice(wild).join('/');
  if (wild === -1 || rest === '**' || rest === '**/*') {
    if (root === '') return () => true;
    const below = `${root}/`;
    return (path) => path.startsWith(below) || path === root;
  }
  // `src/*` means the files there; `*/src`, which may be a folder, all of it.
  const pattern = picomatch.makeRe(rest.endsWith('*') ? parts.join('/') : `${parts.join('/')}/**`, { dot: true });
  return (path) => pattern.test(path);
}
