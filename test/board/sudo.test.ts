import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DevicePerformer } from '../../lib/device/performer.ts';
import type { Board } from '../../scripts/testbed/board.ts';
import { command, failureIn, performerFor, performing, rigEnded, valueIn } from '../device/rig.ts';
import { transports } from '../device/sshd.ts';
import { BOARD_MS, board, boardMissing, targetOf } from './board.ts';

const needs = boardMissing === null ? '' : ` (needs ${boardMissing})`;

describe.skipIf(boardMissing !== null)(`a board's own sudo and sshd${needs}`, () => {
  let stand: Board | null = null;
  beforeAll(async () => {
    stand = await board();
  }, BOARD_MS);
  afterEach(rigEnded);

  describe.each(transports)('by $transport', ({ transport }) => {
    const clerk = (sudoPassword: string | null): DevicePerformer => {
      if (stand === null) throw new Error('no board');
      return performerFor(targetOf(stand, 'clerk', { transport, supervisor: 'systemd' }), { sudoPassword });
    };

    test('through sudo into a unit of its own: root, and no part of the login', async () => {
      const performer = clerk('open sesame');
      const seen = command(['sh', '-c', 'id -u; cat /proc/self/cgroup'], { output: 'text' });
      expect(valueIn(await performer.perform(seen, performing()))).toMatch(/^0\n[^]*slipway-agent-/);
    });

    test('a wrong password, and none', async () => {
      const refused = { reason: 'sudo-refused', place: 'board', user: 'clerk' };
      expect(failureIn(await clerk('open barley').ask('device.facts'))).toMatchObject({
        ...refused,
        why: 'wrong-password',
      });
      expect(failureIn(await clerk(null).ask('device.facts'))).toMatchObject({ ...refused, why: 'password-needed' });
    });
  });
});
