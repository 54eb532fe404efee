import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BASE_MS, environment } from './base.ts';
import { runToEnd } from './command.ts';
import { Platform } from './platform.ts';

const missing = spawnSync('strace', ['-V']).error === undefined ? null : 'strace (apt-get install strace)';

/** Under strace an installation takes minutes, and so does the linter. */
const TRACED_MS = 600_000;

vi.setConfig({ testTimeout: TRACED_MS, hookTimeout: BASE_MS });

let platform: Platform;
const home = mkdtempSync(join(tmpdir(), 'slipway-home-'));

beforeAll(async () => {
  platform = await Platform.create({ patience: null });
});

afterAll(async () => {
  await platform.stop();
  rmSync(home, { recursive: true, force: true });
});

// `setup:frontend` last: what it installs anew, the others run.
test
  .skipIf(missing !== null)
  .each([
    'build:frontend',
    'build:wheels',
    'build',
    'lint:backend',
    'lint:frontend',
    'lint:slipway',
    'test:backend',
    'test:frontend',
    'setup:backend',
    'setup:frontend',
  ])('%s declares all that it reads and writes', async (name) => {
  // A home inside of the checkout would be a part of it.
  const env = { ...environment(platform.dir), HOME: home };
  const command = platform.command('trace-inputs', name, '--check');
  const traced = await runToEnd(command, { cwd: platform.dir, env, timeoutMs: TRACED_MS });
  const { status, stdout, stderr } = traced;
  expect([status, stdout], stderr).toEqual([0, '']);
});
