import { spawnSync } from 'node:child_process';

/** Linux lets everybody mount in name spaces of their own (`unshare -rm`), unless the system forbids it. */
export const mounts = spawnSync('unshare', ['-rm', 'true']).status === 0;
