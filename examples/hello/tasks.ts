import { deployRelease, device, main, packRelease, rollbackRelease, string, system, task } from 'slipway';

const hello = system({
  name: 'hello',
  supervisor: 'systemd',
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
    deployRelease(p, { to: params.to, system: hello, tree: needs.build.tree, release: needs.build.release });
  },
});

const rollback = task('rollback', {
  summary: 'Go back to the release before, or to a named one.',
  params: {
    to: device({ summary: 'target device' }),
    release: string({ summary: 'id of the release; the last confirmed one before unless told', default: '' }),
  },
  steps: (p, { params }) => rollbackRelease(p, { to: params.to, release: params.release }),
});

await main(import.meta, { tasks: [build, deploy, rollback], devices: ['board'], system: hello });
