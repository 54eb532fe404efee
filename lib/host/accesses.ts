import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isBelow } from './inside.ts';
import type { Access } from './strace.ts';

/** What was read, listed and written in a project: paths from it. Read is what was there before it was written. */
export interface Accessed {
  readonly reads: ReadonlySet<string>;
  readonly lists: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
}

/** Slipway's own folder, and what git keeps of its index: nobody's inputs. */
const UNCOUNTED = /^(\.slipway(\/|$)|\.git\/index)/;

/** Adds accesses up. What was made and is gone again was temporary, and counts as neither. */
export class Accesses implements Accessed {
  readonly reads = new Set<string>();
  readonly lists = new Set<string>();
  readonly writes = new Set<string>();
  readonly #roots: readonly string[];
  /** Written, and perhaps not there before. */
  readonly #made = new Set<string>();
  /** Taken away, as far as it was there before: no folder takes it along. */
  readonly #gone = new Set<string>();
  /** New places of what was there before, whole folders perhaps. */
  readonly #moved = new Set<string>();

  constructor(projectDir: string) {
    this.#roots = [projectDir, realpathSync(projectDir)];
  }

  add({ what, path, real, from }: Access): void {
    const place = this.#inside(path) ?? (real === null ? null : this.#inside(real));
    if (what === 'move') return this.#move(from === undefined ? null : this.#inside(from), place);
    if (place === null) return;
    switch (what) {
      case 'list':
        this.reads.delete(place);
        return void this.lists.add(place);
      case 'read':
        if (!this.writes.has(place)) this.reads.add(place);
        return;
      case 'remove':
        if (this.#made.delete(place)) return void this.writes.delete(place);
        if (![...this.#moved].some((folder) => place.startsWith(`${folder}/`))) this.writes.add(place);
        return void this.#gone.add(place);
      case 'rmdir':
        if (this.#moved.delete(place)) this.writes.delete(place);
        return;
      default:
        if (what !== 'alter' && !this.reads.has(place) && !this.writes.has(place)) this.#made.add(place);
        this.writes.add(place);
        this.#gone.delete(place);
    }
  }

  /** A folder takes everything along that was made in it. */
  #move(from: string | null, to: string | null): void {
    const there = [...this.writes].filter((path) => !this.#gone.has(path));
    const inside = from === null ? [] : there.filter((path) => path === from || path.startsWith(`${from}/`));
    for (const path of inside) {
      const made = this.#made.delete(path);
      if (made) this.writes.delete(path);
      if (to === null || from === null) continue;
      const moved = to + path.slice(from.length);
      if (!this.reads.has(moved) && !this.writes.has(moved)) this.#made.add(moved);
      this.writes.add(moved);
      this.#gone.delete(moved);
      if (!made) this.#gone.add(path);
    }
    if (inside.length > 0) return;
    if (from !== null) this.#gone.add(from);
    if (from !== null) this.writes.add(from);
    if (to === null) return;
    this.writes.add(to);
    if (from !== null) this.#moved.add(to);
  }

  #inside(path: string): string | null {
    const root = this.#roots.find((one) => isBelow(one, path));
    const place = root === undefined ? null : relative(root, path);
    return place === null || UNCOUNTED.test(place) ? null : place;
  }
}

/** The files that a path stands for: itself, or, of a folder, everything in it. */
export function filesAt(projectDir: string, path: string): readonly string[] {
  const stat = lstatSync(join(projectDir, path), { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) return [path];
  return readdirSync(join(projectDir, path)).flatMap((name) => filesAt(projectDir, join(path, name)));
}
