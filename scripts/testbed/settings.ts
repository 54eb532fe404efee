import type { DiskSize } from './disk.ts';

/** The image's accounts: the second's sudo wants no password, the third's does, the last has none. */
export const ACCOUNTS = ['root', 'pilot', 'clerk', 'guest'] as const;

export type Account = (typeof ACCOUNTS)[number];

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
