import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BASE_MS } from './base.ts';
import { Platform } from './platform.ts';

const missing = spawnSync('strace', ['-V']).error === undefined ? null : 'strace (apt-get install strace)';

// Under strace an installation takes minutes.
vi.setConfig({ testTimeout: 600_000, hookTimeout: BASE_MS });

let platform: Platform;

beforeAll(async () => {
  platform = await Platform.create();
});

afterAll(async () => {
  await platform.stop();
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
    'setup:backend',
    'setup:frontend',
  ])('%s declares all that it reads and writes', async (name) => {
  const { status, stdout, stderr } = await platform.run('trace-inputs', name, '--check');
  expect([status, stdout], stderr).toEqual([0, '']);
});
