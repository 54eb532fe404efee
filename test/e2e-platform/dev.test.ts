import { createServer, type Server } from 'node:net';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { until } from '../device/poll.ts';
import { BASE_MS, environment } from './base.ts';
import { Platform } from './platform.ts';
import { processesWith } from './proc.ts';
import { CTRL_C, Terminal } from './terminal.ts';

// A deploy of the whole platform takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: BASE_MS });

const PORTS = { exchange: 8090, backend: 8000, frontend: 5173 } as const;
const SERVICES = ['exchange', 'backend', 'fetcher', 'trader', 'frontend'];
const READY_MS = 60_000;

let platform: Platform;

beforeAll(async () => {
  platform = await Platform.create();
});

afterAll(async () => {
  await platform.stop();
});

const dev = (): Terminal =>
  new Terminal(platform.command('dev'), { cwd: platform.dir, env: environment(platform.dir) });

/** Everything that the checkout runs, the tests themselves aside. */
const left = (): readonly string[] => processesWith(platform.dir);

test('everything runs, prints behind its name, and ends with one Ctrl-C', async () => {
  const terminal = dev();
  try {
    await until(
      'the frontend',
      async () => terminal.text.includes('Local:') && (await text('http://127.0.0.1:5173/')),
      READY_MS,
    );
    // They come up side by side.
    const live = (): Promise<string | null> => text('http://127.0.0.1:8000/api/health/live');
    await until('the backend', async () => (await live())?.includes('"release": "dev"'), READY_MS);
    expect(await text('http://127.0.0.1:5173/')).toContain('<div id="root">');
    // Through the dashboard's own server, and with somebody fetching and trading behind it.
    await until(
      'an order of the trader',
      async () => (await text('http://127.0.0.1:5173/api/orders?limit=1'))?.includes('"source":"strategy"'),
      READY_MS,
    );
    for (const name of SERVICES) expect(terminal.text).toMatch(new RegExp(`^${name} +│ {3}`, 'm'));
    expect(terminal.text).toMatch(/^dev:database +│ {3}applied orders\.0001_initial$/m);
    expect(existsSync(platform.path('examples/jetson/data/db.sqlite3'))).toBe(true);

    terminal.type(CTRL_C);
    expect(await terminal.status(), terminal.text).toBe(130);
    expect(terminal.text).toMatch(/^dev:\w+ stopped: stopped by SIGINT$/m);
    for (const name of SERVICES) expect(terminal.text).toContain(`↩ changes here: stop service ${name}\n`);
    expect(left()).toEqual([]);
    for (const port of Object.values(PORTS)) expect(await isFree(port)).toBe(true);
  } finally {
    terminal.close();
  }
});

test('a second Ctrl-C does not stop the stopping', async () => {
  const terminal = dev();
  try {
    await until('the frontend', () => terminal.text.includes('Local:'), READY_MS);
    terminal.type(CTRL_C + CTRL_C);
    expect(await terminal.status(), terminal.text).toBe(130);
    expect(left()).toEqual([]);
  } finally {
    terminal.close();
  }
});

test.each(['backend', 'frontend'] as const)(
  'a taken port of the %s is named, and what was started is stopped',
  async (service) => {
    const port = PORTS[service];
    const other = await occupy(port);
    try {
      const refused = await platform.run('dev');
      expect(refused.status).toBe(1);
      expect(refused.stdout).toContain(
        `dev:${service} failed: port ${String(port)}, which ${service} needs, is taken\n`,
      );
      expect(refused.stdout).toContain(`see who has it: ss -ltnp 'sport = :${String(port)}'`);
      // Nothing new starts once the frontend failed, so whether the exchange had been started is a matter of luck.
      if (service === 'backend') expect(refused.stdout).toContain('↩ changes here: stop service exchange\n');
      expect(left()).toEqual([]);
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  },
);

test('a service that ends by itself ends the rest', async () => {
  const mend = platform.edit(
    'examples/jetson/backend/platform_cli/services.py',
    'def fetch(arguments) -> int:\n',
    'def fetch(arguments) -> int:\n    raise SystemExit("no way to fetch")\n',
  );
  const ended = await platform.run('dev');
  expect(ended.status).toBe(1);
  expect(ended.stdout).toMatch(/^fetcher +│ {3}no way to fetch$/m);
  expect(ended.stdout).toContain('the service fetcher ended with status 1');
  expect(left()).toEqual([]);
  mend();
});

async function text(url: string): Promise<string | null> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
  return answer?.ok === true ? answer.text() : null;
}

function occupy(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

async function isFree(port: number): Promise<boolean> {
  const server = await occupy(port).catch(() => null);
  await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
  return server !== null;
}
