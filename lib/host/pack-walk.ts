import * as fs from 'node:fs';
import { basename, join, posix } from 'node:path';
import { StepFailed } from '../model/failure.ts';

/** Something that belongs in a release, `path` being its place there. */
export type Found =
  | { readonly path: string; readonly kind: 'file'; readonly from: string; readonly executable: boolean }
  | { readonly path: string; readonly kind: 'link'; readonly target: string; readonly shown: string }
  | { readonly path: string; readonly kind: 'folder' };

/** A file or folder, its place in the release, and how to name it; `only`: no folders, just files of these names. */
export interface Source {
  readonly from: string;
  readonly to: string;
  readonly shown: string;
  readonly only?: RegExp;
}

/** What never belongs in a release, not even when listed: secrets, history, and Slipway's own state. */
const REFUSED = /^(\.env.*|\.git|\.slipway)$/;
/** What belongs to the machine it was made on. */
const SKIPPED = new Set(['__pycache__', 'node_modules', '.venv']);
/** Links followed to judge one link; more are a circle. */
const MAX_LINKS = 40;

export const refused = (path: string, why: string): StepFailed =>
  new StepFailed({ reason: 'refused', message: `${JSON.stringify(path)} ${why}` });

/** Everything that the sources add to a release, sorted by the bytes of its path. */
export function collect(sources: readonly Source[]): readonly Found[] {
  const tree = new Map<string, Found>();
  for (const source of sources) {
    const to = placeOf(source);
    // Below .slipway lie builds and wheels, which may be packed; it itself, or a secret on the way, may not.
    for (const name of source.shown.split('/'))
      if (name !== '.slipway' && REFUSED.test(name)) throw refused(source.shown, 'never goes into a release');
    if (REFUSED.test(basename(source.from))) throw refused(source.shown, 'never goes into a release');
    walk(source.from, to, source.shown, tree, source.only);
  }
  const parents = new Set([...tree.keys()].map((path) => (path.includes('/') ? posix.dirname(path) : '')));
  const all = [...tree.values()].filter((one) => one.kind !== 'folder' || !parents.has(one.path));
  checkParents(tree);
  for (const one of all) if (one.kind === 'link') checkLink(one, tree);
  return all.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

function placeOf({ to, shown }: Source): string {
  const place = posix.normalize(to).replace(/\/$/, '');
  if (place === '.') return '';
  const names = place.split('/');
  if (place.startsWith('/') || names.includes('..') || names.some((name) => REFUSED.test(name)))
    throw refused(to, `is no place in a release (for ${JSON.stringify(shown)})`);
  return place;
}

function walk(from: string, path: string, shown: string, tree: Map<string, Found>, only?: RegExp): void {
  const stat = fs.lstatSync(from, { throwIfNoEntry: false });
  if (!stat) throw new StepFailed({ reason: 'file-system', code: 'ENOENT', path: shown, operation: 'pack' });
  if (stat.isSymbolicLink()) return add({ path, kind: 'link', target: fs.readlinkSync(from), shown }, shown, tree);
  if (stat.isFile()) return add({ path, kind: 'file', from, executable: (stat.mode & 0o100) !== 0 }, shown, tree);
  if (!stat.isDirectory()) throw refused(shown, 'is neither file, folder nor link');
  add({ path, kind: 'folder' }, shown, tree);
  for (const name of namesIn(from, shown)) {
    if (SKIPPED.has(name) || (only && !only.test(name))) continue;
    if (REFUSED.test(name)) throw refused(join(shown, name), 'never goes into a release');
    walk(join(from, name), path === '' ? name : `${path}/${name}`, join(shown, name), tree, only);
  }
}

/** Names as text; one that is no UTF-8 has no place in a manifest. */
function namesIn(folder: string, shown: string): readonly string[] {
  return fs.readdirSync(folder, { encoding: 'buffer' }).map((bytes) => {
    const name = bytes.toString('utf8');
    if (!Buffer.from(name).equals(bytes)) throw refused(join(shown, name), 'has a name that is not UTF-8');
    return name;
  });
}

function add(found: Found, shown: string, tree: Map<string, Found>): void {
  if (found.path === '' && found.kind !== 'folder') throw refused(shown, 'needs a name in the release');
  const there = tree.get(found.path);
  if (there && !(there.kind === 'folder' && found.kind === 'folder'))
    throw refused(shown, `comes to the same place as another: ${JSON.stringify(found.path)}`);
  tree.set(found.path, found);
}

/** Two includes may put a file below what another made a file or link. */
function checkParents(tree: ReadonlyMap<string, Found>): void {
  for (const path of tree.keys()) {
    for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) {
      const above = tree.get(folder);
      if (above && above.kind !== 'folder')
        throw refused(path, `lies below ${JSON.stringify(folder)}, which is no folder`);
    }
  }
}

/** A link must stay in the tree whatever other links it passes: each part is followed as the kernel would. */
function checkLink(link: Extract<Found, { kind: 'link' }>, tree: ReadonlyMap<string, Found>): void {
  const leaves = refused(link.shown, `is a link that leaves the release: ${JSON.stringify(link.target)}`);
  const at = link.path.split('/').slice(0, -1);
  const todo = link.target.split('/');
  if (link.target.startsWith('/')) throw leaves;
  for (let links = 0; todo.length > 0;) {
    const name = todo.shift();
    if (name === undefined || name === '' || name === '.') continue;
    if (name === '..') {
      if (at.pop() === undefined) throw leaves;
      continue;
    }
    const there = tree.get([...at, name].join('/'));
    if (there?.kind !== 'link') at.push(name);
    else if (there.target.startsWith('/') || ++links > MAX_LINKS) throw leaves;
    else todo.unshift(...there.target.split('/'));
  }
}
