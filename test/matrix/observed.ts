import { readFileSync } from 'node:fs';
import type { Board } from '../../scripts/testbed/board.ts';

const OBSERVE = readFileSync(new URL('observe.py', import.meta.url));
/** By then a device has put back whatever it has to put back, in seconds. */
const AT_REST_S = 40;

/** What a board has come to. */
export interface Observed {
  /** What is still under way, in words. */
  readonly moving: readonly string[];
  readonly current: string | null;
  /** States of the releases that it has a record of. */
  readonly states: { readonly [id: string]: string };
  readonly intact: boolean;
  /** `[name, state, release]` */
  readonly services: readonly (readonly [string, string, string | null])[];
  /** Which releases answer. */
  readonly answering: readonly string[];
  readonly trees: readonly string[];
  /** The run that armed the last switch, and what was recorded of it. */
  readonly run: string;
  readonly switch: readonly string[];
  readonly why: string;
  readonly failure: unknown;
  /** Lines of the device's journal that are none. */
  readonly unreadable: readonly string[];
  /** Whether the room that an armed switch keeps is still kept. */
  readonly ballast: boolean;
}

/** Looks at a root on a board, past its network, once nothing moves there. */
export async function observe(board: Board, root: string): Promise<Observed> {
  const said = await board.must(['python3', '-', root, String(AT_REST_S)], { input: OBSERVE });
  return JSON.parse(said) as Observed;
}
