import { main } from './lib/index.ts';
import { askTarget, build, buildFrontend, buildWheels } from './tasks/build.ts';
import { deploy } from './tasks/deploy.ts';
import { dev, devParts } from './tasks/dev.ts';
import { lint, lintBackend, lintFrontend, lintSlipway } from './tasks/lint.ts';
import { channels } from './tasks/notify.ts';
import { platformSystem } from './tasks/platform.ts';
import { rollback } from './tasks/rollback.ts';
import { setup, setupBackend, setupFrontend } from './tasks/setup.ts';
import { test, testBackend, testFrontend, testSlipway } from './tasks/test.ts';

/** Parts of the tasks above that are worth running alone. */
const parts = [
  setupBackend,
  setupFrontend,
  testSlipway,
  testBackend,
  testFrontend,
  lintSlipway,
  lintBackend,
  lintFrontend,
  buildFrontend,
  buildWheels,
  askTarget,
  ...devParts,
];

await main(import.meta, {
  tasks: [setup, dev, test, lint, build, deploy, rollback, ...parts],
  devices: ['jetson'],
  system: platformSystem,
  channels,
});
