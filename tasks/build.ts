import { device, flagged, inspectDevice, packRelease, task } from '../lib/index.ts';
import { PLATFORM, PYTHON, platformSystem } from './platform.ts';
import { NPM, setupBackend, setupFrontend } from './setup.ts';

const frontend = `${PLATFORM}/frontend`;

export const buildFrontend = task('build:frontend', {
  summary: 'Build the dashboard to static files.',
  needs: { setup: setupFrontend() },
  inputs: [
    ...NPM,
    // vite asks the folders above how TypeScript is meant.
    'tsconfig{.base,}.json',
    `${frontend}/src/**`,
    `${frontend}/public/**`,
    `${frontend}/*.{json,ts,js,html}`,
  ],
  outputs: [`${frontend}/dist/**`],
  resources: { memoryMb: 300 },
  steps(p) {
    p.run(['npm', 'run', '--silent', 'build'], { cwd: frontend, effect: 'derives', timeoutMs: 300_000 });
  },
});

export const askTarget = task('ask:target', {
  summary: 'Ask the target for its architecture and Python.',
  params: { to: device({ summary: 'the device that the build is for' }) },
  steps: (p, { params }) => inspectDevice(p, params.to),
});

/** Wheels for the device's architecture and Python: downloaded, never built, hashes checked. */
export const buildWheels = task('build:wheels', {
  summary: "Download the platform's wheels for the target.",
  params: { to: device({ summary: 'the device that the wheels are for' }) },
  needs: ({ params }) => ({ setup: setupBackend(), target: askTarget({ to: params.to }) }),
  inputs: [`${PLATFORM}/backend/requirements.txt`],
  outputs: (params) => [`.slipway/build/${params.to}/wheels/**`],
  steps(p, { params, needs }) {
    const wheels = `.slipway/build/${params.to}/wheels`;
    p.remove(wheels, { effect: 'derives' });
    p.run(
      [
        PYTHON,
        '-I',
        '-m',
        'pip',
        'download',
        '--quiet',
        '--no-deps',
        '--require-hashes',
        '--only-binary=:all:',
        '--dest',
        wheels,
        '--implementation',
        'cp',
        '--python-version',
        needs.target.python,
        flagged('--platform', needs.target.wheelPlatforms),
        '-r',
        `${PLATFORM}/backend/requirements.txt`,
      ],
      { effect: 'derives', timeoutMs: 600_000, retries: { times: 2, backoffMs: 2_000 } },
    );
    return { wheels };
  },
});

export const build = task('build', {
  summary: 'Build a release for a device: dashboard, wheels, sources, packed by content.',
  params: { to: device({ summary: 'the device that the release is for' }) },
  needs: ({ params }) => ({
    frontend: buildFrontend(),
    wheels: buildWheels({ to: params.to }),
    target: askTarget({ to: params.to }),
  }),
  inputs: [
    `${PLATFORM}/run.py`,
    `${PLATFORM}/{backend,configs,exchange}/**`,
    `!${PLATFORM}/backend/.venv/**`,
    `${PLATFORM}/frontend/dist/**`,
  ],
  outputs: (params) => [`.slipway/build/${params.to}/release/**`],
  steps(p, { params, needs }) {
    const part = (path: string) => ({ from: `${PLATFORM}/${path}`, to: path });
    const packed = packRelease(p, {
      into: `.slipway/build/${params.to}/release`,
      include: ['run.py', 'backend', 'configs', 'exchange', 'frontend/dist'].map(part),
      wheels: needs.wheels.wheels,
      system: platformSystem,
    });
    return { ...packed, builtFor: needs.target };
  },
});
