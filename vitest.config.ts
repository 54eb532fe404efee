import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/e2e-platform/shared.ts', 'test/board/setup.ts'],
    // Real processes, real SSH: two at a time is what a small machine takes.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // On a machine that others load a real deadline is missed now and then; twice in a row is a fault of ours.
    retry: process.env['CI'] ? 1 : 0,
    typecheck: { enabled: false },
  },
});
