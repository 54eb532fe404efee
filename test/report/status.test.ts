import { expect, test } from 'vitest';
import { auditLines } from '../../lib/report/audit.ts';
import { statusLines } from '../../lib/report/status.ts';

const SWITCH = { run: 'r-1', client: 'ann@laptop', release: 'bbbb', why: '', failure: null, deadline: null };

test('a device under work: who holds the lock, and by when the switch is put back', () => {
  const lines = statusLines({
    name: 'jetson',
    url: 'http://jetson:8080/',
    current: 'bbbb',
    releases: [
      { id: 'aaaa', state: 'confirmed' },
      { id: 'bbbb', state: 'staged' },
    ],
    services: [
      { name: 'web', state: 'running', memoryMb: 15.1 },
      { name: 'worker', state: 'stopped', memoryMb: null },
    ],
    memory: { totalMb: 7475, availableMb: 5000 },
    disk: { totalBytes: 2 ** 34, freeBytes: 2 ** 33, freeInodes: 1000 },
    temperature: { celsius: 61.5, zone: 'cpu-thermal' },
    lock: { run: 'r-1', client: 'ann@laptop', since: '2026-01-01T00:00:00Z' },
    switch: { ...SWITCH, state: 'armed', deadline: '2026-01-01T00:01:00Z' },
  });
  expect(lines).toEqual([
    'jetson: release bbbb at http://jetson:8080/',
    '  web              running  15.1 MB',
    '  worker           stopped',
    '  memory  5000 MB of 7475 MB free',
    '  disk    8192 MB of 16384 MB free, 1000 inodes',
    '  heat    61.5 °C (cpu-thermal)',
    '  release aaaa  confirmed',
    '  release bbbb  staged (current)',
    '  locked by run r-1 of ann@laptop, since 2026-01-01T00:00:00Z',
    '  switch  to release bbbb by run r-1 of ann@laptop is armed: put back unless confirmed, or heard of, by 2026-01-01T00:01:00Z',
  ]);
});

test.each([
  [{ state: 'confirmed' }, []],
  [{ state: 'taken-back', why: 'silent for too long' }, ['was put back: silent for too long']],
  [{ state: 'taking-back', why: 'a reboot' }, ['is being put back: a reboot']],
  [
    { state: 'stuck', why: 'x', failure: { reason: 'timed-out' } },
    ['could not be put back (x): {"reason":"timed-out"}'],
  ],
])('what became of the last switch: %j', (found, told) => {
  const device = {
    name: 'a',
    url: null,
    current: null,
    releases: [],
    services: [],
    memory: null,
    disk: null,
    temperature: null,
  };
  const lines = statusLines({ ...device, lock: null, switch: { ...SWITCH, ...found } });
  expect(lines.slice(1)).toEqual(told.map((words) => `  switch  to release bbbb by run r-1 of ann@laptop ${words}`));
});

test('a run of somebody else cannot steer the terminal', () => {
  const operation = {
    device: 'a',
    at: '2026-01-01T00:00:00Z',
    client: 'x',
    op: 'link',
    args: { path: '\x1b[2Jx', step: 's' },
    outcome: 'ok',
  };
  const lines = auditLines({
    run: 'r',
    at: operation.at,
    who: 'eve\x1b]0;x\x07@host',
    here: null,
    operations: [operation],
  });
  expect(lines).toEqual([
    '2026-01-01T00:00:00  eve@host  run r: from another machine',
    "    2026-01-01T00:00:00  a: link path='x'",
  ]);
});
