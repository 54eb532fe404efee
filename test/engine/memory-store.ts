import type { Found, FreshnessStore, Kept, Lists, State, Unsettled } from '../../lib/engine/freshness.ts';
import { hash } from './rig.ts';

/** Files by path, variables, and what was stored, in memory. `src/` and the like stand for globs; `!` leaves out. */
export class MemoryStore implements FreshnessStore {
  readonly files = new Map<string, string>();
  readonly variables = new Map<string, string>();
  readonly tools = new Map<string, string>();
  readonly states = new Map<string, State | Unsettled>();
  readonly entries = new Map<string, Kept & { readonly contents: ReadonlyMap<string, string> }>();
  readonly #lists = new Map<string, { readonly key: string; readonly lists: Lists }>();
  /** Entries that turn out damaged when they are put back. */
  damaged = false;

  inputs(...lists: readonly (readonly string[])[]): Found {
    const matches = this.matcher(...lists);
    const entries = [...this.files]
      .filter(([path]) => matches(path))
      .sort()
      .map(([path, content]) => [path, 'file', 0, content] as const);
    const wanted = lists.flat().filter((glob) => !glob.startsWith('!'));
    const unmatched = wanted.filter((glob) => !entries.some(([path]) => path.startsWith(glob)));
    return { entries, digest: hash(JSON.stringify(entries)), unmatched };
  }

  outputs(globs: readonly string[]): Found {
    return this.inputs(globs);
  }

  matcher(...lists: readonly (readonly string[])[]): (path: string) => boolean {
    return (path) =>
      lists.some((globs) => globs.some((glob) => path.startsWith(glob)) && !globs.some((glob) => glob === `!${path}`));
  }

  variable(name: string): string | undefined {
    return this.variables.get(name);
  }

  tool(command: string): string | null {
    return this.tools.get(command) ?? null;
  }

  read(node: string): State | Unsettled | null {
    return this.states.get(node) ?? null;
  }

  lists(node: string, key: string): Lists | null {
    const found = this.#lists.get(node);
    return found?.key === key ? found.lists : null;
  }

  write(node: string, state: State | Unsettled, lists: Lists | null): void {
    this.states.set(node, state);
    if (state !== 'begun' && 'key' in state && lists) this.#lists.set(node, { key: state.key, lists });
  }

  tidy(): void {
    // Nothing is ever half written in memory.
  }

  readonly kept: FreshnessStore['kept'] = {
    any: (node) => [...this.entries.keys()].some((id) => id.startsWith(`${node} `)),
    find: (node, key) => this.entries.get(`${node} ${key}`) ?? null,
    restore: (node, key, globs) => {
      const found = this.entries.get(`${node} ${key}`);
      for (const path of [...this.files.keys()].filter(this.matcher(globs))) this.files.delete(path);
      if (this.damaged || !found) return false;
      for (const [path, content] of found.contents) this.files.set(path, content);
      return true;
    },
    add: (node, key, kept) => {
      const contents = new Map(kept.outputs.entries.map(([path]) => [path, this.files.get(path) ?? '']));
      this.entries.set(`${node} ${key}`, { ...kept, contents });
    },
  };
}
