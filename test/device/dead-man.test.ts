import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { enterDeadMan } from '../../lib/device/dead-man.ts';
import { LIMITS } from '../../lib/device/limits.ts';
import { createLink } from '../../lib/device/link.ts';
import { BARE, QUICK, fakeAgent, performing } from './rig.ts';
import { missingTools, startSshd } from './sshd.ts';

/** Dies when it is to arm a switch, and writes down what it is asked. */
const DYING = fakeAgent(`
hello()
while True:
    line = hear()
    if 'op' not in line: continue
    with open(os.path.join(header['root'], 'asked'), 'a') as file: file.write(line['op'] + chr(10))
    if line['op'] == 'switch.arm': os._exit(1)
    say({'id': line['id'], 'ok': True, 'value': {'state': 'taken-back', 'why': '', 'change': None, 'failure': None}})
`);

test.skipIf(missingTools !== null)(
  'a switch that may have been armed by an agent that died of it is put back at once',
  async () => {
    const sshd = await startSshd();
    onTestFinished(() => sshd.stop());
    const limits = { ...LIMITS, ...QUICK };
    const link = createLink({ target: sshd.device, run: 'arm', environment: BARE, limits, source: DYING });
    const scope = {
      kind: 'deadMan',
      place: 'board',
      name: 'switch',
      release: 'a',
      from: null,
      leaseMs: 60_000,
    } as const;
    expect(await enterDeadMan(link, sshd.device, scope, performing(), limits)).toMatchObject({
      ok: false,
      failure: { reason: 'connection-lost', doing: expect.stringContaining('switch.arm') as string },
    });
    expect(readFileSync(join(sshd.root, 'asked'), 'utf8')).toBe('switch.arm\nswitch.take-back\n');
    await link.close();
  },
);
