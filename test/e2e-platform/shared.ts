import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder that all tests of the platform share; empty until one of them needs it. */
    readonly platformBase: string;
  }
}

/** Once for all test files: names a folder for what is slow to make, and removes it at the end. */
export default function setup(project: TestProject): () => void {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-platform-')));
  project.provide('platformBase', base);
  return () => rmSync(base, { recursive: true, force: true });
}
