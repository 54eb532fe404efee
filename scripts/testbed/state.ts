import { fileURLToPath } from 'node:url';

/** Where a person's testbed keeps keys and disks, and every testbed the logs of what it starts and builds. */
export const STATE = fileURLToPath(new URL('../../.slipway/testbed', import.meta.url));
