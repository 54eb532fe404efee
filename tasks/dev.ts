import { task, type ServiceHere } from '../lib/index.ts';
import { PLATFORM } from './platform.ts';
import { setupBackend, setupFrontend } from './setup.ts';

const root = PLATFORM;
const EXCHANGE_URL = 'http://127.0.0.1:8090';

/** What a program of the platform is made of; one whose sources change is started anew by `dev --watch`. */
const sources = [`${root}/run.py`, `${root}/{backend,configs}/**/*.{py,yaml,json}`, `!${root}/backend/.venv/**`];

/** A program of the platform's own. */
const program = (name: string, ...args: readonly string[]): ServiceHere => ({
  name,
  argv: ['backend/.venv/bin/python', 'run.py', ...args],
  cwd: root,
  env: { EXCHANGE_URL },
});

/** The development database: kept from one time to the next, brought up to date first. */
const database = task('dev:database', {
  summary: 'Bring the development database up to date.',
  hidden: true,
  outputs: [`${root}/data/**`],
  needs: { setup: setupBackend() },
  steps: (p) => p.run(['backend/.venv/bin/python', 'run.py', 'migrate'], { cwd: root, effect: 'derives' }),
});

const exchange = task('dev:exchange', {
  summary: 'The stand-in exchange on :8090.',
  hidden: true,
  inputs: [`${root}/run.py`, `${root}/exchange/**/*.py`],
  needs: { setup: setupBackend() },
  steps(p) {
    const ready = `${EXCHANGE_URL}/health`;
    p.serve([{ ...program('exchange', 'exchange', '--port', '8090'), port: 8090, ready }]);
  },
});

const backend = task('dev:backend', {
  summary: 'The backend on :8000.',
  hidden: true,
  inputs: sources,
  needs: { database: database(), exchange: exchange() },
  steps(p) {
    const ready = 'http://127.0.0.1:8000/api/health/live';
    p.serve([{ ...program('backend', 'serve', '--port', '8000'), port: 8000, ready }]);
  },
});

const fetcher = task('dev:fetcher', {
  summary: 'Fetches data.',
  hidden: true,
  inputs: sources,
  needs: { backend: backend() },
  steps: (p) => p.serve([program('fetcher', 'fetch')]),
});

const trader = task('dev:trader', {
  summary: 'Trades on the stand-in exchange.',
  hidden: true,
  inputs: sources,
  needs: { fetcher: fetcher(), backend: backend() },
  steps: (p) => p.serve([program('trader', 'trade')]),
});

/** Vite reloads what changes by itself. */
const frontend = task('dev:frontend', {
  summary: 'The dashboard on :5173.',
  hidden: true,
  needs: { setup: setupFrontend() },
  steps(p) {
    const ready = 'http://127.0.0.1:5173/';
    p.serve([{ name: 'frontend', argv: ['node_modules/.bin/vite'], cwd: `${root}/frontend`, port: 5173, ready }]);
  },
});

export const dev = task('dev', {
  summary: 'Backend on :8000 and frontend on :5173 with live reload, trading on the stand-in exchange, until Ctrl-C.',
  needs: { frontend: frontend(), trader: trader() },
});

/** Each of them runs with what it needs; without the rest that is often enough. */
export const devParts = [database, exchange, backend, fetcher, trader, frontend];
