import {
  PATIENCE,
  deployRelease,
  device,
  packRelease,
  system,
  task,
  type Patience,
  type Project,
} from '../../lib/index.ts';

/** The tasks of `examples/hello`, for tests that look into a run from inside: the example's own file runs at once. */
export function helloProject(patience: Partial<Patience>): Project {
  const hello = system({
    name: 'hello',
    boardMb: 1024,
    reservedMb: 256,
    keep: 3,
    services: [
      {
        name: 'web',
        argv: ['python3', 'server.py', { port: 'web' }],
        listens: 'public',
        health: { path: '/', release: 'release' },
        memoryMb: 64,
        graceMs: 2_000,
      },
    ],
  });
  const build = task('build', {
    summary: 'Pack the server.',
    inputs: ['server.py'],
    outputs: ['.slipway/build/**'],
    steps: (p) =>
      packRelease(p, { into: '.slipway/build', include: [{ from: 'server.py', to: 'server.py' }], system: hello }),
  });
  const deploy = task('deploy', {
    summary: 'Ship the server to a device and switch to it once it is healthy.',
    params: { to: device({ summary: 'target device' }) },
    needs: { build: build() },
    steps(p, { params, needs }) {
      deployRelease(p, {
        to: params.to,
        system: hello,
        tree: needs.build.tree,
        release: needs.build.release,
        patience: { ...PATIENCE, ...patience },
      });
    },
  });
  return { tasks: [build, deploy], devices: ['board'], system: hello };
}
