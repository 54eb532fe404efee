import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { platformSystem } from '../../tasks/platform.ts';
import { PYTHON, SOURCE } from './client.ts';

/** Evaluates Python with the agent's functions; its value as JSON. */
function evaluate(expression: string, given: unknown): string {
  const program = [
    'import json, sys',
    'source, given = json.load(sys.stdin)',
    'scope = {"__name__": "test", "given": given}',
    'exec(compile(source, "agent", "exec"), scope)',
    `print(json.dumps(eval(${JSON.stringify(expression)}, scope)))`,
  ].join('\n');
  const input = JSON.stringify([SOURCE.toString(), given]);
  return JSON.parse(execFileSync(PYTHON, ['-c', program], { input, encoding: 'utf8' })) as string;
}

interface Site {
  readonly root: string;
  readonly version: number;
}

const HERE: Site = { root: '/srv/demo', version: 252 };
const argv = ['/usr/bin/python3', 'run.py', '--port', '8080', '', ';', '100% $HOME ${X}', `"a" 'b' \\ \n\t\u0007`];
const bare = { name: 'web', memoryMb: 64 };
const full = {
  ...bare,
  name: 'camera',
  after: ['web'],
  graceMs: 1_500,
  watchdog: { everyMs: 2_000 },
  devices: ['/dev/video0', '/dev/nvhost-gpu'],
  groups: ['video'],
};

function unit(service: object, port: number | null, { root, version }: Site = HERE, command = argv): string {
  const site = `Site(given["root"], "0123456789abcdef", "demo", "pilot", "pilot", ${String(version)})`;
  const expression = `unit_text(${site}, given["service"], given["argv"], {"PATH_TO": "a b%c", "ODD": "x\\"y"}, given["port"])`;
  return evaluate(expression, { root, service, argv: command, port });
}

const shots = (name: string): string => join(import.meta.dirname, '../units', name);
const CASES: readonly (readonly [string, () => string])[] = [
  ['plain.service', () => unit(bare, 8080)],
  ['full.service', () => unit(full, 80, { ...HERE, version: 245 })],
  ['home.service', () => unit(bare, null, { ...HERE, root: '/home/pilot/slipway' })],
];

test.each(CASES)('the text of a unit: %s', async (name, text) => {
  await expect(text()).toMatchFileSnapshot(shots(name));
});

/** A folder of the test's own. */
function folder(): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-units-')));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const missing = (program: string): string =>
  spawnSync('sh', ['-c', `command -v ${program}`]).status === 0 ? '' : ` (skipped: no ${program})`;

test.skipIf(missing('systemd-analyze') !== '')(
  `systemd finds no fault with a unit${missing('systemd-analyze')}`,
  () => {
    const texts = [unit(bare, 8080), unit(full, 80), unit(bare, null, { ...HERE, root: '/home/pilot/slipway' })];
    for (const text of texts) {
      const path = join(folder(), 'slipway-demo-x.service');
      writeFileSync(path, text);
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
        encoding: 'utf8',
      });
      const ours = stderr.split('\n').filter((line) => line.includes('slipway-demo-'));
      expect([status, stdout, ours]).toEqual([0, '', []]);
    }
  },
);

const web = {
  service: 'web',
  static: [
    { path: '/', folder: 'www', fallback: 'index.html', immutable: ['/assets/'] },
    { path: '/docs/', folder: 'a "b" $c', immutable: ['/x/'] },
  ],
  proxy: ['/api/', '/ws/'],
  headers: { 'X-Odd': 'a "b" $c \\' },
  maxBodyMb: 3,
};

const conf = (given: object, runtime: string, live = '/srv/demo/live/nginx'): string =>
  evaluate('nginx_conf(given[0], given[1], given[2], 8080, 20001, True)', [given, live, runtime]);

test('the text of a configuration for nginx', async () => {
  await expect(conf(web, '/run/slipway-demo-nginx')).toMatchFileSnapshot(shots('nginx.conf'));
});

test.skipIf(missing('nginx') !== '')(`nginx finds no fault with a configuration${missing('nginx')}`, () => {
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  for (const given of [web, platformSystem.web ?? {}]) {
    const at = folder();
    const runtime = join(at, 'run');
    mkdirSync(runtime);
    if ('uid' in user) execFileSync('chown', ['-R', '65534:65534', at]);
    writeFileSync(join(at, 'nginx.conf'), conf(given, runtime, at));
    const { status, stderr } = spawnSync('nginx', ['-t', '-q', '-c', join(at, 'nginx.conf')], {
      encoding: 'utf8',
      ...user,
    });
    expect([status, stderr.split('\n').filter((line) => line !== '' && !line.includes('/var/log/nginx/'))]).toEqual([
      0,
      [],
    ]);
  }
});
