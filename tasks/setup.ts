import { task } from '../lib/index.ts';
import { PLATFORM, PYTHON } from './platform.ts';

const VENV = `${PLATFORM}/backend/.venv`;

/** A Python environment with the platform's development requirements, hashes checked, nothing built. */
export const setupBackend = task('setup:backend', {
  summary: "Make the backend's Python environment.",
  inputs: [`${PLATFORM}/backend/requirements*.txt`],
  outputs: [`${VENV}/**`],
  cache: false,
  timeoutMs: 600_000,
  steps(p) {
    p.run(['python3', '-I', '-m', 'venv', '--clear', VENV], { effect: 'derives' });
    p.run(
      [
        PYTHON,
        '-I',
        '-m',
        'pip',
        'install',
        '--quiet',
        '--require-hashes',
        '--only-binary=:all:',
        '-r',
        `${PLATFORM}/backend/requirements-dev.txt`,
      ],
      {
        effect: 'derives',
        retries: { times: 2, backoffMs: 2_000 },
      },
    );
  },
});

/** What npm reads before it does anything in the frontend: it looks for a workspace in the folders above, too. */
export const NPM = ['package.json', `${PLATFORM}/frontend/package.json`, `${PLATFORM}/frontend/.npmrc`];

export const setupFrontend = task('setup:frontend', {
  summary: "Install the frontend's packages.",
  inputs: [...NPM, `${PLATFORM}/frontend/package-lock.json`],
  // It stands for all of node_modules, which alone it would not bring back.
  outputs: [`${PLATFORM}/frontend/node_modules/.package-lock.json`],
  cache: false,
  timeoutMs: 600_000,
  steps(p) {
    p.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: `${PLATFORM}/frontend`,
      effect: 'derives',
      retries: { times: 2, backoffMs: 2_000 },
    });
  },
});

export const setup = task('setup', {
  summary: 'Make everything that development needs: Python environment and packages.',
  needs: { backend: setupBackend(), frontend: setupFrontend() },
});
