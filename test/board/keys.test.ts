import { readFileSync, readdirSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureOperatorKey, operatorKey } from '../../scripts/testbed/keys.ts';
import { isInstalled } from '../../scripts/testbed/run.ts';
import { temporary } from '../device/temporary.ts';

const missing = isInstalled('ssh-keygen') ? null : 'openssh-client';

describe.skipIf(missing !== null)(`the operator's key${missing === null ? '' : ` (skipped: no ${missing})`}`, () => {
  const state = temporary('keys');
  let umask = 0;
  const modeOf = (path: string): number => statSync(path).mode & 0o777;

  // The umask of somebody who shows nobody anything.
  beforeAll(() => void (umask = process.umask(0o077)));
  afterAll(() => {
    process.umask(umask);
    state.remove();
  });

  test('boards that come up at once have the same one, which sshd there can read as anybody', async () => {
    await Promise.all([1, 2, 3].map(() => ensureOperatorKey(state.path)));
    const key = operatorKey(state.path);
    const made = readFileSync(key, 'utf8');
    expect([modeOf(key), modeOf(`${key}.pub`)]).toEqual([0o600, 0o644]);
    await ensureOperatorKey(state.path);
    expect(readFileSync(key, 'utf8')).toBe(made);
    expect(readdirSync(state.path)).toEqual(['operator']);
  });
});
