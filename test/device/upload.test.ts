import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../lib/device/limits.ts';
import { createLink, type Link } from '../../lib/device/link.ts';
import { upload } from '../../lib/device/upload.ts';
import type { StepProgress } from '../../lib/model/ports.ts';
import { s } from '../../lib/model/schema.ts';
import type { Step } from '../../lib/model/step.ts';
import { shapedLink } from '../../bench/link.ts';
import { devices, type TestDevice } from './devices.ts';
import { packedTree } from './packed.ts';
import { until } from './poll.ts';
import { BARE, cancelByHand, failureIn, performerFor, performing, QUICK, rigEnded, stepOf, valueIn } from './rig.ts';
import { temporary } from './temporary.ts';

const ODD = {
  'new\nline': 'a',
  "it's": 'b',
  '-rf': 'c',
  'with "quotes" $(id)': 'd',
  'ünï/cödé': 'e',
  ' blanks ': 'f',
  empty: '',
};

describe.each(devices)('uploading to $kind', ({ missing, start }) => {
  describe.skipIf(missing !== null)(missing === null ? 'a packed tree' : `needs ${missing}`, () => {
    const folder = temporary('upload');
    let device: TestDevice;
    let trees = 0;
    beforeAll(async () => {
      device = await start();
    });
    afterAll(async () => {
      await rigEnded();
      await device.stop();
      folder.remove();
    });
    const pack = (
      files: { readonly [path: string]: string | Buffer },
      more: Parameters<typeof packedTree>[2] = {},
    ): { from: string; release: string } => {
      const into = join(folder.path, `packed-${String(++trees)}`);
      mkdirSync(into);
      return packedTree(into, files, more);
    };
    const step = (packed: { readonly from: string; readonly release: string }): Step =>
      stepOf('upload', packed, { yields: s.object({ path: s.string, sentFiles: s.number, sentBytes: s.number }) });
    const arrived = (release: string): string => join(device.root, 'releases', release);

    test('odd names, empty files and links arrive as they are', async () => {
      const performer = performerFor(device.target);
      const packed = pack(ODD, { links: { 'a link': "it's" } });
      expect(valueIn(await performer.perform(step(packed), performing()))).toEqual({
        path: `releases/${packed.release}`,
        sentFiles: 7,
        sentBytes: 6,
      });
      for (const [path, content] of Object.entries(ODD))
        expect(readFileSync(join(arrived(packed.release), path), 'utf8')).toBe(content);
      expect(readlinkSync(join(arrived(packed.release), 'a link'))).toBe("it's");
      await performer.close();
    });

    test('a file of the device that was to be taken from another release, and is damaged, is sent instead', async () => {
      const performer = performerFor(device.target);
      const [first, second] = [pack({ a: 'content', b: 'same' }), pack({ a: 'content', b: 'same', c: 'new' })];
      valueIn(await performer.perform(step(first), performing()));
      writeFileSync(join(arrived(first.release), 'a'), 'CONTENT');
      expect(valueIn(await performer.perform(step(second), performing()))).toMatchObject({
        sentFiles: 2,
        sentBytes: 10,
      });
      expect(readFileSync(join(arrived(second.release), 'a'), 'utf8')).toBe('content');
      await performer.close();
    });

    test('modes, empty folders and names of 255 bytes arrive as they are', async () => {
      const performer = performerFor(device.target);
      const name = 'ü'.repeat(127) + 'x';
      const packed = pack({ run: '#!', [name]: 'long' }, { modes: { run: 0o755 }, folders: { 'void/inner': 0o750 } });
      valueIn(await performer.perform(step(packed), performing()));
      const mode = (path: string): number => statSync(join(arrived(packed.release), path)).mode & 0o777;
      expect([mode('run'), mode(name), mode('void'), mode('void/inner')]).toEqual([0o755, 0o644, 0o755, 0o750]);
      expect(readdirSync(join(arrived(packed.release), 'void/inner'))).toEqual([]);
      await performer.close();
    });

    test('one exchange when the device has the release, three when it has not', async () => {
      const limits = { ...LIMITS, ...QUICK };
      const link = createLink({ target: device.target, run: 'counted', environment: BARE, limits });
      const asked: string[] = [];
      const counting: Link = {
        ...link,
        request: (request, mode) => (asked.push(request.op), link.request(request, mode)),
      };
      const around = { performing: performing(), projectDir: '/', limits };
      const packed = pack({ a: `counted ${String(trees)}`, b: 'twice', c: 'twice' });
      for (let time = 0; time < 2; time++)
        expect(await upload(counting, step(packed) as never, around)).toMatchObject({ ok: true });
      expect(asked).toEqual(['upload.begin', 'upload.put', 'upload.stage', 'upload.begin']);
      await link.close();
    });

    test('what the device has is not sent again; equal contents go once', async () => {
      const performer = performerFor(device.target);
      const [one, two] = [pack({ a: 'first', b: 'second' }), pack({ a: 'first', b: 'third', c: 'third' })];
      expect(valueIn(await performer.perform(step(one), performing()))).toMatchObject({ sentFiles: 2 });
      expect(valueIn(await performer.perform(step(two), performing()))).toMatchObject({ sentFiles: 1, sentBytes: 5 });
      expect(valueIn(await performer.perform(step(two), performing()))).toMatchObject({ sentFiles: 0, sentBytes: 0 });
      await performer.close();
    });

    test('more than one batch, and more than any window', async () => {
      const performer = performerFor(device.target);
      const big = randomBytes(20 * 1024 * 1024);
      const packed = pack({
        big,
        ...Object.fromEntries(
          Array.from({ length: 10_050 }, (_, index) => [`many/${String(index)}`, `number ${String(index)}`]),
        ),
      });
      expect(valueIn(await performer.perform(step(packed), performing()))).toMatchObject({ sentFiles: 10_051 });
      expect(readFileSync(join(arrived(packed.release), 'big')).equals(big)).toBe(true);
      await performer.close();
    });

    test.each([
      [
        'grew',
        (path: string) => appendFileSync(path, '!'),
        { reason: 'checksum-mismatch', path: 'file', expected: '7 bytes', actual: '8 bytes' },
      ],
      [
        'shrank',
        (path: string) => truncateSync(path, 3),
        { reason: 'checksum-mismatch', path: 'file', expected: '7 bytes', actual: '3 bytes' },
      ],
      [
        'changed',
        (path: string) => writeFileSync(path, 'CONTENT'),
        { reason: 'checksum-mismatch', path: 'file', expected: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      ],
      [
        'went',
        (path: string) => rmSync(path),
        { reason: 'file-system', code: 'ENOENT', path: 'file', operation: 'read' },
      ],
    ])('a file that %s since it was packed fails, and the session goes on', async (_how, spoil, failure) => {
      const performer = performerFor(device.target);
      const packed = pack({ other: `other ${String(trees)}`, file: `c${String(100_000 + trees)}` });
      spoil(join(packed.from, 'tree', 'file'));
      expect(failureIn(await performer.perform(step(packed), performing()))).toMatchObject(failure);
      expect(existsSync(arrived(packed.release))).toBe(false);
      expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
      await performer.close();
    });

    test('no manifest, or one of another shape', async () => {
      const performer = performerFor(device.target);
      const packed = pack({ a: 'a' });
      writeFileSync(join(packed.from, 'manifest.json'), '{"entries": [{"kind": "file", "path": 1}], "wheels": []}');
      expect(failureIn(await performer.perform(step(packed), performing()))).toMatchObject({
        reason: 'unexpected-value',
        at: 'entries.0.path',
      });
      rmSync(join(packed.from, 'manifest.json'));
      expect(failureIn(await performer.perform(step(packed), performing()))).toMatchObject({
        reason: 'file-system',
        code: 'ENOENT',
      });
      await performer.close();
    });

    test('room is asked for with the bytes and files of the tree', async () => {
      const performer = performerFor(device.target);
      const packed = pack({ a: 'x'.repeat(1000), b: 'y' });
      const yields = s.object({ neededBytes: s.number, neededInodes: s.number, enough: s.boolean });
      const ask = async (tree: string): Promise<{ neededBytes: number; neededInodes: number }> =>
        valueIn(
          await performer.perform(
            stepOf(
              'probe',
              { ask: 'device.room', args: { tree, services: [], reservedMb: 0, boardMb: 512 } },
              { yields },
            ),
            performing(),
          ),
        ) as never;
      const [with2, with1] = [await ask(packed.from), await ask(pack({ a: 'x' }).from)];
      expect([with2.neededBytes - with1.neededBytes, with2.neededInodes - with1.neededInodes]).toEqual([2000, 2]);
      await performer.close();
    });

    test('a cancel in the middle of it is heard, and what arrived counts', async () => {
      const performer = performerFor(device.target);
      const packed = pack(
        Object.fromEntries(Array.from({ length: 4 }, (_, index) => [String(index), randomBytes(15 * 1024 * 1024)])),
      );
      const cancel = cancelByHand();
      const before = contents(device.root);
      const sent = performer.perform(step(packed), performing({ cancel }));
      await until('a content arrived', () => contents(device.root) > before);
      cancel.ask();
      expect(failureIn(await sent)).toMatchObject({ reason: 'cancelled' });
      const value = valueIn(await performer.perform(step(packed), performing())) as { sentFiles: number };
      expect(value.sentFiles).toBeLessThan(4);
      await performer.close();
    });

    test('on a slow link contents come compressed, with progress, and a cancel is heard at once', async () => {
      if (device.sshd === null) return;
      const slow = await shapedLink(device.target.port ?? 0, { delayMs: 5, bytesPerS: 500_000 });
      const known = join(folder.path, 'slow_hosts');
      const [key = ''] = Object.values(device.sshd.hostKeys);
      writeFileSync(known, `[127.0.0.1]:${String(slow.port)} ${key}\n`);
      const performer = performerFor({ ...device.target, port: slow.port, knownHosts: known });
      expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
      const text = Buffer.alloc(20_000_000, 'compressible '.repeat(1000));
      const startMs = performance.now();
      expect(valueIn(await performer.perform(step(pack({ text })), performing()))).toMatchObject({
        sentBytes: 20_000_000,
      });
      // As it is, it would take 40 s.
      expect(performance.now() - startMs).toBeLessThan(15_000);

      const cancel = cancelByHand();
      const told: StepProgress[] = [];
      let cancelledMs = 0;
      const progress = (one: StepProgress): void => {
        told.push(one);
        if (told.length > 1) return;
        cancelledMs = performance.now();
        cancel.ask();
      };
      const random = pack({ random: randomBytes(20_000_000) });
      const sent = await performer.perform(step(random), performing({ cancel, progress }));
      expect(failureIn(sent)).toMatchObject({ reason: 'cancelled' });
      expect(performance.now() - cancelledMs).toBeLessThan(10_000);
      expect(told[0]).toMatchObject({ total: 20_000_000, unit: 'bytes' });
      expect(told[0]?.ratePerS).toBeLessThan(2_000_000);
      expect(told[0]?.leftS).toBeGreaterThan(5);
      // The session lives: a cancel that was heard costs no connection.
      expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
      await performer.close();
      await slow.close();
    });

    test('cut off in the middle, it goes on where it was', async () => {
      if (device.sshd === null) return;
      const performer = performerFor(device.target);
      const packed = pack(
        Object.fromEntries(Array.from({ length: 4 }, (_, index) => [String(index), randomBytes(15 * 1024 * 1024)])),
      );
      const before = contents(device.root);
      const sent = performer.perform(step(packed), performing());
      await until('a content arrived', () => contents(device.root) > before);
      device.sshd.cut();
      expect(valueIn(await sent)).toMatchObject({ sentFiles: 4 });
      expect(lastPutBytes(device.root)).toBeLessThanOrEqual(45 * 1024 * 1024);
      for (const name of ['0', '1', '2', '3']) {
        const sentAs = readFileSync(join(packed.from, 'tree', name));
        expect(readFileSync(join(arrived(packed.release), name)).equals(sentAs)).toBe(true);
      }
      expect(readdirSync(join(device.root, 'incoming'))).toEqual([]);
      await performer.close();
    });
  });
});

/** What the client sent last, as the device's journal has it. */
function lastPutBytes(root: string): number {
  const lines = readFileSync(join(root, 'state/journal.jsonl'), 'utf8').trim().split('\n');
  const puts = lines.map((line) => JSON.parse(line) as { op: string; args: { bytes: number } });
  return puts.findLast(({ op }) => op === 'upload.put')?.args.bytes ?? Infinity;
}

/** Contents of 15 MiB that have arrived whole, in a tree or before it. */
function contents(root: string): number {
  return ['blobs', 'incoming']
    .map((name) => join(root, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.size === 15 * 1024 * 1024).length;
}
