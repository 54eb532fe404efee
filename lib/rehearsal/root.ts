import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Folders of a rehearsal device: everything that it is lies below `root`, its home included. */
export interface RehearsalFolders {
  readonly root: string;
  readonly home: string;
}

/** The root of a rehearsal device: `.slipway/rehearsal/NAME`, absolute. */
export function rehearsalRoot(slipwayDir: string, name: string): string {
  return join(resolve(slipwayDir), 'rehearsal', name);
}

/** Makes the folders of a rehearsal device, closed to other users. */
export function makeFolders(slipwayDir: string, name: string): RehearsalFolders {
  const root = rehearsalRoot(slipwayDir, name);
  const home = join(root, 'home');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return { root, home };
}
