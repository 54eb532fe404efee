import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { UsageError } from '../../lib/model/failure.ts';
import { readSources, type Sources } from '../../lib/config/lookup.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A project folder with these files. */
export function project(files: { readonly [name: string]: string } = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-config-')));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 });
  return folder;
}

export function sourcesOf(
  files: { readonly [name: string]: string },
  more: Partial<Pick<Sources, 'environment' | 'flags'>> = {},
): Promise<Sources> {
  return readSources({ projectDir: project(files), environment: {}, ...more });
}

/** The usage error of a function that must fail so: message and hint. */
export async function usageError(act: () => unknown): Promise<{ message: string; hint: string | undefined }> {
  try {
    await act();
  } catch (error) {
    if (error instanceof UsageError) return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('expected a usage error');
}
