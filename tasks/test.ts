import { task } from '../lib/index.ts';
import { PLATFORM } from './platform.ts';
import { NPM, setupBackend, setupFrontend } from './setup.ts';

const backend = `${PLATFORM}/backend`;
const frontend = `${PLATFORM}/frontend`;

export const testBackend = task('test:backend', {
  summary: "Run the backend's tests.",
  needs: { setup: setupBackend() },
  inputs: [`${PLATFORM}/{backend,configs,exchange}/**`, `${PLATFORM}/*`, `!${backend}/.venv/**`, '!**/__pycache__/**'],
  outputs: [],
  resources: { cpu: 1 },
  steps(p, { rest }) {
    const argv = ['.venv/bin/python', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...rest];
    p.run(argv, { cwd: backend, effect: 'reads', env: { PYTHONDONTWRITEBYTECODE: '1' }, timeoutMs: 600_000 });
  },
});

export const testFrontend = task('test:frontend', {
  summary: "Run the frontend's tests.",
  needs: { setup: setupFrontend() },
  inputs: [...NPM, 'tsconfig{.base,}.json', `${frontend}/{src,public}/**`, `${frontend}/*.{json,ts,js,html}`],
  outputs: [],
  resources: { cpu: 1 },
  steps(p, { rest }) {
    p.run(['node_modules/.bin/vitest', 'run', ...rest], { cwd: frontend, effect: 'reads', timeoutMs: 600_000 });
  },
});

export const testSlipway = task('test:slipway', {
  summary: "Run Slipway's own tests.",
  env: ['CI'],
  // Its real processes and deadlines want the machine to themselves.
  resources: { cpu: 2 },
  steps(p, { rest }) {
    p.run(['node_modules/.bin/vitest', 'run', ...rest], { effect: 'reads', timeoutMs: 4_200_000 });
  },
});

export const test = task('test', {
  summary: "Run Slipway's own tests and the platform's.",
  needs: { slipway: testSlipway(), backend: testBackend(), frontend: testFrontend() },
});
