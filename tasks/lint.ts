import { task } from '../lib/index.ts';
import { PLATFORM } from './platform.ts';
import { NPM, setupBackend, setupFrontend } from './setup.ts';

/** From the backend's folder, where the configuration is; what else is Python is beside it. */
const PYTHON_SOURCES = ['.', '../exchange', '../run.py'];

export const lintBackend = task('lint:backend', {
  summary: "Check the platform's Python with ruff.",
  needs: { setup: setupBackend() },
  inputs: [
    '.gitignore',
    `${PLATFORM}/.gitignore`,
    `${PLATFORM}/{backend,exchange}/**`,
    `${PLATFORM}/run.py`,
    `!${PLATFORM}/backend/.venv/**`,
    '!**/__pycache__/**',
  ],
  outputs: [],
  steps(p) {
    p.run(['.venv/bin/ruff', 'check', '--no-cache', ...PYTHON_SOURCES], {
      cwd: `${PLATFORM}/backend`,
      effect: 'reads',
    });
    p.run(['.venv/bin/ruff', 'format', '--no-cache', '--check', ...PYTHON_SOURCES], {
      cwd: `${PLATFORM}/backend`,
      effect: 'reads',
    });
  },
});

export const lintFrontend = task('lint:frontend', {
  summary: 'Check the frontend with eslint and the type checker.',
  needs: { setup: setupFrontend() },
  inputs: [
    ...NPM,
    'package-lock.json',
    'tsconfig{.base,}.json',
    `${PLATFORM}/frontend/{src,public}/**`,
    `${PLATFORM}/frontend/*.{json,ts,js,html}`,
  ],
  outputs: [],
  steps(p) {
    p.run(['npm', 'run', '--silent', 'lint'], { cwd: `${PLATFORM}/frontend`, effect: 'reads' });
  },
});

/** What the sources ask for by name, and no linter looks at: the same whoever starts it. */
const ANYWHERE = { LANG: 'C.UTF-8', SHELL: '/bin/sh', npm_execpath: '', npm_lifecycle_event: '' };

export const lintSlipway = task('lint:slipway', {
  summary: "Check Slipway's own sources: types, style, formatting.",
  inputs: [
    '**',
    // What is installed here decides, too, but for what tools keep there for themselves.
    'node_modules/**',
    '!node_modules/.*/**',
    `!${PLATFORM}/{backend/.venv,frontend/dist}/**`,
    '!**/__pycache__/**',
  ],
  outputs: [],
  steps(p) {
    const check = (argv: readonly string[]): void => void p.run(argv, { effect: 'reads', env: ANYWHERE });
    check(['node_modules/.bin/tsc', '-p', 'tsconfig.json']);
    check(['node_modules/.bin/tsc', '-p', 'tsconfig.pure.json']);
    check(['node_modules/.bin/eslint', '.']);
    check(['node_modules/.bin/prettier', '--check', '--log-level', 'warn', '.']);
  },
});

export const lint = task('lint', {
  summary: 'Check types, style and formatting of everything.',
  needs: { slipway: lintSlipway(), backend: lintBackend(), frontend: lintFrontend() },
});
