import { expect, test } from 'vitest';
import { Flight } from '../../lib/device/flight.ts';
import { Pace, type Way } from '../../lib/device/pace.ts';
import { Progress } from '../../lib/device/progress.ts';
import type { StepProgress } from '../../lib/model/ports.ts';

const MIB = 1024 * 1024;

/** Sends so much over a link of so many bytes per ms, through a compressor of so many; which way each piece went. */
function sent(bytes: number, link: number, compressor: number, ratio = 4): readonly Way[] {
  const [pace, ways] = [new Pace(), [] as Way[]];
  let [at, ms] = [0, 0];
  pace.begin();
  pace.received(0, 0);
  while (at < bytes) {
    const piece = pace.next();
    pace.sent(piece.way, piece.bytes, piece.way === 'packed' ? piece.bytes / ratio : piece.bytes);
    ways.push(piece.way);
    at += piece.bytes;
    ms += piece.way === 'plain' ? piece.bytes / link : Math.max(piece.bytes / ratio / link, piece.bytes / compressor);
    pace.received(at, ms);
  }
  return ways;
}

const packed = (ways: readonly Way[]): number => ways.filter((way) => way === 'packed').length / ways.length;

test('compressed on a slow link, plain on a fast one, and plain where it gains nothing', () => {
  expect(packed(sent(20 * MIB, 1_000, 60_000))).toBeGreaterThan(0.8);
  expect(packed(sent(20 * MIB, 12_500, 60_000))).toBeGreaterThan(0.8);
  expect(packed(sent(20 * MIB, 400_000, 60_000))).toBe(0);
  expect(packed(sent(64 * MIB, 12_500, 6_000))).toBeLessThan(0.2);
});

test('what becomes no smaller is hardly tried, also where the link is slow', () => {
  const ways = sent(200 * MIB, 12_500, 60_000, 1);
  expect(packed(ways)).toBeLessThan(0.08);
  expect(packed(ways)).toBeGreaterThan(0);
});

test('a link that was slow for a moment is measured again', () => {
  const ways = sent(200 * MIB, 20_000, 60_000);
  expect(ways.slice(20).filter((way) => way === 'plain').length).toBeGreaterThan(4);
});

test('pieces of either kind of which it is told at once share the time, by what each took of the wire', () => {
  const [pace, perMs] = [new Pace(), 50_000];
  pace.begin();
  const plain = Array.from({ length: 5 }, () => pace.next());
  for (const { way, bytes } of plain) pace.sent(way, bytes, bytes);
  const first = plain[0]?.bytes ?? 0;
  pace.received(first, 0);
  const piece = pace.next();
  expect([...plain, piece].map(({ way }) => way)).toEqual([...Array<Way>(5).fill('plain'), 'packed']);
  pace.sent('packed', piece.bytes, piece.bytes * 0.8);
  pace.received(5 * first + piece.bytes, (4 * first + piece.bytes * 0.8) / perMs);
  // The link is as fast as that, and a compressor would keep it back.
  expect(pace.next().way).toBe('plain');
});

test('no more is under way than a slow link carries in a second', async () => {
  const flight = new Flight();
  let [out, at] = [0, 0];
  for (let ms = 0; ms <= 5_000; ms += 250) {
    for (;;) {
      const room = await Promise.race([flight.room().then(() => true), Promise.resolve().then(() => false)]);
      if (!room) break;
      flight.sent(64_000, 64_000);
      out += 64_000;
    }
    at = Math.min(out, at + 128_000);
    flight.arrived(at, ms);
  }
  expect(out - at).toBeLessThanOrEqual(700_000);
  flight.close();
  await flight.room();
});

test('progress: seldom, with the rate of the last seconds and the time that is left', () => {
  const told: StepProgress[] = [];
  let ms = 0;
  const progress = new Progress(
    10_000_000,
    (one) => told.push(one),
    () => ms,
  );
  for (; ms <= 400; ms += 100) progress.at(ms * 1_000);
  expect(told).toEqual([]);
  ms = 1_000;
  progress.at(1_000_000);
  progress.at(1_000_000);
  expect(told).toEqual([{ done: 1_000_000, total: 10_000_000, unit: 'bytes', ratePerS: 1_000_000, leftS: 9 }]);
  for (ms = 2_000; ms <= 10_000; ms += 1_000) progress.at(1_000_000);
  expect(told.at(-1)).toMatchObject({ ratePerS: 0, leftS: null });
});
