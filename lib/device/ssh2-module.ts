import { createRequire } from 'node:module';
import type * as Ssh2 from 'ssh2';

let loaded: typeof Ssh2 | undefined;

/** Loaded by the first call, which takes 40 ms; through the loader of ES modules it would take 70. */
export const ssh2 = (): typeof Ssh2 => (loaded ??= createRequire(import.meta.url)('ssh2') as typeof Ssh2);
