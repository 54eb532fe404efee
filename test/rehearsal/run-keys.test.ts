import { expect, test } from 'vitest';
import ssh2 from 'ssh2';
import { join } from 'node:path';
import { makeRunKeys } from '../../lib/rehearsal/run-keys.ts';
import { temporary } from '../device/temporary.ts';

/** So many that one malformed pair in 256 would not go unnoticed: the chance of that is below 1 in 200. */
const MANY = 700;

test('every key of a run can be read again', async () => {
  const folder = temporary('keys');
  try {
    for (let made = 0; made < MANY; made++) {
      const keys = await makeRunKeys(join(folder.path, '.slipway'));
      for (const key of [keys.hostKey, keys.clientPublic]) expect(ssh2.utils.parseKey(key)).not.toBeInstanceOf(Error);
      keys.remove();
    }
  } finally {
    folder.remove();
  }
});
