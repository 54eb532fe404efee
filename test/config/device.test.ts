import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configuredDevices, deviceConfig, rehearsalHttpPort } from '../../lib/config/device.ts';
import { lookupFor } from '../../lib/config/lookup.ts';
import { chooseTarget } from '../../lib/config/target.ts';
import { sourcesOf, usageError } from './project.ts';

test('flag before environment before .env.<target> before .env', async () => {
  const files = { '.env': 'A=shared\nB=shared\nC=shared\nD=shared', '.env.jetson': 'A=own\nB=own\nC=own' };
  const sources = await sourcesOf(files, {
    environment: { A: 'env', B: 'env' },
    flags: { A: { flag: '--a', value: 'flag' } },
  });
  const jetson = lookupFor(sources, 'jetson');
  expect(['A', 'B', 'C', 'D', 'E'].map((name) => jetson.get(name))).toEqual([
    { value: 'flag', source: '--a' },
    { value: 'env', source: 'environment' },
    { value: 'own', source: '.env.jetson' },
    { value: 'shared', source: '.env' },
    undefined,
  ]);
  expect(lookupFor(sources, 'other').get('C')).toEqual({ value: 'shared', source: '.env' });
});

describe('a device', () => {
  test('with every setting, and with as few as can be', async () => {
    const sources = await sourcesOf({
      key: 'key',
      known: '',
      '.env.my-board':
        'MY_BOARD_HOST=10.0.0.7\nMY_BOARD_PORT=2222\nMY_BOARD_USER=ops\nMY_BOARD_KEY=key\nMY_BOARD_KNOWN_HOSTS=known\nMY_BOARD_ROOT=/srv/app\nMY_BOARD_HTTP_PORT=80\nMY_BOARD_TRANSPORT=ssh\nMY_BOARD_RECONNECT_S=5\nMY_BOARD_SUDO=yes',
    });
    const { projectDir } = sources;
    expect(deviceConfig('my-board', lookupFor(sources, 'my-board'))).toEqual({
      name: 'my-board',
      host: '10.0.0.7',
      port: 2222,
      user: 'ops',
      key: join(projectDir, 'key'),
      knownHosts: join(projectDir, 'known'),
      root: '/srv/app',
      httpPort: 80,
      transport: 'ssh',
      sudo: true,
      reconnectMs: 5_000,
      rehearsal: false,
      supervisor: null,
    });
    const few = await sourcesOf({}, { environment: { JETSON_HOST: 'jetson.local', JETSON_PORT: '' } });
    expect(deviceConfig('jetson', lookupFor(few, 'jetson'))).toEqual({
      name: 'jetson',
      host: 'jetson.local',
      port: null,
      user: null,
      key: null,
      knownHosts: null,
      root: '~/slipway',
      httpPort: null,
      transport: 'ssh2',
      sudo: null,
      reconnectMs: null,
      rehearsal: false,
      supervisor: null,
    });
  });

  test.each([
    ['JETSON_PORT', '0'],
    ['JETSON_PORT', '65536'],
    ['JETSON_PORT', '22x'],
    ['JETSON_PORT', '0x16'],
    ['JETSON_HTTP_PORT', '-1'],
    ['JETSON_TRANSPORT', 'telnet'],
    ['JETSON_RECONNECT_S', 'forever'],
    ['JETSON_SUDO', 'maybe'],
    ['JETSON_HOST', '-oProxyCommand=x'],
    ['JETSON_HOST', 'ops@jetson'],
    ['JETSON_USER', '-l'],
    ['JETSON_ROOT', ''],
    ['JETSON_ROOT', 'srv'],
    ['JETSON_ROOT', '/srv/../etc'],
    ['JETSON_KEY', 'missing'],
    ['JETSON_KNOWN_HOSTS', 'missing'],
  ])('%s=%j is refused, with the place to correct it', async (name, value) => {
    const sources = await sourcesOf({ '.env.jetson': `JETSON_HOST=jetson.local\n${name}='${value}'\n` });
    const { message, hint } = await usageError(() => deviceConfig('jetson', lookupFor(sources, 'jetson')));
    expect([message, hint]).toEqual([expect.stringContaining(name), expect.stringContaining('.env.jetson')]);
  });

  test('a key that others can read', async () => {
    const sources = await sourcesOf({ '.env': 'JETSON_HOST=jetson.local\nJETSON_KEY=key' });
    const key = join(sources.projectDir, 'key');
    writeFileSync(key, '');
    chmodSync(key, 0o644);
    expect(await usageError(() => deviceConfig('jetson', lookupFor(sources, 'jetson')))).toEqual({
      message: `JETSON_KEY names ${key}, which others can read (mode 0644)`,
      hint: `chmod 600 ${key}`,
    });
  });

  test('one that is not configured', async () => {
    const sources = await sourcesOf({});
    expect(await usageError(() => deviceConfig('jetson', lookupFor(sources, 'jetson')))).toEqual({
      message: 'device jetson is not configured: JETSON_HOST is not set',
      hint: 'write JETSON_HOST=… into .env.jetson, or choose another device with --to',
    });
  });

  test('the rehearsal device has a port and nothing else', async () => {
    const sources = await sourcesOf({ '.env': 'REHEARSAL_HTTP_PORT=8123\nREHEARSAL_HOST=real.example.com' });
    expect(rehearsalHttpPort(lookupFor(sources, 'rehearsal'))).toBe(8123);
    expect(configuredDevices(sources, ['rehearsal'])).toEqual([]);
  });
});

describe('which device', () => {
  test("other programs' variables make no device", async () => {
    const environment = {
      DOCKER_HOST: 'unix:///x',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      KUBERNETES_SERVICE_PORT: '443',
      BOARD_HOST: 'b',
      BOARD_ROOT: '/srv',
    };
    const sources = await sourcesOf(
      {
        '.env': 'DB_HOST=localhost\nDB_PORT=5432\nDB_USER=u\nJETSON_HOST=j',
        '.env.lab': 'LAB_HOST=l',
        '.env.empty': 'X=1',
        '.env.example': 'EXAMPLE_HOST=x',
      },
      { environment },
    );
    expect(configuredDevices(sources, ['jetson'])).toEqual(['board', 'jetson', 'lab']);
    expect(configuredDevices(sources, [])).toEqual(['board', 'lab']);
  });

  test('the rehearsal, while no real one is configured', async () => {
    expect(chooseTarget(await sourcesOf({ '.env': 'JETSON_HOST=\n' }), ['jetson'])).toEqual({
      ok: true,
      target: 'rehearsal',
      source: 'default',
    });
  });

  test('once one is, it must be said', async () => {
    const files = { '.env.jetson': 'JETSON_HOST=j' };
    expect(chooseTarget(await sourcesOf(files), ['jetson'])).toEqual({
      ok: false,
      failure: {
        reason: 'refused',
        message: 'which device? JETSON_HOST is set, so say --to or DEPLOY_TO: jetson, rehearsal',
      },
    });
    expect(chooseTarget(await sourcesOf({ ...files, '.env': 'DEPLOY_TO=jetson' }), ['jetson'])).toEqual({
      ok: true,
      target: 'jetson',
      source: '.env',
    });
    expect(
      chooseTarget(
        await sourcesOf(files, {
          environment: { DEPLOY_TO: 'jetson' },
          flags: { DEPLOY_TO: { flag: '--to', value: 'rehearsal' } },
        }),
        ['jetson'],
      ),
    ).toEqual({ ok: true, target: 'rehearsal', source: '--to' });
  });

  test('a name that is none', async () => {
    const sources = await sourcesOf({}, { environment: { DEPLOY_TO: 'My Board' } });
    expect(await usageError(() => chooseTarget(sources, []))).toEqual({
      message: 'DEPLOY_TO (environment) is "My Board": not a device name (lower case letters, digits and -)',
      hint: 'configured: rehearsal',
    });
  });
});
