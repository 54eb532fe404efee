import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { until } from '../device/poll.ts';
import { answering, postOrder, priceOf } from './api.ts';
import { BASE_MS, PLATFORM, environment } from './base.ts';
import { runToEnd } from './command.ts';
import { Platform } from './platform.ts';
import { expectSound } from './sound.ts';
import { Terminal } from './terminal.ts';

// A deploy of the whole platform takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: BASE_MS });

let platform: Platform;
let release = '';

beforeAll(async () => {
  platform = await Platform.create();
  const deployed = await platform.run('deploy');
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ status: 0 });
  release = platform.board.current();
});

afterAll(async () => {
  await platform.stop();
});

const chromium = installed('chromium');

test.skipIf(chromium === null)(
  `the dashboard shows its release and live prices in a browser${chromium === null ? ' (skipped: no chromium)' : ''}`,
  async () => {
    expect(await postOrder(platform.board, { id: 'seen-in-the-dashboard', limit: '999999' })).toBe(201);
    const url = `http://127.0.0.1:${String(platform.board.ports()['backend'])}/`;
    const shown = (await browse(url)).replaceAll(/<[^>]*>/g, ' ');
    expect(shown).toContain(release);
    const price = Number(/BTC-USD\s+ETH-USD\s+([\d,]+\.\d\d)/.exec(shown)?.[1]?.replaceAll(',', ''));
    expect(Math.abs(price / (await priceOf(platform.board, 'BTC-USD')) - 1)).toBeLessThan(0.02);
    expect(shown).toMatch(/Exchange\s+connected\s+Data age\s+\d+ s\s+Trading\s+on/);
    expect(shown).toMatch(/ETH-USD\s+buy/i);
    expect(shown).not.toMatch(/cannot be reached|no connection|stale/i);
  },
);

test('a system that does not fit into the memory is refused before anything starts, with the sum', async () => {
  const pids = platform.board.processes();
  const before = platform.board.rows();
  const mend = platform.edit('tasks/platform.ts', 'memoryMb: 1024', 'memoryMb: 6000');
  const refused = await platform.run('deploy');
  mend();
  expect(refused.status).toBe(3);
  // 1500 reserved, 64 + 400 + 256 + 6000 for the services.
  expect(refused.stdout).toContain(
    'the release does not fit on rehearsal: 7475 MB of memory, 8220 MB needed by the services and what is reserved',
  );
  expect(platform.board.processes()).toEqual(pids);
  await expectSound(platform, release, { before });
});

test(
  'a requirement without a wheel ends the build with a clear message, and the old release answers',
  async () => {
    const pids = platform.board.processes();
    const mend = platform.edit(`${PLATFORM}/backend/requirements.txt`, /^django==\S+/im, 'django==99.0');
    const failed = await platform.run('deploy');
    mend();
    expect(failed.status).toBe(1);
    expect(failed.stdout).toContain('No matching distribution found for django==99.0');
    expect(failed.stdout).toMatch(/build:wheels.* failed: .*pip download.* ended with status 1/);
    expect(failed.stdout).toMatch(/1 failed · 2 not run/);
    expect(platform.board.processes()).toEqual(pids);
    expect(await answering(platform.board)).toBe(release);
    // With the requirement back, what was downloaded before is there again.
    expect(await platform.run('build')).toMatchObject({ status: 0 });
  },
  BASE_MS,
);

test('in a terminal a deploy shows what it does, ends with the sum, and leaves the cursor', async () => {
  platform.edit(`${PLATFORM}/backend/fetcher/loop.py`, /$/, '\n# in a terminal\n');
  const terminal = new Terminal(platform.command('deploy'), { cwd: platform.dir, env: environment(platform.dir) });
  try {
    expect(await terminal.status(180_000), terminal.text).toBe(0);
    expect(terminal.text).toMatch(/✔ deploy\(to=rehearsal\) · [^\n]+ s\n/);
    expect(terminal.text).toMatch(/\d done · \d fresh · [^\n]+ s\b/);
    expect(terminal.text).toContain(`rehearsal: release ${platform.board.current()} is current (confirmed)`);
    expect(terminal.text).toContain('REHEARSAL: nothing reached a real board\n');
  } finally {
    terminal.close();
  }
});

/** The page's elements once its scripts had eight seconds of their own time. */
async function browse(url: string): Promise<string> {
  const profile = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-chromium-')));
  const quiet = [
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  try {
    return await until(
      'prices in the page',
      async () => {
        const dumped = await runToEnd(
          [
            chromium ?? '',
            '--headless',
            '--no-sandbox',
            ...quiet,
            `--user-data-dir=${profile}`,
            '--dump-dom',
            '--virtual-time-budget=8000',
            url,
          ],
          {
            cwd: profile,
            env: environment(profile),
          },
        );
        return dumped.stdout.includes(release) ? dumped.stdout : null;
      },
      60_000,
    );
  } finally {
    rmSync(profile, { recursive: true, force: true });
  }
}

function installed(command: string): string | null {
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${command}`], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}
