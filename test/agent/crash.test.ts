import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Agent, Device, nth, PYTHON, runs } from './client.ts';
import { activate, pack, stage, webRelease } from './release.ts';

/** Kills the agent just before the nth call that changes the file system; counted in children until they execute. */
const killAt = (nth: number): string => `
import os as _os, signal as _signal
_agent, _calls = _os.getpid(), [0]
def _wrap(name, real):
    def call(*args, **more):
        _calls[0] += 1
        if _calls[0] == ${String(nth)}:
            _os.kill(_agent, _signal.SIGKILL)
        return real(*args, **more)
    setattr(_os, name, call)
for _name in ("rename", "fsync", "unlink", "symlink", "mkdir", "rmdir", "fchmod"):
    _wrap(_name, getattr(_os, _name))
`;

const MOST_CALLS = 400;

/** Does an operation with a kill at each of its calls in turn (each `stride`th), looking at what is left, until one gets through. */
async function killedEverywhere(
  device: Device,
  act: (agent: Agent) => Promise<unknown>,
  look: () => Promise<void> | void,
  stride = 1,
): Promise<number> {
  for (let nth = 1; nth < MOST_CALLS; nth += stride) {
    const agent = device.session({ before: killAt(nth) });
    const done = await act(agent).then(
      () => true,
      () => false,
    );
    if (!done) expect(await agent.exited, agent.stderr).toBeNull();
    await agent.close();
    await look();
    if (done) return nth;
  }
  throw new Error('it never got through');
}

test('an upload that is killed anywhere is completed by the next one, and no half release is seen', async () => {
  const device = new Device();
  const release = pack({ a: 'one', 'sub/b': { content: 'two', mode: 0o755 }, l: { link: 'a' }, e: { folder: 0o700 } });
  const calls = await killedEverywhere(
    device,
    (agent) => stage(agent, release),
    () => {
      if (!existsSync(device.at('releases', release.id))) return;
      expect(readdirSync(device.at('releases', release.id)).sort()).toEqual(['a', 'e', 'l', 'sub']);
      expect(device.read('releases', release.id, 'sub/b')).toBe('two');
    },
    2,
  );
  expect(calls).toBeGreaterThan(20);
  expect(existsSync(device.at('incoming')) ? readdirSync(device.at('incoming')) : []).toEqual([]);
  expect((await device.session().ok('release.status')).releases).toMatchObject([{ id: release.id, state: 'staged' }]);
});

test('a discard after an upload that was killed anywhere leaves no trace of a tree', async () => {
  const device = new Device();
  const release = pack({ a: 'one' });
  for (let nth = 4; nth < 40; nth += 7) {
    const agent = device.session({ before: killAt(nth) });
    await stage(agent, release).catch(() => undefined);
    await agent.close();
    await device.session().ok('release.discard', { release: release.id });
    expect(existsSync(device.at('releases', release.id))).toBe(false);
  }
});

test('write, link and remove, killed anywhere and called again, are done; killed anywhere, restored, undone', async () => {
  const device = new Device();
  const first = device.session();
  await first.ok('write', { path: 'file', content: 'old', step: '0' });
  await first.ok('link', { path: 'current', target: 'old', step: '0l' });
  await first.ok('write', { path: 'tree/x', content: 'x', step: '0t' });
  const all = async (agent: Agent): Promise<void> => {
    await agent.ok('write', { path: 'file', content: 'new', step: 'w' });
    await agent.ok('link', { path: 'current', target: 'new', step: 'l' });
    await agent.ok('remove', { path: 'tree', step: 'r' });
  };
  await killedEverywhere(
    device,
    all,
    () => {
      expect(['old', 'new']).toContain(device.read('file'));
      expect(['old', 'new']).toContain(readlinkSync(device.at('current')));
    },
    2,
  );
  expect([device.read('file'), readlinkSync(device.at('current')), existsSync(device.at('tree'))]).toEqual([
    'new',
    'new',
    false,
  ]);
  const undo = async (agent: Agent): Promise<void> => {
    for (const [path, saved] of [
      ['tree', 'r'],
      ['current', 'l'],
      ['file', 'w'],
    ])
      await agent.ok('restore', { path, saved });
  };
  await killedEverywhere(device, undo, () => undefined, 2);
  expect([device.read('file'), readlinkSync(device.at('current')), device.read('tree/x')]).toEqual(['old', 'old', 'x']);
  expect(readdirSync(device.root).sort()).toEqual(['current', 'file', 'state', 'tree']);
});

const sql = (code: string, path: string): string =>
  execFileSync(PYTHON, ['-c', `import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); ${code}; c.commit()`, path])
    .toString()
    .trim();

test('a restore that is killed anywhere leaves the old or the new rows whole, and called again finishes', async () => {
  const device = new Device();
  const agent = device.session();
  const release = await stage(agent, pack({ a: '' }, { database: { path: 'app.db', migrate: ['true'] } }));
  mkdirSync(device.at('shared/data'), { recursive: true });
  const database = device.at('shared/data/app.db');
  sql(
    'c.execute("pragma journal_mode=wal"); c.execute("create table t(x)"); c.executemany("insert into t values(?)", [(i,) for i in range(10)])',
    database,
  );
  const { copy } = await agent.ok('data.copy', { release });
  sql('c.executemany("insert into t values(?)", [(i,) for i in range(5)])', database);
  const rows = (): string =>
    sql(
      'print(c.execute("select count(*) from t").fetchone()[0], c.execute("pragma integrity_check").fetchone()[0])',
      database,
    );
  const seen = new Set<string>();
  await killedEverywhere(
    device,
    (one) => one.ok('data.restore', { release, copy }),
    () => void seen.add(rows()),
  );
  expect([...seen]).toEqual(['15 ok', '10 ok']);
  expect(readdirSync(device.at('shared/data')).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a start that is killed anywhere leaves what the next session sees, and starts or stops whole', async () => {
  const device = new Device();
  const release = webRelease();
  const agent = device.session();
  await activate(agent, release);
  const seen: number[] = [];
  const look = async (): Promise<void> => {
    const status = await agent.ok('release.status');
    seen.push(...status.services.map((one) => one.pid ?? 0));
  };
  await killedEverywhere(device, (one) => one.ok('service.start', { name: 'web', release: release.id }), look);
  const status = await agent.ok('release.status');
  expect(status).toMatchObject({ intact: true, running: ['web'] });
  const others = execFileSync('sh', [
    '-c',
    `grep -lz "^PYTHONPYCACHEPREFIX=${device.root}/" /proc/[0-9]*/environ 2>/dev/null || true`,
  ])
    .toString()
    .trim()
    .split('\n');
  const { pid } = nth(status.services, 0);
  expect(others).toEqual([`/proc/${String(pid)}/environ`]);
  expect(seen.some((other) => other > 0 && other !== pid)).toBe(true);
  await killedEverywhere(
    device,
    (one) => one.ok('service.stop', { name: 'web' }),
    () => undefined,
  );
  expect(seen.filter((pid) => pid > 0).some(runs)).toBe(false);
});

test('confirm and unconfirm, killed anywhere and called again, are done, the release that was left included', async () => {
  const device = new Device();
  const agent = device.session();
  const [one, two] = [pack({ a: '1' }), pack({ a: '2' })];
  await activate(agent, one);
  await stage(agent, two);
  await agent.ok('link', { path: 'current', target: `releases/${two.id}`, step: 'x' });
  const states = new Set<string>();
  const look = async (): Promise<void> => {
    const { state, base, previous } = await agent.ok('release.status');
    expect(base).toBe(state === 'confirmed' ? two.id : one.id);
    states.add(`${String(state)} ${previous === null ? 'withdrawn' : 'kept'}`);
  };
  await killedEverywhere(
    device,
    (session) => session.ok('release.confirm', { release: two.id, withdraw: one.id }),
    look,
  );
  expect([...states]).toEqual(['staged kept', 'staged withdrawn', 'confirmed withdrawn']);
  expect((await agent.ok('release.status')).intact).toBe(true);
  states.clear();
  await killedEverywhere(device, (session) => session.ok('release.unconfirm', { release: two.id }), look);
  expect([...states]).toEqual(['confirmed withdrawn', 'confirmed kept', 'staged kept']);
});

test('pause and resume, killed anywhere and called again, leave nothing paused that was not', async () => {
  const device = new Device();
  const agent = device.session();
  const sh = (script: string): string[] => ['sh', '-c', script.replaceAll('FLAG', '../../shared/data/flag')];
  const safeToStop = sh(
    'if [ -e FLAG ]; then q=true; else q=false; fi; echo "{\\"safeToStop\\": true, \\"quiesced\\": $q}"',
  );
  const bot = {
    name: 'bot',
    argv: ['sleep', '60'],
    memoryMb: 1,
    quiesce: { pause: sh('touch FLAG'), resume: sh('rm -f FLAG') },
    safeToStop,
  };
  const release = await stage(agent, pack({ a: '' }, { services: [bot] }));
  mkdirSync(device.at('shared/data'), { recursive: true });
  await killedEverywhere(
    device,
    (session) => session.ok('release.pause', { release }),
    () => undefined,
  );
  expect([existsSync(device.at('shared/data/flag')), device.json('state/paused.json')]).toEqual([true, { bot: false }]);
  await killedEverywhere(
    device,
    (session) => session.ok('release.resume', { release }),
    () => undefined,
  );
  expect([existsSync(device.at('shared/data/flag')), existsSync(device.at('state/paused.json'))]).toEqual([
    false,
    false,
  ]);
});
