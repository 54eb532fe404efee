import { system } from '../lib/index.ts';

/** Where the platform's sources are, from the project's root. */
export const PLATFORM = 'examples/jetson';
export const PYTHON = `${PLATFORM}/backend/.venv/bin/python`;

const secrets = { PLATFORM_SECRETS_FILE: { path: 'secrets' }, PLATFORM_DATA_DIR: { path: 'data' } } as const;
const platform = {
  ...secrets,
  PLATFORM_ENV: 'production',
  EXCHANGE_URL: ['http://127.0.0.1:', { port: 'exchange' }],
} as const;
/** A line of the platform's logs that somebody should read. */
const ERRORS = '"level": "(ERROR|CRITICAL)"';
const run = (...args: readonly (string | { readonly port: string })[]) => ['python3', 'run.py', ...args];

/** The trading platform: what a release brings and how it runs on the board. */
export const platformSystem = system({
  name: 'platform',
  supervisor: 'systemd',
  boardMb: 7475,
  reservedMb: 1500,
  keep: 3,
  secrets: ['DJANGO_SECRET_KEY', 'EXCHANGE_API_KEY', 'PLATFORM_API_TOKEN'],
  smoke: { argv: run('check'), env: platform },
  database: { path: 'db.sqlite3', migrate: run('migrate'), accepts: run('schema-accepts'), env: platform },
  web: {
    service: 'backend',
    static: [{ path: '/', folder: 'frontend/dist', fallback: 'index.html', immutable: ['/assets/'] }],
    proxy: ['/api/'],
    headers: {
      'Content-Security-Policy': "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'",
    },
  },
  services: [
    {
      name: 'exchange',
      argv: run('exchange', '--port', { port: 'exchange' }),
      env: secrets,
      listens: 'private',
      health: { path: '/health' },
      memoryMb: 64,
    },
    {
      name: 'backend',
      argv: run('serve', '--port', { port: 'backend' }),
      env: platform,
      listens: 'public',
      health: { path: '/api/health/ready', release: 'release' },
      errors: ERRORS,
      memoryMb: 400,
      after: ['exchange'],
    },
    { name: 'fetcher', argv: run('fetch'), env: platform, memoryMb: 256, after: ['backend'] },
    {
      name: 'trader',
      argv: run('trade'),
      env: platform,
      memoryMb: 1024,
      singleton: true,
      after: ['backend', 'fetcher'],
      quiesce: { pause: run('trade-quiesce'), resume: run('trade-resume') },
      safeToStop: run('trade-status'),
      errors: ERRORS,
      graceMs: 15_000,
    },
  ],
});
