import type { Connected } from './connection.ts';
import type { Asked } from './known-hosts.ts';
import type { Limits } from './limits.ts';
import { connectWithOpenSsh } from './openssh.ts';
import { connectWithSsh2 } from './ssh2.ts';
import type { Endpoint } from './ssh-config.ts';
import type { Environment } from './target.ts';

/** Connects and logs in, by whichever program the device's configuration says. `abandon` ends an attempt early. */
export function connect(
  endpoint: Endpoint,
  environment: Environment,
  limits: Limits,
  abandon: AbortSignal,
  asked: Asked,
): Promise<Connected> {
  const by = endpoint.given.transport === 'ssh' ? connectWithOpenSsh : connectWithSsh2;
  return by(endpoint, environment, limits, abandon, asked);
}
