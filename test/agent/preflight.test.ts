import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Device, textLike, textWith, type Header } from './client.ts';
import { activate, pack, refused, web, webRelease, type Packed } from './release.ts';

/** A folder of sensors; a zone that is a pipe nobody writes to never answers. */
function sensors(device: Device, zones: { readonly [name: string]: string | null }): Header {
  const folder = device.at('..', 'thermal');
  for (const [index, [name, degrees]] of Object.entries(zones).entries()) {
    const zone = join(folder, `thermal_zone${String(index)}`);
    mkdirSync(zone, { recursive: true });
    writeFileSync(join(zone, 'type'), `${name}\n`);
    if (degrees === null) execFileSync('mkfifo', [join(zone, 'temp')]);
    else writeFileSync(join(zone, 'temp'), degrees);
  }
  mkdirSync(folder, { recursive: true });
  return {
    edit: (source) =>
      source.replace("'/sys/class/thermal'", JSON.stringify(folder)).replace('THERMAL_S = 2.0', 'THERMAL_S = 0.3'),
  };
}

test('a device says what decides whether a release can run there, and nothing changes', async () => {
  const device = new Device();
  const agent = device.session();
  const facts = await agent.ok('device.preflight', { sudo: true });
  expect(facts).toMatchObject({
    python: textLike(/^3\.\d+\.\d+/),
    sqlite: textLike(/^3\.\d+/),
    supervisor: 'plain',
    root: { path: device.root, readOnly: false, problem: null },
    boot: { init: textLike(/./) },
  });
  if (process.getuid?.() === 0) expect(facts.sudo).toBe('root');
  else expect(['free', 'asks', 'none']).toContain(facts.sudo);
  expect((await agent.ok('device.preflight')).sudo).toBeNull();
  expect(execFileSync('ls', ['-A', device.root]).toString()).toBe('');
});

test('the clock is the device’s own', async () => {
  const anHourBehind = 'import time\n_time = time.time\ntime.time = lambda: _time() - 3600\n';
  const { nowMs } = await new Device().session({ before: anHourBehind }).ok('device.clock');
  expect(Math.abs(Date.now() - 3_600_000 - nowMs)).toBeLessThan(5_000);
});

test('the hottest zone counts; one that hangs and one that is switched off are skipped', async () => {
  const device = new Device();
  const zones = { 'cpu-thermal': '61500', 'gpu-thermal': '83300\n', 'cv0-thermal': '', 'hung-thermal': null };
  const { temperature } = await device.session(sensors(device, zones)).ok('device.preflight');
  expect(temperature).toEqual({ celsius: 83.3, zone: 'gpu-thermal', skipped: ['cv0-thermal', 'hung-thermal'] });
});

test('without a sensor there is no temperature', async () => {
  const device = new Device();
  expect((await device.session(sensors(device, {})).ok('device.preflight')).temperature).toBeNull();
});

test('what a service takes, and how much there is', async () => {
  const device = new Device();
  const agent = device.session();
  const release = await activate(agent, webRelease());
  await agent.ok('service.start', { name: 'web', release });
  const { memory, disk, services } = await agent.ok('device.vitals');
  expect(services).toEqual([{ name: 'web', memoryMb: expect.any(Number) as number }]);
  expect(services[0]?.memoryMb).toBeGreaterThan(1);
  expect(services[0]?.memoryMb).toBeLessThan(200);
  expect(memory.availableMb).toBeGreaterThan(0);
  expect(memory.availableMb).toBeLessThanOrEqual(memory.totalMb);
  expect(disk.freeBytes).toBeLessThanOrEqual(disk.totalBytes);
});

test('room says what is short of what', async () => {
  const agent = new Device().session({ rehearsal: true });
  const room = await agent.ok('device.room', {
    bytes: 2 ** 50,
    files: 0,
    services: [web()],
    reservedMb: 100,
    boardMb: 149,
  });
  expect(room.problems).toEqual([
    { what: 'disk', says: textWith('MB of disk free') },
    { what: 'memory', says: '149 MB of memory, 150 MB needed by the services and what is reserved' },
  ]);
  expect(room.short).toBe(room.problems.map(({ says }) => says).join('; '));
});

const cannotMount = process.getuid?.() === 0 ? null : 'root (to mount a small file system)';

/** A small file system as a device's root, while a test runs. */
function mounted(device: Device, options: string): void {
  mkdirSync(device.root, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', device.root]);
}

function unmountLast(device: Device): void {
  onTestFinished(() => void execFileSync('umount', ['--lazy', device.root]));
}

test.skipIf(cannotMount !== null)(
  `a device without inodes is short of them${cannotMount === null ? '' : ` (skipped: no ${cannotMount})`}`,
  async () => {
    const device = new Device();
    unmountLast(device);
    mounted(device, 'size=64m,nr_inodes=100');
    const agent = device.session();
    const room = await agent.ok('device.room', { bytes: 0, files: 40, services: [], reservedMb: 0 });
    expect(room).toMatchObject({ enough: false, short: textLike(/^\d\d inodes free, 104 needed$/) });
    expect(await refused(agent, manyFolders())).toMatchObject({ reason: 'file-system', code: 'ENOSPC' });
  },
);

/** More folders than there are inodes. */
function manyFolders(): Packed {
  return pack(Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`f${String(n)}`, { folder: 0o755 }])));
}

test.skipIf(cannotMount !== null)(
  `a full disk takes no writes${cannotMount === null ? '' : ` (skipped: no ${cannotMount})`}`,
  async () => {
    const device = new Device();
    unmountLast(device);
    mounted(device, 'size=1m');
    const agent = device.session();
    await agent.hello;
    execFileSync('sh', ['-c', `head -c 2M /dev/zero > ${device.at('hog')} 2>/dev/null || true`]);
    expect((await agent.ok('device.preflight')).root).toMatchObject({ readOnly: false, problem: 'ENOSPC' });
  },
);

test.skipIf(cannotMount !== null)(
  `a root that became read-only is told, and a new session is refused${cannotMount === null ? '' : ` (skipped: no ${cannotMount})`}`,
  async () => {
    const device = new Device();
    unmountLast(device);
    mounted(device, 'size=4m');
    const agent = device.session();
    await agent.hello;
    execFileSync('mount', ['-o', 'remount,ro', device.root]);
    onTestFinished(() => void execFileSync('mount', ['-o', 'remount,rw', device.root]));
    expect((await agent.ok('device.preflight')).root.readOnly).toBe(true);
    expect((await device.session().hello).failure).toEqual({
      reason: 'device-refused',
      code: 'root-unwritable',
      detail: `${device.root} lies on a file system that is mounted read-only`,
    });
  },
);
