import type { DiskSize } from './disk.ts';

/** The accounts in the image, and what their sudo wants: nothing (they are root), no password, a password, or all in vain. */
export const ACCOUNTS = {
  root: 'root',
  pilot: 'without-password',
  clerk: 'with-password',
  guest: 'none',
} as const;

export type Account = keyof typeof ACCOUNTS;

/** The password that `clerk`'s sudo asks for. */
export const CLERKS_PASSWORD = 'open sesame';

/** How big a board is. */
export interface BoardSize extends DiskSize {
  /** Limit of everything on the board together, in MiB; there is no swap. */
  readonly memoryMb: number;
}

/** A small board. */
export const DEFAULT_SIZE: BoardSize = { memoryMb: 2048, diskMb: 1536, inodes: null };

/** Where a board can be reached; both are this machine's, and the second has the same number on the board. */
export interface BoardPorts {
  readonly ssh: number;
  readonly http: number;
}
