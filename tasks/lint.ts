import { task } from '../lib/index.ts';
import { PLATFORM } from './platform.ts';
import { setupBackend, setupFrontend } from './setup.ts';

/** From the backend's folder, where the configuration is; what else is Python is beside it. */
const PYTHON_SOURCES = ['.', '../exchange', '../run.py'];

export const lintBackend = task('lint:backend', {
  summary: "Check the platform's Python with ruff.",
  needs: { setup: setupBackend() },
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
  steps(p) {
    p.run(['npm', 'run', '--silent', 'lint'], { cwd: `${PLATFORM}/frontend`, effect: 'reads' });
  },
});

export const lintSlipway = task('lint:slipway', {
  summary: "Check Slipway's own sources: types, style, formatting.",
  steps(p) {
    p.run(['node_modules/.bin/tsc', '-p', 'tsconfig.json'], { effect: 'reads' });
    p.run(['node_modules/.bin/tsc', '-p', 'tsconfig.pure.json'], { effect: 'reads' });
    p.run(['node_modules/.bin/eslint', '.'], { effect: 'reads' });
    p.run(['node_modules/.bin/prettier', '--check', '--log-level', 'warn', '.'], { effect: 'reads' });
  },
});

export const lint = task('lint', {
  summary: 'Check types, style and formatting of everything.',
  needs: { slipway: lintSlipway(), backend: lintBackend(), frontend: lintFrontend() },
});
