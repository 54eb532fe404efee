import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempDir } from '../host/rig.ts';

const GRAPHS = 200;
const LANES = 2;
const TOOL = createRequire(createRequire(import.meta.url).resolve('tsx'))('esbuild') as {
  buildSync(options: object): unknown;
};

/** One process: proves what the one before left, and dies in its own graph. */
function die(
  driver: string,
  folder: string,
  seed: number,
): Promise<{ readonly signal: string | null; readonly text: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [driver, folder, String(seed)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (text += piece.toString()));
    child.once('close', (_, signal) => resolve({ signal, text }));
  });
}

test(
  `${String(GRAPHS)} random graphs under random kills: journals readable, the store whole, the next run right`,
  { timeout: 300_000 },
  async () => {
    const dir = tempDir();
    // Started so often, it must start fast.
    const driver = join(dir, 'driver.mjs');
    TOOL.buildSync({
      entryPoints: [fileURLToPath(new URL('./kill-driver.ts', import.meta.url))],
      outfile: driver,
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: {
        js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
      },
    });
    const lane = async (first: number): Promise<number> => {
      let restored = 0;
      for (let seed = first; seed <= first + GRAPHS / LANES; seed++) {
        const { signal, text } = await die(driver, dir, seed);
        expect(signal, `graph ${String(seed)}: ${text}`).toBe('SIGKILL');
        if (seed > first) expect(text).toMatch(/^proved /);
        restored += text.split('restored').length - 1;
      }
      return restored;
    };
    const restored = await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index * 1_000 + 1)));
    expect(
      restored.reduce((sum, count) => sum + count, 0),
      'kills leave something to be put back',
    ).toBeGreaterThan(0);
  },
);
