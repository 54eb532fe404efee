import { setTimeout as rest } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLink } from '../../lib/device/link.ts';
import { LIMITS } from '../../lib/device/limits.ts';
import type { RawBytes } from '../../lib/device/request.ts';
import { devices, type TestDevice } from './devices.ts';
import { BARE, QUICK, failureIn, fakeAgent, performerFor, performing, rigEnded } from './rig.ts';

/** Answers each request with the number of heartbeats so far, when there were at least two; of raw bytes, with them. */
const COUNTING = fakeAgent(`
hello()
beats, asked = 0, None
while True:
    line = hear()
    if 'beat' in line: beats += 1
    elif line.get('frames'):
        say({'id': line['id'], 'ok': True, 'value': sys.stdin.buffer.read(7).decode()})
    else: asked = line['id']
    if asked is not None and beats >= 2:
        say({'id': asked, 'ok': True, 'value': beats})
        asked = None
`);

describe.each(devices)('beside the session with $kind', ({ missing, start }) => {
  describe.skipIf(missing !== null)(missing === null ? 'requests' : `needs ${missing}`, () => {
    let device: TestDevice;
    beforeAll(async () => {
      device = await start();
    });
    afterAll(async () => {
      await rigEnded();
      await device.stop();
    });

    test('a fresh connection is one of its own, without the locks of the session', async () => {
      const performer = performerFor(device.target);
      const scope = { kind: 'lock', place: 'board', name: 'deploy' } as const;
      expect(await performer.enter(scope, performing())).toMatchObject({ ok: true });
      expect(failureIn(await performer.askFresh('lock', { name: 'deploy', client: 'x' }))).toMatchObject({
        reason: 'lock-held',
      });
      device.sshd?.cut();
      // The session is gone, and with it the lock; a fresh connection does not care.
      expect(await performer.askFresh('device.facts')).toMatchObject({ ok: true });
      await performer.close();
    });

    test('heartbeats come while they are wanted, and never within raw bytes', async () => {
      const limits = { ...LIMITS, ...QUICK };
      const link = createLink({ target: device.target, run: 'beats', environment: BARE, limits, source: COUNTING });
      const ask = { op: 'beats', args: {}, cancel: null, timeoutMs: 5_000 };
      const stop = link.beat(5);
      expect(await link.request(ask, 'working')).toMatchObject({ ok: true });
      async function* slowly(): AsyncGenerator<Buffer> {
        yield Buffer.from('one ');
        await rest(50);
        yield Buffer.from('two');
      }
      const payload = (): RawBytes => ({ chunks: slowly() });
      expect(await link.request({ ...ask, payload }, 'working')).toEqual({ ok: true, value: 'one two' });
      stop();
      const last = await link.request(ask, 'working');
      await rest(50);
      expect(await link.request(ask, 'working')).toEqual(last);
      await link.close();
    });
  });
});
