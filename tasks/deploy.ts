import { deployRelease, device, task } from '../lib/index.ts';
import { build } from './build.ts';
import { channels } from './notify.ts';
import { platformSystem } from './platform.ts';

export const deploy = task('deploy', {
  summary: 'Ship the build to a device and switch to it once it is healthy.',
  params: { to: device({ summary: 'target device' }) },
  needs: ({ params }) => ({ build: build({ to: params.to }) }),
  steps(p, { params, needs }) {
    const { tree, release, builtFor } = needs.build;
    deployRelease(p, { to: params.to, system: platformSystem, tree, release, builtFor, notify: channels });
    return { release: needs.build.release };
  },
});
