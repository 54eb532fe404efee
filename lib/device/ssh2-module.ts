import { createRequire } from 'node:module';
import type * as Ssh2 from 'ssh2';

let loaded: typeof Ssh2 | undefined;

/** Loaded by the first call, which takes 40 ms; by `import()` under tsx it was there after 65. */
export const ssh2 = (): typeof Ssh2 => (loaded ??= createRequire(import.meta.url)('ssh2') as typeof Ssh2);
