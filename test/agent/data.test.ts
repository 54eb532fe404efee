import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { type Agent, Device, given, PYTHON, textLike, textWith, until } from './client.ts';
import { pack, stage } from './release.ts';

/** Runs Python with a database; what it prints. */
const python = (code: string, ...args: string[]): string =>
  execFileSync(PYTHON, ['-c', `import sqlite3, sys, os\n${code}`, ...args])
    .toString()
    .trim();

const make = (path: string, rows: number): string =>
  python(
    'c = sqlite3.connect(sys.argv[1]); c.execute("pragma journal_mode=wal"); c.execute("create table t(x)"); c.executemany("insert into t values(?)", [(i,) for i in range(int(sys.argv[2]))]); c.commit()',
    path,
    String(rows),
  );

const count = (path: string): number =>
  Number(python('print(sqlite3.connect(sys.argv[1]).execute("select count(*) from t").fetchone()[0])', path));

/** A migration that adds rows and a column, commits, and then exits with `status`. */
const MIGRATE = `
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("pragma journal_mode=wal")
c.execute("create table if not exists t(x)")
c.execute("insert into t values (-1)")
c.commit()
print("migrated for", os.environ["RELEASE_ID"], os.environ["MODE"], flush=True)
os._exit(int(sys.argv[2]))
`;

async function prepared(status = 0): Promise<{ device: Device; agent: Agent; release: string; database: string }> {
  const device = new Device();
  const agent = device.session();
  const argv = ['python3', 'migrate.py', [{ path: 'data' }, '/app.db'], String(status)];
  const release = await stage(
    agent,
    pack({ 'migrate.py': MIGRATE }, { database: { path: 'app.db', migrate: argv, env: { MODE: 'test' } } }),
  );
  mkdirSync(device.at('shared/data'), { recursive: true });
  return { device, agent, release, database: device.at('shared/data/app.db') };
}

/** A process that keeps the database open; in another one, so that it really is another. */
async function opener(database: string, code: string): Promise<() => Promise<void>> {
  const child = spawn(
    PYTHON,
    ['-c', `import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1], timeout=30)\n${code}`, database],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return async () => {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  };
}

/** A copy that was made. */
async function copied(agent: Agent, release: string): Promise<{ copy: string; bytes: number }> {
  const { copy, bytes } = await agent.ok('data.copy', { release });
  return { copy: given(copy), bytes };
}

test('without a database there is no copy', async () => {
  const { agent, release } = await prepared();
  expect(await agent.ok('data.copy', { release })).toEqual({ copy: null, bytes: 0 });
  const none = await stage(agent, pack({ a: 'x' }));
  expect(await agent.ok('data.copy', { release: none })).toEqual({ copy: null, bytes: 0 });
  await agent.ok('data.migrate', { release: none, timeoutMs: 1000 });
  await agent.ok('data.restore', { release: none, copy: null });
});

test('a copy beside a live writer is one checked file, which drop-copy leaves there', async () => {
  const { device, agent, release, database } = await prepared();
  make(database, 500);
  const stop = await opener(
    database,
    'c.execute("pragma synchronous=off")\nprint("writes", flush=True)\nwhile True:\n    c.execute("insert into t values (1)"); c.commit()',
  );
  const { copy, bytes } = await copied(agent, release);
  expect(copy).toBe(`copies/${release}.run-1.sqlite3`);
  expect([statSync(device.at(copy)).size, statSync(device.at(copy)).mode & 0o777]).toEqual([bytes, 0o600]);
  const about = device.json<{ counts: { t: number } }>('copies', `${release}.run-1.json`);
  expect(about).toMatchObject({ release, journalMode: 'wal', bytes, sha256: textLike(/^[0-9a-f]{64}$/) });
  expect(about.counts.t).toBeGreaterThanOrEqual(500);
  expect(
    python(
      'c = sqlite3.connect(sys.argv[1]); print(c.execute("pragma journal_mode").fetchone()[0], c.execute("select count(*) from t").fetchone()[0])',
      device.at(copy),
    ),
  ).toBe(`delete ${String(about.counts.t)}`);
  expect(readdirSync(device.at('copies')).sort()).toEqual([`${release}.run-1.json`, `${release}.run-1.sqlite3`]);
  await stop();
  await agent.ok('data.drop-copy', { release });
  expect(readdirSync(device.at('copies'))).toHaveLength(2);
});

test('drop-copy removes what its own run left unfinished, and nothing else', async () => {
  const { device, agent, release, database } = await prepared();
  make(database, 5);
  const first = await copied(agent, release);
  const next = device.session({ run: 'run-2' });
  const second = await copied(next, release);
  expect(second.copy).toBe(`copies/${release}.run-2.sqlite3`);
  rmSync(device.at('copies', `${release}.run-2.json`));
  await agent.ok('data.drop-copy', { release });
  expect(existsSync(device.at(second.copy))).toBe(true);
  for (let call = 0; call < 2; call += 1) await next.ok('data.drop-copy', { release });
  expect(readdirSync(device.at('copies')).sort()).toEqual([`${release}.run-1.json`, `${release}.run-1.sqlite3`]);
  await agent.ok('data.restore', { release, copy: first.copy });
});

test('no migration while another process has the database open', async () => {
  const { agent, release, database } = await prepared();
  make(database, 5);
  const stop = await opener(
    database,
    'c.execute("select * from t").fetchone(); print("open", flush=True); time.sleep(60)',
  );
  expect(await agent.fails('data.migrate', { release, timeoutMs: 20_000 })).toMatchObject({
    reason: 'device-refused',
    code: 'database-open',
  });
  await stop();
  expect(count(database)).toBe(5);
  await agent.ok('data.migrate', { release, timeoutMs: 20_000 });
  expect(count(database)).toBe(6);
});

test('a database whose rows refer to nothing is not copied', async () => {
  const { device, agent, release, database } = await prepared();
  python(
    'c = sqlite3.connect(sys.argv[1]); c.executescript("create table p(id primary key); create table k(p references p(id)); insert into k values (7)")',
    database,
  );
  expect(await agent.fails('data.copy', { release })).toMatchObject({
    code: 'database-damaged',
    detail: textWith('k'),
  });
  expect(readdirSync(device.at('copies'))).toEqual([]);
});

test('a migration is streamed, in the release; one that fails is undone by the copy', async () => {
  const { device, agent, release, database } = await prepared(3);
  make(database, 100);
  const { copy } = await copied(agent, release);
  expect(await agent.fails('data.migrate', { release, timeoutMs: 20_000 })).toMatchObject({
    reason: 'exit-non-zero',
    exitCode: 3,
  });
  expect(agent.output).toContain(`migrated for ${release} test`);
  expect(count(database)).toBe(101);
  for (let call = 0; call < 2; call += 1) {
    await agent.ok('data.restore', { release, copy });
    expect(count(database)).toBe(100);
  }
  expect(python('print(sqlite3.connect(sys.argv[1]).execute("pragma journal_mode").fetchone()[0])', database)).toBe(
    'wal',
  );
  expect(readdirSync(device.at('shared/data')).filter((name) => !/^app\.db(-wal|-shm)?$/.test(name))).toEqual([]);
});

test('restore is refused while a process has the database open, and changes nothing', async () => {
  const { device, agent, release, database } = await prepared();
  make(database, 10);
  const { copy } = await copied(agent, release);
  const stop = await opener(
    database,
    'c.execute("insert into t values (1)"); c.commit(); print("open", flush=True); time.sleep(60)',
  );
  expect(await agent.fails('data.restore', { release, copy })).toMatchObject({
    reason: 'device-refused',
    code: 'database-open',
  });
  expect(await agent.fails('data.restore', { release, copy: null })).toMatchObject({ code: 'database-open' });
  expect(count(database)).toBe(11);
  await stop();
  await agent.ok('data.restore', { release, copy });
  expect(count(database)).toBe(10);
  expect(readdirSync(device.at('shared/data')).some((name) => name.startsWith('.slipway'))).toBe(false);
});

test('a left-over log, whole or partial, is not played into the restored database', async () => {
  for (const cut of [false, true]) {
    const { agent, release, database } = await prepared();
    make(database, 50);
    const { copy } = await copied(agent, release);
    const stop = await opener(
      database,
      'c.execute("pragma wal_autocheckpoint=0"); c.executemany("insert into t values(?)", [(i,) for i in range(1000)]); c.commit(); print("open", flush=True); time.sleep(60)',
    );
    await stop();
    if (cut) truncateSync(`${database}-wal`, Math.floor(statSync(`${database}-wal`).size * 0.6));
    expect(statSync(`${database}-wal`).size).toBeGreaterThan(1000);
    await agent.ok('data.restore', { release, copy });
    expect(count(database)).toBe(50);
  }
});

test('an unfinished transaction of a killed migration is not played into the restored database', async () => {
  const { agent, release, database } = await prepared();
  python(
    'c = sqlite3.connect(sys.argv[1]); c.execute("create table t(x)"); c.executemany("insert into t values(?)", [("y" * 500,) for i in range(2000)]); c.commit()',
    database,
  );
  const { copy } = await copied(agent, release);
  const stop = await opener(
    database,
    'c.execute("pragma cache_size=2"); c.execute("begin"); c.execute("update t set x = x || 1"); print("open", flush=True); time.sleep(60)',
  );
  await stop();
  expect(existsSync(`${database}-journal`)).toBe(true);
  await agent.ok('data.restore', { release, copy });
  expect(existsSync(`${database}-journal`)).toBe(false);
  expect(
    python(
      'c = sqlite3.connect(sys.argv[1]); print(c.execute("pragma integrity_check").fetchone()[0], c.execute("select count(*) from t where length(x) = 500").fetchone()[0])',
      database,
    ),
  ).toBe('ok 2000');
});

test('a database too damaged to open, or gone while its log stayed, is replaced; the rest is kept aside', async () => {
  const { device, agent, release, database } = await prepared();
  make(database, 50);
  const { copy } = await copied(agent, release);
  writeFileSync(database, 'no database at all'.repeat(1000));
  await agent.ok('data.restore', { release, copy });
  expect(count(database)).toBe(50);
  const stop = await opener(
    database,
    'c.execute("pragma wal_autocheckpoint=0"); c.execute("insert into t values (1)"); c.commit(); print("open", flush=True); time.sleep(60)',
  );
  await stop();
  rmSync(database);
  await agent.ok('data.restore', { release, copy });
  expect(count(database)).toBe(50);
  expect(readdirSync(device.at('copies')).filter((name) => name.startsWith('aside-')).length).toBeGreaterThanOrEqual(2);
});

test('a copy that is not what it was is refused', async () => {
  const { device, agent, release, database } = await prepared();
  make(database, 5);
  const { copy } = await copied(agent, release);
  const content = readFileSync(device.at(copy));
  writeFileSync(device.at(copy), Buffer.concat([content, Buffer.from('x')]));
  expect(await agent.fails('data.restore', { release, copy })).toMatchObject({
    reason: 'checksum-mismatch',
    path: copy,
  });
  for (const other of [
    'shared/data/app.db',
    `copies/${'0'.repeat(16)}.run-1.sqlite3`,
    `copies/${release}.run-1.json`,
    `copies/${release}.run-1/../x.sqlite3`,
  ]) {
    expect(await agent.fails('data.restore', { release, copy: other })).toMatchObject({ code: 'bad-request' });
  }
  rmSync(device.at('copies', `${release}.run-1.json`));
  expect(await agent.fails('data.restore', { release, copy })).toMatchObject({ code: 'no-copy' });
  expect(count(database)).toBe(5);
});

test('where there was no database, a half-made one is moved aside', async () => {
  const { device, agent, release, database } = await prepared(1);
  await agent.fails('data.migrate', { release, timeoutMs: 20_000 });
  expect(existsSync(database)).toBe(true);
  for (let call = 0; call < 2; call += 1) await agent.ok('data.restore', { release, copy: null });
  expect(readdirSync(device.at('shared/data'))).toEqual([]);
  expect(readdirSync(device.at('copies')).some((name) => name.startsWith('aside-'))).toBe(true);
});

test('a migration that a killed agent left running is ended before the copy goes back', async () => {
  const { device, agent, database } = await prepared();
  make(database, 20);
  const code = `import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1])\nprint("x", flush=True)\nwhile True:\n    c.execute("insert into t values (1)"); c.commit(); time.sleep(0.01)`;
  const slow = await stage(
    agent,
    pack(
      { 'm.py': code },
      { database: { path: 'app.db', migrate: ['python3', 'm.py', [{ path: 'data' }, '/app.db']] } },
    ),
  );
  const { copy } = await copied(agent, slow);
  void agent.ask('data.migrate', { release: slow, timeoutMs: 60_000 });
  await until('it writes', () => count(database) > 21);
  await agent.kill();
  await device.session().ok('data.restore', { release: slow, copy });
  expect(count(database)).toBe(20);
});
