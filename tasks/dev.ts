import { task, type ServiceHere } from '../lib/index.ts';
import { PLATFORM } from './platform.ts';
import { setup } from './setup.ts';

const root = PLATFORM;
const python = 'backend/.venv/bin/python';
const EXCHANGE_URL = 'http://127.0.0.1:8090';

const services: readonly ServiceHere[] = [
  {
    name: 'exchange',
    argv: [python, 'run.py', 'exchange', '--port', '8090'],
    cwd: root,
    port: 8090,
    ready: `${EXCHANGE_URL}/health`,
  },
  {
    name: 'backend',
    argv: [python, 'run.py', 'serve', '--port', '8000'],
    cwd: root,
    env: { EXCHANGE_URL },
    port: 8000,
    ready: 'http://127.0.0.1:8000/api/health/live',
    after: ['exchange'],
  },
  { name: 'fetcher', argv: [python, 'run.py', 'fetch'], cwd: root, env: { EXCHANGE_URL }, after: ['backend'] },
  {
    name: 'trader',
    argv: [python, 'run.py', 'trade'],
    cwd: root,
    env: { EXCHANGE_URL },
    after: ['backend', 'fetcher'],
  },
  {
    name: 'frontend',
    argv: ['node_modules/.bin/vite'],
    cwd: `${root}/frontend`,
    port: 5173,
    ready: 'http://127.0.0.1:5173/',
  },
];

export const dev = task('dev', {
  summary: 'Backend on :8000 and frontend on :5173 with live reload, trading on the stand-in exchange, until Ctrl-C.',
  // The development database: kept from one time to the next, brought up to date first.
  outputs: [`${root}/data/**`],
  needs: { setup: setup() },
  steps(p) {
    p.run([python, 'run.py', 'migrate'], { cwd: root, effect: 'derives' });
    p.serve(services);
  },
});
