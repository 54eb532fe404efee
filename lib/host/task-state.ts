import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Lists, State, Unsettled } from '../engine/freshness.ts';
import type { FileEntry } from '../model/check.ts';
import { safeName } from './names.ts';
import { makePrivateFolder, writeFileAtomic } from './store.ts';

/** What is known of each task's last run, in `.slipway/state/`: small, and beside it the lists of its files. */
export interface TaskStates {
  /** What cannot be read is not known: the task runs. */
  read(node: string): State | Unsettled | null;
  lists(node: string, key: string): Lists | null;
  write(node: string, state: State | Unsettled, lists: Lists | null): void;
}

/** Of what is written here; another one is not read. */
const VERSION = 3;
/** Fields of a `FileEntry`. */
const FIELDS = 4;

/** Opens the states below a `.slipway` folder. */
export function openTaskStates(slipwayDir: string): TaskStates {
  const folder = join(slipwayDir, 'state');
  const fileOf = (node: string): string => join(folder, `${safeName(node)}.json`);
  const listsOf = (node: string): string => join(folder, `${safeName(node)}.files`);
  return {
    read(node) {
      try {
        const { version, state } = JSON.parse(fs.readFileSync(fileOf(node), 'utf8')) as {
          readonly version: unknown;
          readonly state: State | Unsettled;
        };
        return version === VERSION && isWhole(state) ? state : null;
      } catch {
        return null;
      }
    },
    lists(node, key) {
      try {
        return parseLists(fs.readFileSync(listsOf(node), 'utf8'), key);
      } catch {
        return null;
      }
    },
    write(node, state, lists) {
      makePrivateFolder(folder);
      // Before the state that they belong to: they say of which key they are.
      if (lists && state !== 'begun' && 'key' in state)
        writeFileAtomic(listsOf(node), listsText(state.key, lists), 0o600, false);
      try {
        writeFileAtomic(fileOf(node), JSON.stringify({ version: VERSION, state }), 0o600, false);
      } catch (error) {
        // On a full disk a file can still be removed; what it says is not true any more.
        fs.rmSync(fileOf(node), { force: true });
        throw error;
      }
    },
  };
}

/** Nobody but us writes here, but a hand may have. */
function isWhole(state: unknown): boolean {
  if (state === 'begun') return true;
  if (typeof state !== 'object' || state === null) return false;
  if ('edited' in state) return typeof state.edited === 'string';
  return (['key', 'parts', 'steps', 'outputs', 'facts', 'tookMs'] as const).every((field) => field in state);
}

const listsText = (key: string, { inputs, outputs }: Lists): string =>
  [key, inputs.length, ...[...inputs, ...outputs].map((entry) => entry.join('\0'))].join('\0');

/** `null` when they are not of this key, or not whole. */
function parseLists(text: string, wanted: string): Lists | null {
  const [key, count, ...fields] = text.split('\0');
  if (key !== wanted || fields.length % FIELDS !== 0) return null;
  const entries: FileEntry[] = [];
  for (let at = 0; at < fields.length; at += FIELDS) {
    const [path = '', kind = '', executable = '', digest = ''] = fields.slice(at, at + FIELDS);
    entries.push([path, kind as FileEntry[1], executable === '1' ? 1 : 0, digest]);
  }
  return { inputs: entries.slice(0, Number(count)), outputs: entries.slice(Number(count)) };
}
