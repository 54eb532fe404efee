import { createServer } from 'node:net';

/** Below every system's ports for outgoing connections, one of which might have it while the board reboots. */
const FIRST = 10_000;
const COUNT = 9_000;
const TRIES = 200;
/** Between names that differ by one letter: boards that are made at the same time must not look in the same place. */
const APART = 97;

/** Free ports of this machine, looked for from a place that the name decides; alike names are far apart. */
export async function freePorts(name: string, count: number): Promise<readonly number[]> {
  const begin = Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte * 101) % COUNT, 7);
  const found: number[] = [];
  for (let at = 0; at < TRIES && found.length < count; at++) {
    const port = FIRST + ((begin * APART + at) % COUNT);
    if (await isFree(port)) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
