import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { underTraffic, postOrder } from './api.ts';
import { BASE_MS } from './base.ts';
import type { Rows } from './board.ts';
import type { Ended } from './command.ts';
import { Platform } from './platform.ts';
import { expectNoSecrets, expectSound, firewall } from './sound.ts';

// A deploy of the whole platform takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: BASE_MS });

const BACKEND = 'examples/jetson/backend';
const NOTHING: Rows = { orders: 0, candles: 0, clientOrderIds: [] };

describe('twelve deploys in a row, four of them broken', () => {
  let platform: Platform;
  /** The releases that were good, in order. */
  const good: string[] = [];
  const last = (): string => good.at(-1) ?? '';
  const wall = firewall();

  beforeAll(async () => {
    platform = await Platform.create();
  });

  afterAll(async () => {
    await platform.stop();
    expect(platform.board.listening()).toEqual([]);
    expect(firewall()).toEqual(wall);
  });

  /** Deploys while a client goes on placing orders, and looks at everything that must hold afterwards. */
  const deploy = async (
    name: string,
    expected: { readonly status: number; readonly paused?: boolean; readonly goals?: readonly string[] },
  ): Promise<Ended> => {
    const before = platform.board.rows();
    const { value, accepted } = await underTraffic(platform.board, name, () =>
      platform.run(...(expected.goals ?? ['deploy'])),
    );
    expect(value, value.stdout + value.stderr).toMatchObject({ status: expected.status });
    if (expected.status === 0) good.push(platform.board.current());
    await expectSound(platform, last(), { before, accepted, ...expected });
    expectNoSecrets(platform, value.stdout, value.stderr);
    return value;
  };

  test('1: the first', async () => {
    const first = await platform.run('deploy');
    expect(first, first.stdout).toMatchObject({ status: 0 });
    good.push(platform.board.current());
    await expectSound(platform, last(), { before: NOTHING });
    expect(first.stderr).toContain(
      `rehearsal: release ${last()} is current (confirmed), exchange, backend, fetcher, trader running at http://127.0.0.1:${String(platform.board.ports()['backend'])}/`,
    );
    expect(first.stderr).toContain('REHEARSAL: nothing reached a real board');
  });

  test('2: a changed source', async () => {
    expect(await postOrder(platform.board, { id: 'mine', limit: '999999' })).toBe(201);
    platform.edit(`${BACKEND}/fetcher/loop.py`, /$/, '\n# changed\n');
    await deploy('changed', { status: 0 });
    expect(new Set(good).size).toBe(2);
    expect(platform.board.rows().clientOrderIds).toContain('mine');
  });

  test('3, broken: it crashes at its start', async () => {
    const mend = platform.edit(
      `${BACKEND}/platform_cli/services.py`,
      'def trade(arguments) -> int:\n',
      'def trade(arguments) -> int:\n    raise SystemExit("no way to trade")\n',
    );
    const crashed = await deploy('crash', { status: 1 });
    expect(crashed.stdout).toContain('no way to trade');
    mend();
  });

  test('4: a changed configuration, of the platform and of a service', async () => {
    platform.edit('examples/jetson/configs/platform_config.yaml', 'backfill_candles: 240', 'backfill_candles: 120');
    platform.edit('tasks/platform.ts', 'memoryMb: 400', 'memoryMb: 380');
    await deploy('config', { status: 0 });
    expect(new Set(good).size).toBe(3);
  });

  test('5, broken: it never is healthy, and what the operator had paused stays paused', async () => {
    expect(await platform.onBoard('trade-quiesce')).toMatchObject({ status: 0 });
    const mend = platform.edit(
      `${BACKEND}/platform_backend/health_views.py`,
      'body = await sync_to_async(readiness)()',
      'body = {**await sync_to_async(readiness)(), "release": "another"}',
    );
    const ill = await deploy('ill', { status: 1, paused: true });
    expect(ill.stdout).toContain('refused (unhealthy)');
    expect(ill.stdout).toMatch(/unhealthy.*backend.*another/);
    mend();
  });

  test('6: a migration that adds a column; still paused, until the operator resumes', async () => {
    platform.edit(
      `${BACKEND}/orders/models.py`,
      '    created_at = models',
      '    note = models.CharField(max_length=80, blank=True, default="", db_default="")\n    created_at = models',
    );
    const migration = [
      'from django.db import migrations, models',
      '',
      '',
      'class Migration(migrations.Migration):',
      '    dependencies = [("orders", "0003_new_is_pending")]',
    ];
    const field =
      '    operations = [migrations.AddField("Order", "note", models.CharField(max_length=80, blank=True, default="", db_default=""))]';
    platform.write(`${BACKEND}/orders/migrations/0004_note.py`, [...migration, field, ''].join('\n'));
    const migrated = await deploy('column', { status: 0, paused: true });
    expect(migrated.stdout).toContain('applied orders.0004_note');
    expect(await platform.onBoard('trade-resume')).toMatchObject({ status: 0 });
  });

  test('7, broken: a migration that fails half way leaves the data as it was', async () => {
    const path = `${BACKEND}/orders/migrations/0005_breaks.py`;
    const lines = [
      'from django.db import migrations',
      '',
      '',
      'def breaks(apps, schema_editor):',
      '    apps.get_model("orders", "Order").objects.all().delete()',
      '    raise RuntimeError("no way to migrate")',
      '',
      '',
    ];
    const body = [
      'class Migration(migrations.Migration):',
      '    atomic = False',
      '    dependencies = [("orders", "0004_note")]',
      '    operations = [migrations.RunPython(breaks)]',
      '',
    ];
    platform.write(path, [...lines, ...body].join('\n'));
    const failed = await deploy('breaks', { status: 1 });
    expect(failed.stdout).toContain('no way to migrate');
    platform.remove(path);
  });

  test('8: unchanged, nothing is sent and nothing is restarted', async () => {
    // What failed last is no longer there: that is packed first.
    expect(await platform.run('build')).toMatchObject({ status: 0 });
    const pids = platform.board.processes();
    const journal = platform.board.journal();
    const fresh = await deploy('unchanged', { status: 0 });
    expect(good.at(-1)).toBe(good.at(-2));
    expect(platform.board.processes()).toEqual(pids);
    expect(platform.board.journal()).toEqual(journal);
    expect(fresh.stdout).not.toMatch(/upload|changes|derives/);
    expect(fresh.stdout.match(/fresh$/gm)).toHaveLength(7);
  });

  test('9, broken: an order that never fills is named, and nothing is touched', async () => {
    const pids = platform.board.processes();
    expect(await postOrder(platform.board, { id: 'never', limit: '0.01' })).toBe(201);
    const mend = platform.edit(`${BACKEND}/fetcher/loop.py`, /$/, '\n# not now\n');
    const refused = await deploy('open', { status: 3 });
    expect(refused.stdout).toMatch(
      /not safe to stop on rehearsal: .*order \d+ BUY 0\.001 ETH-USD limit 0\.01 \(age \d+ s\)/,
    );
    expect(platform.board.processes()).toEqual(pids);
    expect(await platform.onBoard('cancel-order', 'never')).toMatchObject({ status: 0 });
    mend();
  });

  test('10: only the secrets changed', async () => {
    const old = platform.board.secret('PLATFORM_API_TOKEN');
    const pids = platform.board.processes().map(({ pid }) => pid);
    const secrets = ['DJANGO_SECRET_KEY', 'EXCHANGE_API_KEY', 'PLATFORM_API_TOKEN'].map(
      (name) => `${name}=${'rotated'.repeat(6)}${name.toLowerCase()}\n`,
    );
    platform.write('.env.rehearsal', secrets.join(''));
    await deploy('secrets', { status: 0 });
    expect(good.at(-1)).toBe(good.at(-2));
    expect(platform.board.processes().filter(({ pid }) => pids.includes(pid))).toEqual([]);
    expect(await postOrder(platform.board, { id: 'old-token', limit: '999999', token: old })).toBe(401);
    expect(await postOrder(platform.board, { id: 'new-token', limit: '999999' })).toBe(201);
  });

  test('11: back to the release before', async () => {
    await deploy('back', { status: 0, goals: ['rollback'] });
    expect(good.at(-1)).toBe(good[2]);
  });

  test('12: forward again, and nothing is left to recover', async () => {
    await deploy('forward', { status: 0 });
    expect(good.at(-1)).toBe(good[3]);
    expect(await platform.run('recover')).toMatchObject({ status: 0, stderr: 'nothing to recover\n' });
    expect(Object.values(platform.board.states()).sort()).toEqual(expect.arrayContaining(['confirmed', 'failed']));
  });

  test('and no way back past a migration of which nobody says that older code can run on it', async () => {
    const lines = [
      'from django.db import migrations',
      '',
      '',
      'class Migration(migrations.Migration):',
      '    dependencies = [("orders", "0004_note")]',
      '    operations = [migrations.RunPython(migrations.RunPython.noop)]',
      '',
    ];
    platform.write(`${BACKEND}/orders/migrations/0005_alters.py`, lines.join('\n'));
    await deploy('alters', { status: 0 });
    const pids = platform.board.processes();
    const refused = await deploy('no way back', { status: 3, goals: ['rollback'] });
    expect(refused.stdout).toContain(
      `cannot run on the database of rehearsal as it is now: orders.0005_alters is applied (Raw Python operation); releases here that can: ${last()}`,
    );
    expect(platform.board.processes()).toEqual(pids);
  });
});
