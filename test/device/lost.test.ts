import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { deflateSync, inflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { agentSource, type AgentSource } from '../../lib/device/agent.ts';
import type { DevicePerformer, DevicePerformerOptions } from '../../lib/device/performer.ts';
import { s } from '../../lib/model/schema.ts';
import { Cable } from './cable.ts';
import { packedTree } from './packed.ts';
import { until } from './poll.ts';
import { cancelByHand, command, failureIn, performerFor, performing, rigEnded, stepOf, valueIn } from './rig.ts';
import { missingTools, startSshd, transports, type Sshd } from './sshd.ts';

/** The real agent with one more operation: it leaves a mark each time that it begins, and ends once there is `go`. */
function slowSource(): AgentSource {
  const slow = `
def slow(session, args):
    append_line(session.root.at('begun'), b'x\\n')
    while not os.path.exists(session.root.at('go')):
        session.rest(0.02)
    return 'done'

OPERATIONS['test.slow'] = reads(slow)
if __name__ == '__main__':`;
  const source = agentSource();
  const text = inflateSync(source.agent).toString();
  const changed = deflateSync(text.replace("if __name__ == '__main__':", slow));
  return { ...source, agent: changed, sha256: createHash('sha256').update(changed).digest('hex') };
}

const needs = missingTools === null ? '' : ` (needs ${missingTools})`;
const scope = { kind: 'lock', place: 'board', name: 'deploy' } as const;

describe.skipIf(missingTools !== null).each(transports)(`a lost connection by $transport${needs}`, ({ transport }) => {
  let sshd: Sshd;
  let cable: Cable;
  beforeAll(async () => {
    sshd = await startSshd({ transport });
    cable = await Cable.to(sshd.device.port ?? 0);
    writeFileSync(join(sshd.folder, 'known'), `[127.0.0.1]:${String(cable.port)} ${sshd.hostKeys['ed25519'] ?? ''}\n`);
  });
  afterAll(async () => {
    await rigEnded();
    await cable.unplug();
    await sshd.stop();
  });
  beforeEach(() => ['begun', 'go'].forEach((name) => rmSync(at(name), { force: true })));
  afterEach(rigEnded);

  const at = (path: string): string => join(sshd.root, path);
  const begun = (): number => (existsSync(at('begun')) ? readFileSync(at('begun'), 'utf8').length / 2 : 0);
  const through = (more: Partial<DevicePerformerOptions> = {}): DevicePerformer =>
    performerFor(
      { ...sshd.device, port: cable.port, knownHosts: join(sshd.folder, 'known') },
      { source: slowSource(), ...more },
    );
  const locked = async (performer: DevicePerformer): Promise<void> =>
    expect(await performer.enter(scope, performing())).toMatchObject({ ok: true });
  /** Somebody else, not through the cable. */
  const other = async (wanted: 'has the lock' | 'finds it held'): Promise<DevicePerformer> => {
    const performer = performerFor(sshd.device);
    const taken = await until('the lock is free', async () => {
      const entered = await performer.enter(scope, performing());
      return entered.ok || wanted === 'finds it held' ? entered : null;
    });
    expect(taken.ok).toBe(wanted === 'has the lock');
    return performer;
  };

  test('what is asked over a fresh connection is asked again over another one, once there can be one', async () => {
    const performer = through();
    const asked = performer.askFresh('test.slow');
    await until('it began', () => begun() === 1);
    await cable.unplug();
    await rest(500);
    await cable.plug();
    await until('it began again', () => begun() === 2, 20_000);
    writeFileSync(at('go'), '');
    expect(await asked).toMatchObject({ ok: true, value: 'done' });
  });

  test.each(['cut', 'stall'] as const)(
    'in the middle of an operation (%s): locks are taken again, and it is asked again',
    async (how) => {
      const performer = through();
      await locked(performer);
      const asked = performer.ask('test.slow');
      await until('it began', () => begun() === 1);
      cable[how]();
      await until('it began again', () => begun() === 2, 20_000);
      writeFileSync(at('go'), '');
      expect(await asked).toEqual({ ok: true, value: 'done' });
      await other('finds it held');
    },
    30_000,
  );

  test.each(['cut', 'stall'] as const)(
    'in the middle of an upload (%s): it goes on where it was',
    async (how) => {
      const performer = through();
      await locked(performer);
      const folder = join(sshd.folder, `tree-${how}`);
      mkdirSync(folder);
      const files = Array.from({ length: 4 }, (_, index) => [String(index), randomBytes(5 * 1024 * 1024)] as const);
      const packed = packedTree(folder, Object.fromEntries(files));
      const yields = s.object({ path: s.string, sentFiles: s.number, sentBytes: s.number });
      const before = cable.connections;
      cable.after(8 * 1024 * 1024, () => cable[how]());
      const watched = performing();
      expect(valueIn(await performer.perform(stepOf('upload', packed, { yields }), watched))).toMatchObject({
        path: `releases/${packed.release}`,
      });
      expect(cable.connections).toBe(before + 1);
      expect(watched.text()).toBe('the connection was lost; connecting again\nconnected again\n');
      for (const [name, content] of files)
        expect(readFileSync(join(at('releases'), packed.release, name)).equals(content)).toBe(true);
    },
    30_000,
  );

  test('a client that fell silent for good does not hold its lock', async () => {
    const silenceMs = 1_000;
    const performer = through({ limits: { silenceMs, keepaliveMs: 60_000 } });
    await locked(performer);
    // Nothing is asked for longer than that: the heartbeats tell that it lives.
    const asked = performer.ask('test.slow');
    await rest(2 * silenceMs);
    expect(begun()).toBe(1);
    await other('finds it held');
    cable.stall();
    await other('has the lock');
    cable.cut();
    expect(failureIn(await asked)).toMatchObject({ reason: 'connection-lost' });
  });

  test('closing after the server went silent does not hang', async () => {
    const performer = through();
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    cable.stall();
    await performer.close();
    cable.cut();
  });

  // Whoever speaks SSH, this is the same code.
  if (transport !== 'ssh2') return;

  test('again and again: there is an end to it', async () => {
    const performer = through();
    const asked = performer.ask('test.slow');
    for (let times = 1; times <= 6; times++) {
      await until(`it began ${String(times)} times`, () => begun() === times);
      cable.cut();
    }
    const failure = asked.then(failureIn);
    expect(await failure).toMatchObject({ reason: 'connection-lost', doing: 'test.slow' });
  });

  test('while nothing is asked: the next step goes on under the same lock', async () => {
    const performer = through();
    await locked(performer);
    cable.cut();
    const next = command(['echo', 'again'], { output: 'text' });
    const value = await until('the loss is noticed, or the step was done', async () => {
      const result = await performer.perform(next, performing());
      return result.ok ? valueIn(result) : null;
    });
    expect(value).toBe('again');
    await other('finds it held');
  });

  test('closing ends the wait for another connection, and nothing connects any more', async () => {
    const performer = through({ limits: { reconnectMs: 60_000 } });
    const asked = performer.ask('test.slow');
    await until('it began', () => begun() === 1);
    await cable.unplug();
    const closed = performer.close();
    expect(await asked).toMatchObject({ ok: false });
    await closed;
    await cable.plug();
    const before = cable.connections;
    expect(await performer.ask('device.facts')).toMatchObject({ ok: false });
    expect(cable.connections).toBe(before);
  });

  test("a cancel of one branch does not end another's wait", async () => {
    const performer = through({ limits: { reconnectMs: 60_000 } });
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    await cable.unplug();
    const cancel = cancelByHand();
    const write = stepOf('write', { path: 'file', content: 'x', mode: 0o644 });
    const waiting = performer.perform(write, performing({ cancel }));
    const undo = performer.perform(stepOf('restore', { path: 'file', saved: write.id }), performing({ undoing: true }));
    cancel.ask();
    expect(failureIn(await waiting)).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
    await cable.plug();
    expect(valueIn(await undo)).toBeNull();
  });

  test('a command in a release is not run twice', async () => {
    const performer = through();
    const folder = join(sshd.folder, 'tree-exec');
    mkdirSync(folder);
    const packed = packedTree(folder, { file: 'x' });
    const yields = s.object({ path: s.string, sentFiles: s.number, sentBytes: s.number });
    expect(await performer.perform(stepOf('upload', packed, { yields }), performing())).toMatchObject({ ok: true });
    symlinkSync(`releases/${packed.release}`, at('current'));
    const argv = ['sh', '-c', `echo x >> ${at('begun')}; sleep 62`];
    const asked = performer.ask('release.exec', { argv });
    await until('it began', () => begun() === 1);
    cable.cut();
    expect(failureIn(await asked)).toMatchObject({ reason: 'connection-lost', doing: 'release.exec' });
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    expect(begun()).toBe(1);
    rmSync(at('current'));
  });

  test('a command is not run twice; its undo goes on under the lock, and what the command ran has ended', async () => {
    const performer = through();
    await locked(performer);
    writeFileSync(at('file'), 'before');
    const write = stepOf('write', { path: 'file', content: 'after', mode: 0o644 });
    expect(valueIn(await performer.perform(write, performing()))).toBeNull();
    const around = performing();
    const busy = performer.perform(command(['sh', '-c', 'echo $$; sleep 62']), around);
    const pid = await until('the command runs', () => /^(\d+)\n/.exec(around.text())?.[1]);
    cable.cut();
    expect(failureIn(await busy)).toMatchObject({ reason: 'connection-lost', place: 'board', doing: 'run' });
    const restore = stepOf('restore', { path: 'file', saved: write.id });
    expect(valueIn(await performer.perform(restore, performing({ undoing: true })))).toBeNull();
    expect(readFileSync(at('file'), 'utf8')).toBe('before');
    await other('finds it held');
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test.each(['freed it again', 'has it still'] as const)(
    'another run took the lock in between and %s: no work goes on',
    async (then) => {
      const performer = through();
      await locked(performer);
      const asked = performer.ask('test.slow');
      await until('it began', () => begun() === 1);
      await cable.unplug();
      const stranger = await other('has the lock');
      if (then === 'freed it again') await stranger.close();
      await cable.plug();
      expect(failureIn(await asked)).toMatchObject({ reason: 'connection-lost', doing: 'test.slow' });
      const next = (undoing: boolean): Promise<unknown> =>
        performer.perform(command(['true']), performing({ undoing })).then((done) => (done.ok ? null : done.failure));
      expect(await next(false)).toMatchObject({ reason: 'connection-lost' });
      // Its undo takes the lock again, unless somebody has it.
      expect(await next(true)).toEqual(
        then === 'freed it again' ? null : (expect.objectContaining({ reason: 'lock-held' }) as unknown),
      );
      expect(await next(false)).toMatchObject({ reason: 'connection-lost' });
      await stranger.close();
    },
  );

  test('it is not waited for longer than configured, and a cancel ends the wait', async () => {
    const performer = through({ limits: { reconnectMs: 400 } });
    const asked = performer.ask('test.slow');
    await until('it began', () => begun() === 1);
    await cable.unplug();
    expect(failureIn(await asked)).toMatchObject({ reason: 'connection-lost', doing: 'test.slow' });
    expect(failureIn(await performer.ask('device.facts'))).toMatchObject({ reason: 'unreachable' });
    await cable.plug();
    const patient = through({ limits: { reconnectMs: 60_000 } });
    const cancel = cancelByHand();
    const write = stepOf('write', { path: 'file', content: 'x', mode: 0o644 });
    expect(valueIn(await patient.perform(write, performing()))).toBeNull();
    await cable.unplug();
    const waiting = patient.perform(write, performing({ cancel }));
    cancel.ask();
    expect(failureIn(await waiting)).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
    await cable.plug();
  });
});
