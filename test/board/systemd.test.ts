import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAgent, bootstrapCommand } from '../../lib/device/agent.ts';
import type { Account } from '../../scripts/testbed/settings.ts';
import { Agent, textWith, until, type Header } from '../agent/client.ts';
import { pack, stage, type Packed } from '../agent/release.ts';
import { board, BOARD_MS, boardMissing, sshArgv } from './board.ts';
import { API, DOG } from './programs.ts';

const source = loadAgent(new URL('../../scripts/device/', import.meta.url));
/** Below the home folder of login root: services may not look into that. */
const ROOT = '~/demo';
const ODD = ['', ';', '100% $HOME ${X}', `"double" 'single'`, 'back\\slash', 'new\nline\ttab', 'grüße', '-n', '\u0007'];

const HTTP = 80;
let demo: Awaited<ReturnType<typeof board>>;
let address = '';
/** The root as the board names it. */
let root = '';

const session = (header: Header = {}, at = ROOT, user: Account = 'root'): Agent =>
  new Agent(at, { run: 'demo', publicPort: HTTP, supervisor: 'systemd', login: user, ...header }, [
    ...sshArgv(demo, user),
    bootstrapCommand(source, 'systemd', []),
  ]);

/** What a line of shell prints on the board. */
const told = (line: string): Promise<string> => demo.must(['sh', '-c', line]);

const paths = { DATA: { path: 'data' }, SECRETS: { path: 'secrets' } };
const api = (more: object = {}) => ({
  name: 'api',
  argv: ['python3', 'api.py', { port: 'api' }, ...ODD],
  env: { ...paths, ODD: ODD.join('|') },
  listens: 'public',
  health: { path: '/api/health', release: 'release' },
  memoryMb: 64,
  graceMs: 2_000,
  ...more,
});
const dog = {
  name: 'dog',
  argv: ['python3', 'dog.py'],
  env: paths,
  memoryMb: 32,
  watchdog: { everyMs: 1_000 },
  after: ['api'],
};
const web = {
  service: 'api',
  static: [
    { path: '/', folder: 'www', fallback: 'index.html', immutable: ['/assets/'] },
    { path: '/docs/', folder: 'manual' },
  ],
  proxy: ['/api/', '/ws/'],
  headers: { 'Content-Security-Policy': "default-src 'self'; cost $5" },
};
const release = (note: string, services: readonly object[] = [api(), dog], more: object = { web }): Packed =>
  pack(
    {
      'api.py': API,
      'dog.py': DOG,
      'www/index.html': `<p>${note}</p>`,
      'www/assets/app-1.js': 'let x;\n'.repeat(1000),
      'manual/index.html': 'the manual',
    },
    { services, ...more },
  );

async function start(agent: Agent, id: string, names = ['api', 'dog', 'nginx']): Promise<void> {
  for (const name of names) await agent.ok('service.start', { name, release: id });
}

const get = async (path: string, headers: { [name: string]: string } = {}) => {
  const answer = await fetch(`http://${address}${path}`, { headers, redirect: 'manual' });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
};

/** Everything that an installation could leave: files of the system, users, units. */
const left = (): Promise<string> =>
  told(
    `find /etc /root /var/lib /srv -xdev -path /var/lib/systemd -prune -o -printf '%p %y %m %u\n' | grep -v '^/etc/[a-z]*- ' | sort
     cat /etc/passwd /etc/group; systemctl list-units --all --plain --no-legend 'slipway-*' | grep -v slipway-agent-
     systemctl list-unit-files --no-legend 'slipway-*' | grep -v slipway-agent-; true`,
  );
const sessions = (): Promise<string> => told("systemctl list-units --plain --no-legend 'slipway-agent-*'");

describe.skipIf(boardMissing !== null)(
  `the systemd driver on a board${boardMissing === null ? '' : ` (skipped: ${boardMissing})`}`,
  () => {
    let before = '';
    let agent: Agent;
    const first = release('first');

    beforeAll(async () => {
      demo = await board();
      address = await told('hostname -i');
      before = await left();
      agent = session();
      root = (await agent.hello).root ?? '';
      await stage(agent, first);
      await agent.ok('write', { path: 'shared/secrets.env', content: 'KEY=hidden\n', mode: 0o600, step: 's' });
      await agent.ok('link', { path: 'current', target: `releases/${first.id}`, step: 'l' });
    }, BOARD_MS);

    afterAll(async () => {
      const last = session({ run: 'last' });
      await last.ok('uninstall', { data: 'remove' });
      await last.close();
      expect(await left()).toBe(before);
    });

    test('what would be installed is shown before, and nothing of it is made', async () => {
      const { diff } = await agent.ok('units.diff', { system: first.manifest.system });
      expect(diff).toContain('--- /dev/null\n+++ /etc/systemd/system/slipway-demo-api.service');
      expect(diff).toContain('‹port of api›');
      expect(await told('ls /etc/systemd/system')).not.toContain('slipway-');
    });

    test('an unchanged file of the next release is the very same one, which only root can write', async () => {
      const second = release('unchanged');
      await stage(agent, second);
      const stat = (id: string): Promise<string> => told(`stat -c '%i %h %a %U' ${root}/releases/${id}/api.py`);
      expect(await stat(second.id)).toMatch(/^\d+ 2 644 root$/);
      expect(await stat(first.id)).toBe(await stat(second.id));
      await agent.ok('release.discard', { release: second.id });
      expect(await stat(first.id)).toMatch(/^\d+ 1 644 root$/);
    });

    test('a board without the web server that is declared is refused before anything changes', async () => {
      const { services } = first.manifest.system as { services: object[] };
      const room = { services, web, reservedMb: 0, bytes: 0, files: 0 };
      expect(await agent.ok('device.room', room)).toMatchObject({ enough: true });
      await told('mv /usr/sbin/nginx /usr/sbin/nginx.away');
      const without = await agent.ok('device.room', room);
      await told('mv /usr/sbin/nginx.away /usr/sbin/nginx');
      expect(without).toMatchObject({ enough: false, short: 'nginx is not installed' });
    });

    test('a web server in front of a service: files, the rest handed on, and an upgrade', async () => {
      await start(agent, first.id);
      await agent.ok('release.gate', { release: first.id, times: 2, everyMs: 50, withinMs: 5_000 });
      expect(await get('/api/health')).toMatchObject({ status: 200, text: textWith(first.id) });
      const page = await get('/');
      expect([
        page.status,
        page.text,
        page.headers.get('cache-control'),
        page.headers.get('content-security-policy'),
      ]).toEqual([200, '<p>first</p>', 'no-cache', "default-src 'self'; cost $5"]);
      expect(page.headers.get('x-content-type-options')).toBe('nosniff');
      expect((await get('/orders/12')).text).toBe('<p>first</p>');
      const asset = await get('/assets/app-1.js', { 'accept-encoding': 'gzip' });
      expect([asset.status, asset.headers.get('cache-control'), asset.headers.get('content-encoding')]).toEqual([
        200,
        'public, max-age=31536000, immutable',
        'gzip',
      ]);
      expect(asset.headers.get('content-type')).toContain('text/javascript');
      const none = await get('/assets/app-2.js');
      expect([none.status, none.headers.get('cache-control')]).toEqual([404, null]);
      expect([(await get('/docs/')).text, (await get('/docs/none')).status]).toEqual(['the manual', 404]);
      expect(await upgraded('/ws/x', 'hello')).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nolleh$/);
    });

    test('arguments and environment arrive as they were declared', async () => {
      expect(JSON.parse((await get('/api/given')).text)).toEqual({ argv: ODD, env: { ODD: ODD.join('|') } });
    });

    test('a service is nobody in particular, and writes its data alone', async () => {
      const own = JSON.parse((await get('/api/self')).text) as { uid: number; processes: number };
      expect(own).toMatchObject({
        capabilities: '0000000000000000',
        noNewPrivileges: '1',
        seccomp: '2',
        secrets: 'KEY=hidden\n',
        folder: `${root}/releases/${first.id}`,
        written: {
          data: 'written',
          root: 'Read-only file system',
          release: 'Read-only file system',
          etc: 'Read-only file system',
          home: 'Read-only file system',
        },
      });
      expect(own).not.toMatchObject({ uid: 0 });
      expect(own.processes).toBeLessThan(4);
      expect(await told('systemctl show -p MemoryMax --value slipway-demo-api')).toBe(String(64 * 1024 * 1024));
    });

    test('units pass systemd-analyze without a word, and state what is installed', async () => {
      expect(await told('systemd-analyze verify --man=no /etc/systemd/system/slipway-demo-*.service 2>&1')).toBe('');
      expect((await agent.ok('units.diff', { release: first.id })).diff).toBe('');
    });

    test('a service that fell silent is restarted, and that is no good release', async () => {
      await told(`touch ${root}/shared/data/silent`);
      const restarts = (): Promise<string> => told('systemctl show -p NRestarts --value slipway-demo-dog');
      await until('the watchdog bit', async () => (await restarts()) === '1');
      expect(await agent.fails('release.gate', { release: first.id })).toMatchObject({
        code: 'service-ended',
        detail: textWith('dog ended'),
      });
      const { services } = await agent.ok('release.status');
      expect(services.map(({ name, state }) => [name, state])).toContainEqual(['api', 'running']);
    });

    test('declared commands run as the service does, and end with the session', async () => {
      const command = ['sh', '-c', 'id -u; grep -c NoNewPrivs:.1 /proc/self/status; touch x 2>&1; echo $$HOME'];
      const packed = release('smoke', [api()], { smoke: { argv: command } });
      const id = await stage(agent, packed);
      await agent.ok('stop-all');
      await start(agent, id, ['api']);
      agent.output = '';
      await agent.ok('release.gate', { release: id });
      expect(agent.output).toMatch(/^.*\n\d{3}\n1\ntouch: .*Read-only file system\n/);
      const long = release('long', [api()], { smoke: { argv: ['sleep', '600'] } });
      await agent.ok('stop-all');
      await start(agent, await stage(agent, long), ['api']);
      void agent.ask('release.gate', { release: long.id });
      const runs = async (): Promise<boolean> => (await told('pgrep -x sleep || true')) !== '';
      await until('the smoke test runs', runs);
      await agent.kill();
      await until('it ended with its session', async () => !(await runs()) && (await sessions()) === '');
      agent = session();
      await agent.ok('stop-all');
    });

    test('a unit that systemd finds fault with is not installed', async () => {
      const id = await stage(agent, release('odd', [api({ argv: ['/no/such/program'] })], {}));
      expect(await agent.fails('service.start', { name: 'api', release: id })).toMatchObject({
        code: 'unit-refused',
        detail: textWith('/no/such/program'),
      });
      expect(await told('cat /etc/systemd/system/slipway-demo-api.service')).not.toContain('/no/such');
    });

    test('a configuration that nginx finds fault with is not installed', async () => {
      const odd = { ...web, proxy: ['/api/', '/api/'] };
      const id = await stage(agent, release('odd web', [api()], { web: odd }));
      expect(await agent.fails('service.start', { name: 'api', release: id })).toMatchObject({
        reason: 'exit-non-zero',
      });
      expect(agent.output).toContain('duplicate location "/api/"');
    });

    test('starting often in a short time is no failing service', async () => {
      const id = await stage(agent, release('often', [api()]));
      for (let turn = 0; turn < 7; turn++) {
        await agent.ok('service.start', { name: 'api', release: id });
        await agent.ok('service.stop', { name: 'api' });
      }
    });

    test('a service that ends is told with its last words', async () => {
      const broken = pack({ 'api.py': 'raise SystemExit("no configuration")' }, { services: [api()] });
      const failure = await agent.fails('service.start', { name: 'api', release: await stage(agent, broken) });
      expect(failure).toMatchObject({
        code: 'service-ended',
        detail: 'api ended with exit status 1 before it was ready\nno configuration',
      });
      expect((await agent.ok('release.status')).running).toEqual([]);
    });

    test('another root cannot take the units of this one', async () => {
      const other = session({ run: 'other', publicPort: null }, '/srv/other');
      const id = await stage(other, release('other', [api()], {}));
      expect(await other.fails('service.start', { name: 'api', release: id })).toMatchObject({
        code: 'unit-taken',
        detail: textWith(root),
      });
      await other.ok('uninstall', { data: 'remove' });
      await other.close();
      await agent.ok('release.status');
    });

    test('a login with sudo: below its home, as itself, and what a plain supervisor left is taken over', async () => {
      const packed = release('sudo', [api({ listens: 'private' })], { name: 'sudo' });
      const as = (supervisor: 'plain' | 'systemd', sudo: readonly string[]): Agent =>
        new Agent('~/demo', { run: supervisor, supervisor, login: 'pilot' }, [
          ...sshArgv(demo, 'pilot'),
          bootstrapCommand(source, supervisor, sudo),
        ]);
      const plain = as('plain', []);
      const id = await stage(plain, packed);
      await plain.ok('write', { path: 'shared/secrets.env', content: '', mode: 0o600, step: 's' });
      await plain.ok('service.start', { name: 'api', release: id });
      await plain.close();
      const ours = as('systemd', ['sudo', '-n']);
      expect((await ours.hello).root).toBe('/home/pilot/demo');
      expect((await ours.ok('release.status')).running).toEqual(['api']);
      await ours.ok('stop-all');
      await ours.ok('service.start', { name: 'api', release: id });
      await ours.ok('release.gate', { release: id });
      const user = await told('ps -o user= -p $(systemctl show -p MainPID --value slipway-sudo-api)');
      const owners = await told(
        'cd ~pilot/demo && stat -c "%U %n" state releases shared/data shared/secrets.env cache',
      );
      expect([user, owners.split('\n')]).toEqual([
        'pilot',
        ['root state', 'root releases', 'pilot shared/data', 'pilot shared/secrets.env', 'pilot cache'],
      ]);
      await ours.ok('uninstall', { data: 'remove' });
      await ours.close();
    });

    test('after a boot the same services run, and those that were stopped do not', async () => {
      await start(agent, first.id, ['api', 'nginx']);
      await agent.ok('release.confirm', { release: first.id });
      await agent.close();
      await demo.reboot();
      address = await told('hostname -i');
      agent = session();
      await until('all runs', async () => (await agent.ok('release.status')).running.length === 2);
      const { running, services } = await agent.ok('release.status');
      expect(running).toEqual(['nginx', 'api']);
      expect(services.find(({ name }) => name === 'dog')).toMatchObject({ state: 'stopped' });
      expect((await get('/api/health')).text).toContain(first.id);
    }, 60_000);

    test('the session ends with its connection, and its status is passed on', async () => {
      expect(await agent.close()).toBe(0);
      expect(await sessions()).toBe('');
      const cut = session();
      await cut.hello;
      await told('pkill -KILL -x systemd-run');
      await cut.exited;
      await until('its unit is gone', async () => (await sessions()) === '');
      const refused = session({ run: '../x' });
      expect([await refused.exited, (await refused.hello).failure?.code]).toEqual([3, 'bad-request']);
      const guest = session({}, '/srv/guest/x', 'guest');
      expect([await guest.exited, (await guest.hello).failure?.code]).toEqual([3, 'not-root']);
    });
  },
);

/** What comes back when a connection is upgraded and something is sent. */
function upgraded(path: string, sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(HTTP, address, () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`),
    );
    let said = '';
    let asked = false;
    socket.on('data', (bytes) => {
      said += bytes.toString();
      if (!asked && said.includes('\r\n\r\n')) socket.write(sent);
      asked ||= said.includes('\r\n\r\n');
    });
    socket.on('close', () => resolve(said));
    socket.on('error', reject);
  });
}
