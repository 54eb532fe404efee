import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Step } from '../../lib/model/step.ts';
import { devices, type TestDevice } from './devices.ts';
import { until } from './poll.ts';
import { cancelByHand, command, failureIn, performerFor, performing, rigEnded, stepOf, valueIn } from './rig.ts';

describe.each(devices)('steps on $kind', ({ missing, start }) => {
  describe.skipIf(missing !== null)(missing === null ? 'performed' : `needs ${missing}`, () => {
    let device: TestDevice;
    beforeAll(async () => {
      device = await start();
    });
    afterAll(async () => {
      await rigEnded();
      await device.stop();
    });
    const at = (path: string): string => join(device.root, path);
    const undo = (step: Step & { args: { path?: unknown } }): Step =>
      stepOf('restore', { path: String(step.args.path), saved: step.id });

    test('write, link and remove put back what was there', async () => {
      const performer = performerFor(device.target);
      mkdirSync(at('tree/inner'), { recursive: true });
      writeFileSync(at('tree/inner/file'), 'kept');
      writeFileSync(at('old'), 'before', { mode: 0o640 });
      const steps = [
        stepOf('write', { path: 'old', content: 'after\n', mode: 0o600 }),
        stepOf('write', { path: 'new/file', content: 'ü', mode: 0o644 }),
        stepOf('link', { path: 'current', target: 'tree' }),
        stepOf('remove', { path: 'tree' }),
      ];
      for (const step of steps) expect(valueIn(await performer.perform(step, performing()))).toBeNull();
      expect([
        readFileSync(at('old'), 'utf8'),
        statSync(at('old')).mode & 0o777,
        readlinkSync(at('current')),
        existsSync(at('tree')),
      ]).toEqual(['after\n', 0o600, 'tree', false]);
      for (const step of steps.toReversed())
        expect(valueIn(await performer.perform(undo(step as never), performing({ undoing: true })))).toBeNull();
      expect([
        readFileSync(at('old'), 'utf8'),
        statSync(at('old')).mode & 0o777,
        readFileSync(at('tree/inner/file'), 'utf8'),
      ]).toEqual(['before', 0o640, 'kept']);
      expect([existsSync(at('new')), lstatSync(at('current'), { throwIfNoEntry: false })]).toEqual([false, undefined]);
      await performer.close();
    });

    test('a repeated step saves what it finds at each path', async () => {
      const performer = performerFor(device.target);
      const paths = ['a', 'b'];
      for (const path of paths) writeFileSync(at(path), `old ${path}`);
      const steps = paths.map((path) => stepOf('write', { path, content: 'new', mode: 0o644 }, { id: 'test/each.1' }));
      for (const step of steps) await performer.perform(step, performing());
      for (const step of steps) await performer.perform(undo(step), performing({ undoing: true }));
      expect(paths.map((path) => readFileSync(at(path), 'utf8'))).toEqual(['old a', 'old b']);
      await performer.close();
    });

    test('a command: its output, its value, its environment', async () => {
      const performer = performerFor(device.target, { lookup: (name) => ({ GREETING: 'hallo', OTHER: 'no' })[name] });
      const around = performing({ env: ['GREETING', 'UNSET'] });
      const step = stepOf(
        'shell',
        { script: 'env | sort; pwd', env: { MORE: "it's" }, output: 'lines' },
        { yields: { type: 'list', of: { type: 'string' } } },
      );
      const lines = valueIn(await performer.perform(step, around)) as string[];
      expect(lines.map((line) => line.split('=')[0])).toEqual(
        expect.arrayContaining(['GREETING', 'HOME', 'LANG', 'MORE', 'PATH', device.root]),
      );
      expect(lines).toEqual(expect.arrayContaining(['GREETING=hallo', "MORE=it's"]));
      expect(lines.some((line) => /^(OTHER|UNSET|SSH_|npm_)/.test(line))).toBe(false);
      expect(around.text()).toContain('GREETING=hallo');
      expect(
        valueIn(
          await performer.perform(command(['printf', '%s\n', '$(id)', '; echo "x"'], { output: 'text' }), performing()),
        ),
      ).toBe('$(id)\n; echo "x"');
      await performer.close();
    });

    test('a command that fails, is missing, or takes too long', async () => {
      const performer = performerFor(device.target);
      const fail = async (step: Step): Promise<unknown> => failureIn(await performer.perform(step, performing()));
      expect(await fail(command(['sh', '-c', 'echo sorry >&2; exit 3']))).toMatchObject({
        reason: 'exit-non-zero',
        exitCode: 3,
        tail: ['sorry'],
      });
      expect(await fail(command(['no-such-command']))).toEqual({
        reason: 'command-not-found',
        command: 'no-such-command',
      });
      expect(await fail(command(['sleep', '60'], { timeoutMs: 200 }))).toMatchObject({
        reason: 'timed-out',
        timeoutMs: 200,
      });
      expect(await fail(stepOf('write', { path: '../outside', content: '', mode: 0o644 }))).toMatchObject({
        reason: 'device-refused',
        place: device.target.name,
        code: 'outside-root',
      });
      await performer.close();
    });

    test('a cancel ends the command and everything that it started', async () => {
      const performer = performerFor(device.target);
      const cancel = cancelByHand();
      let pids = '';
      const step = command(['sh', '-c', 'sleep 61 & echo $! $$; wait']);
      const around = performing({ cancel, output: (_stream, text) => ((pids += text), cancel.ask()) });
      expect(failureIn(await performer.perform(step, around))).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
      await until('the processes ended', () =>
        pids
          .trim()
          .split(' ')
          .every((pid) => !existsSync(`/proc/${pid}`) || /\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))),
      );
      // An undo goes on all the same.
      expect(valueIn(await performer.perform(command(['true']), performing({ cancel, undoing: true })))).toBeNull();
      await performer.close();
    });

    test('a lock excludes another client until it is left, or its session ends', async () => {
      const [one, two] = [performerFor(device.target), performerFor(device.target)];
      const scope = { kind: 'lock', place: device.target.name, name: 'deploy' } as const;
      const entered = await one.enter(scope, performing());
      expect(entered).toMatchObject({ ok: true });
      expect(failureIn(await two.enter(scope, performing()))).toMatchObject({
        reason: 'lock-held',
        place: device.target.name,
        name: 'deploy',
        holder: expect.stringContaining('tester@') as string,
      });
      expect(valueIn(await two.perform(command(['echo', 'beside'], { output: 'text' }), performing()))).toBe('beside');
      if (entered.ok) await entered.entered.leave();
      expect(await two.enter(scope, performing())).toMatchObject({ ok: true });
      await two.close();
      expect(await one.enter(scope, performing())).toMatchObject({ ok: true });
      await one.close();
    });

    test("a secret is in no process's arguments, and in its file alone", async () => {
      const secret = 'correct-horse-battery-staple';
      const performer = performerFor(device.target, { secrets: new Map([['TOKEN', secret]]) });
      expect(performer.secret?.('TOKEN')).toBe(secret);
      const seen = new Set<string>();
      const look = (): void => {
        for (const pid of readdirSync('/proc'))
          if (/^\d+$/.test(pid) && commandLine(pid).includes(secret)) seen.add(commandLine(pid));
      };
      const watch = setInterval(look, 1);
      const write = (content: string): Promise<unknown> =>
        performer.perform(stepOf('write', { path: 'shared/secrets.env', content, mode: 0o600 }), performing());
      for (let round = 0; round < 20; round++) {
        await write(`TOKEN=${secret}\n`);
        look();
      }
      expect([...seen]).toEqual([]);
      expect(readFileSync(at('state/journal.jsonl'), 'utf8')).not.toContain(secret);
      // The watch would have seen it.
      await performer.perform(command(['sleep', '0.2', secret]), performing());
      await performer.perform(command(['sh', '-c', 'sleep 0.2', secret]), performing());
      clearInterval(watch);
      expect([...seen]).toContainEqual(expect.stringContaining('sh'));
      expect(statSync(at('shared/secrets.env')).mode & 0o777).toBe(0o600);
      await performer.close();
    });
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
