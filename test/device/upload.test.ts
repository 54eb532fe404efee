import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { s } from '../../lib/model/schema.ts';
import type { Step } from '../../lib/model/step.ts';
import { devices, type TestDevice } from './devices.ts';
import { packedTree } from './packed.ts';
import { until } from './poll.ts';
import { cancelByHand, failureIn, performerFor, performing, rigEnded, stepOf, valueIn } from './rig.ts';
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
          Array.from({ length: 60 }, (_, index) => [`many/${String(index)}`, `number ${String(index)}`]),
        ),
      });
      expect(valueIn(await performer.perform(step(packed), performing()))).toMatchObject({ sentFiles: 61 });
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
      const before = blobs(device.root);
      const sent = performer.perform(step(packed), performing({ cancel }));
      await until('a blob arrived', () => blobs(device.root) > before);
      cancel.ask();
      expect(failureIn(await sent)).toMatchObject({ reason: 'cancelled' });
      const value = valueIn(await performer.perform(step(packed), performing())) as { sentFiles: number };
      expect(value.sentFiles).toBeLessThan(4);
      await performer.close();
    });
  });
});

/** Whole contents in the store. */
function blobs(root: string): number {
  if (!existsSync(join(root, 'blobs'))) return 0;
  return readdirSync(join(root, 'blobs'))
    .flatMap((name) => readdirSync(join(root, 'blobs', name)))
    .filter((name) => /^[0-9a-f]+$/.test(name)).length;
}
