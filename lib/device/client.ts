import { hostname, userInfo } from 'node:os';
import type { Environment } from './target.ts';

/** Who works from where, `user@host`: what locks and journals on devices name. */
export const clientOf = (environment: Environment): string =>
  `${environment['USER'] ?? environment['LOGNAME'] ?? systemUser()}@${hostname()}`;

/** The login name that the system knows; a uid without one, as in many containers, stands for itself. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${String(process.getuid?.())}`;
  }
}
