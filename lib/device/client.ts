import { hostname } from 'node:os';
import type { Environment } from './target.ts';

/** Who works from where, `user@host`: what locks and journals on devices name. */
export const clientOf = (environment: Environment): string =>
  `${environment['USER'] ?? environment['LOGNAME'] ?? 'somebody'}@${hostname()}`;
