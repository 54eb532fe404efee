import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from './poll.ts';
import { command, failureIn, performerFor, performing, rigEnded, stepOf, valueIn } from './rig.ts';
import { missingTools, startSshd, type Sshd } from './sshd.ts';

describe.skipIf(missingTools !== null)(
  `a lost connection${missingTools === null ? '' : ` (needs ${missingTools})`}`,
  () => {
    let sshd: Sshd;
    beforeAll(async () => {
      sshd = await startSshd();
    });
    afterAll(async () => {
      await rigEnded();
      await sshd.stop();
    });
    const scope = { kind: 'lock', place: 'board', name: 'deploy' } as const;
    const at = (path: string): string => join(sshd.root, path);

    /** Changes a file under the lock, then loses the connection by `lose` in the middle of a command; undoes over a new one. */
    async function loseAndUndo(lose: () => void): Promise<void> {
      const performer = performerFor(sshd.device);
      writeFileSync(at('file'), 'before');
      expect(await performer.enter(scope, performing())).toMatchObject({ ok: true });
      const write = stepOf('write', { path: 'file', content: 'after', mode: 0o644 });
      expect(valueIn(await performer.perform(write, performing()))).toBeNull();
      const around = performing();
      const busy = performer.perform(command(['sh', '-c', 'echo $$; sleep 62']), around);
      const pid = await until('the command runs', () => /^(\d+)\n/.exec(around.text())?.[1]);
      lose();
      expect(failureIn(await busy)).toMatchObject({ reason: 'connection-lost', place: 'board', doing: 'run' });
      expect(failureIn(await performer.perform(command(['true']), performing()))).toMatchObject({
        reason: 'connection-lost',
      });
      const restore = stepOf('restore', { path: 'file', saved: write.id });
      expect(valueIn(await performer.perform(restore, performing({ undoing: true })))).toBeNull();
      expect(readFileSync(at('file'), 'utf8')).toBe('before');
      // The lock was taken again, and what the old session ran has ended.
      const other = performerFor(sshd.device);
      expect(failureIn(await other.enter(scope, performing()))).toMatchObject({ reason: 'lock-held' });
      expect(existsSync(`/proc/${pid}`)).toBe(false);
      await performer.close();
      expect(await other.enter(scope, performing())).toMatchObject({ ok: true });
      await other.close();
    }

    test('cut in the middle of an operation: undone over a new connection, under the lock', async () => {
      await loseAndUndo(() => sshd.cut());
    });

    test('gone silent: the device still holds our lock, and gives it up', async () => {
      await loseAndUndo(() => {
        for (const pid of sshd.sessions()) process.kill(pid, 'SIGSTOP');
      });
      sshd.cut();
    });

    test('without a lock the next step connects again', async () => {
      const performer = performerFor(sshd.device);
      expect(valueIn(await performer.perform(command(['true']), performing()))).toBeNull();
      sshd.cut();
      const next = await until('the loss is noticed, or the step was done over a new connection', async () => {
        const result = await performer.perform(command(['echo', 'again'], { output: 'text' }), performing());
        return result.ok ? valueIn(result) : null;
      });
      expect(next).toBe('again');
      await performer.close();
    });

    test('closing after the server went does not hang', async () => {
      const performer = performerFor(sshd.device);
      expect(valueIn(await performer.perform(command(['true']), performing()))).toBeNull();
      for (const pid of sshd.sessions()) process.kill(pid, 'SIGSTOP');
      await performer.close();
      sshd.cut();
    });
  },
);
