import { device, rollbackRelease, string, task } from '../lib/index.ts';
import { channels } from './notify.ts';
import { platformSystem } from './platform.ts';

export const rollback = task('rollback', {
  summary: 'Go back to the release before, or to a named one.',
  params: {
    to: device({ summary: 'target device' }),
    release: string({ summary: 'id of the release; the last confirmed one before unless told', default: '' }),
  },
  steps(p, { params }) {
    rollbackRelease(p, { to: params.to, release: params.release, system: platformSystem, notify: channels });
  },
});
