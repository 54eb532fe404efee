import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentSource } from '../../lib/device/agent.ts';
import { quote } from '../../lib/device/agent.ts';
import { lineReader } from '../../lib/device/lines.ts';
import { unpackedSize } from '../../lib/device/wheel-size.ts';
import { startRehearsalDevice, type RehearsalDevice } from '../../lib/rehearsal/device.ts';
import {
  cancelByHand,
  command,
  failureIn,
  fakeAgent,
  performerFor,
  performing,
  rigEnded,
  stepOf,
  valueIn,
} from './rig.ts';
import { temporary } from './temporary.ts';

/** Agents and pythons as no real device has them; the rehearsal server runs them as real processes. */
describe('a session', () => {
  const folder = temporary('session');
  let rehearsal: RehearsalDevice;
  beforeAll(async () => {
    rehearsal = await startRehearsalDevice({
      slipwayDir: join(folder.path, '.slipway'),
      name: 'rehearsal',
      graceMs: 500,
    });
  });
  afterAll(async () => {
    await rigEnded();
    await rehearsal.close();
    folder.remove();
  });

  const askWith = async (source: AgentSource, limits = {}): Promise<unknown> => {
    const performer = performerFor(rehearsal.device, { source, limits });
    const answer = await performer.ask('device.facts');
    await performer.close();
    return answer.ok ? answer.value : answer.failure;
  };

  const pythonOn = async (path: string): Promise<unknown> => {
    const other = await startRehearsalDevice({ slipwayDir: join(folder.path, '.slipway'), name: 'rehearsal', path });
    const performer = performerFor(other.device);
    const failure = failureIn(await performer.ask('device.facts'));
    await performer.close();
    await other.close();
    return failure;
  };

  test('no python3', async () => {
    mkdirSync(join(folder.path, 'empty'));
    expect(await pythonOn(join(folder.path, 'empty'))).toEqual({
      reason: 'no-python',
      place: 'rehearsal',
      found: null,
    });
  });

  test('a python3 that is too old', async () => {
    const bin = join(folder.path, 'old');
    mkdirSync(bin);
    writeFileSync(join(bin, 'python3'), `#!/bin/sh\necho '{"hello": {"tooOld": "3.6.9"}}'\nexit 3\n`, { mode: 0o755 });
    expect(await pythonOn(bin)).toEqual({ reason: 'no-python', place: 'rehearsal', found: '3.6.9' });
  });

  test('a login script that prints before the agent does no harm', async () => {
    const agent = fakeAgent(
      'print("Welcome!"); print("{}"); hello()\nwhile True: say({"id": hear()["id"], "ok": True, "value": 7})',
    );
    expect(await askWith(agent)).toBe(7);
  });

  test('an agent that ends before it answers', async () => {
    expect(await askWith(fakeAgent('sys.exit("no such thing")'))).toMatchObject({
      reason: 'device-refused',
      code: 'agent-ended',
      detail: expect.stringContaining('no such thing') as string,
    });
  });

  test('a module in the home folder does not become part of the agent', async () => {
    const module = join(rehearsal.device.root, 'home', 'json.py');
    writeFileSync(module, 'raise SystemExit("hijacked")');
    const performer = performerFor(rehearsal.device);
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    await performer.close();
    rmSync(module);
  });

  test('an agent whose bytes were damaged on the way', async () => {
    const { agentSource } = await import('../../lib/device/agent.ts');
    const source = agentSource();
    expect(await askWith({ ...source, sha256: '0'.repeat(64) })).toMatchObject({
      reason: 'checksum-mismatch',
      path: 'agent.py',
    });
  });

  test('an agent that says nothing', async () => {
    expect(await askWith(fakeAgent('time.sleep(60)'), { helloMs: 300 })).toMatchObject({
      reason: 'timed-out',
      timeoutMs: 300,
    });
  });

  test('an agent that ends in the middle of an operation', async () => {
    expect(await askWith(fakeAgent('hello(); hear(); sys.exit(9)'))).toEqual({
      reason: 'connection-lost',
      place: 'rehearsal',
      doing: 'device.facts (the agent ended with status 9)',
    });
  });

  test('an operation that never answers is cancelled, then cut', async () => {
    const performer = performerFor(rehearsal.device, {
      source: fakeAgent('hello()\nwhile True: hear()'),
      limits: { operationMs: 200, graceMs: 100, marginMs: 100 },
    });
    expect(failureIn(await performer.ask('device.facts'))).toEqual({
      reason: 'timed-out',
      what: 'device.facts',
      timeoutMs: 200,
    });
    await performer.close();
  });

  test('a cancel reaches the agent, whose answer is waited for', async () => {
    const agent = fakeAgent(
      'hello(); asked = hear(); say({"id": asked["id"], "output": "stdout", "text": "busy"}); cancel = hear()\nsay({"id": cancel["cancel"], "ok": False, "failure": {"reason": "killed-by-signal", "command": "x", "signal": "SIGTERM", "tail": []}})\nhear()',
    );
    const performer = performerFor(rehearsal.device, { source: agent });
    const cancel = cancelByHand();
    const around = performing({ cancel, output: () => cancel.ask() });
    expect(failureIn(await performer.perform(command(['x']), around))).toEqual({
      reason: 'cancelled',
      signal: 'SIGINT',
    });
    await performer.close();
  });

  test('a value of another shape, a failure of an unknown reason', async () => {
    const agent = fakeAgent(
      'hello()\nsay({"id": hear()["id"], "ok": True, "value": {"current": 3}})\nsay({"id": hear()["id"], "ok": False, "failure": {"reason": "whim"}})\nhear()',
    );
    const performer = performerFor(rehearsal.device, { source: agent });
    const status = stepOf(
      'probe',
      { ask: 'release.status', args: {} },
      { yields: { type: 'object', fields: { current: { type: 'string' } } } },
    );
    expect(failureIn(await performer.perform(status, performing()))).toEqual({
      reason: 'unexpected-value',
      what: 'release.status',
      at: 'current',
      expected: 'string',
      actual: 'number',
    });
    expect(failureIn(await performer.perform(status, performing()))).toMatchObject({
      reason: 'device-refused',
      code: 'unknown-failure',
      place: 'rehearsal',
    });
    await performer.close();
  });

  test('closing a session that hangs does not hang', async () => {
    const performer = performerFor(rehearsal.device, {
      source: fakeAgent(
        'signal.signal(signal.SIGTERM, signal.SIG_IGN); hello(); say({"id": hear()["id"], "ok": True})\nwhile True: time.sleep(60)',
      ),
      limits: { closeMs: 200 },
    });
    expect(await performer.ask('device.facts')).toEqual({ ok: true, value: null });
    await performer.close();
  });

  test('output of steps side by side goes to each its own', async () => {
    const performer = performerFor(rehearsal.device);
    const names = ['one', 'two', 'three', 'four'];
    const watched = names.map(() => performing());
    const results = await Promise.all(
      names.map((name, index) =>
        performer.perform(
          command(['printf', `${name}\n%.0s`, ...Array<string>(300).fill('x')]),
          watched[index] ?? performing(),
        ),
      ),
    );
    expect(results.map(valueIn)).toEqual([null, null, null, null]);
    expect(watched.map((one) => new Set(one.text().split('\n')))).toEqual(names.map((name) => new Set([name, ''])));
    await performer.close();
  });
});

test('a word is quoted so that a shell takes it as it stands', () => {
  expect(quote(`it's "$HOME"`)).toBe(`'it'\\''s "$HOME"'`);
});

test('lines are whole, whatever pieces they come in', () => {
  const lines: string[] = [];
  const read = lineReader((line) => lines.push(line));
  for (const byte of Buffer.from('über\n\nzwei\nhalb')) read(Buffer.from([byte]));
  expect(lines).toEqual(['über', '', 'zwei']);
  expect(read(Buffer.alloc(9 * 1024 * 1024))).toBe(false);
});

test('ssh2 is loaded only when a device is reached', () => {
  const folder = new URL('../../lib/device/', import.meta.url);
  const eager = readdirSync(folder).filter((name) =>
    /^import (?!type)[^;]*from 'ssh2'/m.test(readFileSync(new URL(name, folder), 'utf8')),
  );
  expect(eager).toEqual([]);
});

test('what a wheel becomes is read from its table of contents', () => {
  const folder = temporary('wheel');
  const [wheel, odd] = [join(folder.path, 'a.whl'), join(folder.path, 'b.whl')];
  execFileSync('python3', [
    '-c',
    "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z: z.comment = b'PK'; z.writestr('a/b.py', 'x' * 100000); z.writestr('c', 'y')",
    wheel,
  ]);
  writeFileSync(odd, 'no zip at all');
  expect([unpackedSize(wheel), unpackedSize(odd)]).toEqual([
    { bytes: 100_001, files: 2 },
    { bytes: 52, files: 1 },
  ]);
  folder.remove();
});
