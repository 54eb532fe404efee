import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CancelSource, NEVER } from '../../lib/engine/cancel.ts';
import { ownIdentity } from '../../lib/host/identity.ts';
import { openTurns } from '../../lib/host/turns.ts';
import { tempDir } from '../host/rig.ts';
import { inProject, TSX } from '../e2e/project.ts';

const TURNS = new URL('../../lib/host/turns.ts', import.meta.url).href;
const CANCEL = new URL('../../lib/engine/cancel.ts', import.meta.url).href;

/** Another process that has a turn on these outputs, until it is told to end. */
async function holder(
  slipwayDir: string,
  outputs: readonly string[],
): Promise<{ pid: number; kill(): Promise<void>; end(): Promise<void> }> {
  const script = `
    import { createConnection } from 'node:net';
    import { openTurns } from ${JSON.stringify(TURNS)};
    import { NEVER } from ${JSON.stringify(CANCEL)};
    const leave = await openTurns(${JSON.stringify(slipwayDir)}, 'other').take('theirs', ${JSON.stringify(outputs)}, NEVER, () => {});
    const socket = createConnection(process.env.DIAL);
    socket.write('has it');
    socket.on('data', () => { leave(); socket.end(); });
  `;
  const path = join(slipwayDir, '..', 'dial');
  const server = createServer();
  const dialled = new Promise<import('node:net').Socket>((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const child = spawn(process.execPath, ['--import', TSX, '--input-type=module', '-e', script], {
    env: { ...process.env, DIAL: path },
    stdio: 'inherit',
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  onTestFinished(() => (child.kill('SIGKILL'), server.close(), undefined));
  const socket = await dialled;
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('data', resolve));
  return {
    pid: child.pid ?? 0,
    kill: () => (child.kill('SIGKILL'), gone),
    end: () => (socket.write('end'), gone),
  };
}

describe('outputs that another run makes', () => {
  const slipway = (): string => {
    const dir = join(tempDir(), '.slipway');
    fs.mkdirSync(dir);
    return dir;
  };

  test.each(['end', 'kill'] as const)('are waited for, and it says for whom; then: %s', async (how) => {
    const dir = slipway();
    const other = await holder(dir, ['out/**']);
    const told: string[] = [];
    let mine: (() => void) | null = null;
    const waits = new Promise<void>((resolve) => {
      void openTurns(dir, 'r1')
        .take('mine', ['out/deep/x'], NEVER, (who) => (told.push(who), resolve()))
        .then((leave) => (mine = leave));
    });
    await waits;
    expect(told).toEqual([`theirs of run other (process ${String(other.pid)})`]);
    expect(mine).toBe(null);
    await other[how]();
    await expect.poll(() => mine).not.toBe(null);
    expect(fs.readdirSync(join(dir, 'turns'))).toHaveLength(1);
    (mine as unknown as () => void)();
    expect(fs.readdirSync(join(dir, 'turns'))).toEqual([]);
  });

  test('are waited for, and it says what to do, where nobody can tell whether that run lives', async () => {
    const dir = slipway();
    const path = join(dir, 'turns', 'r0 theirs.json');
    fs.mkdirSync(join(dir, 'turns'));
    const claim = { ...ownIdentity(), pid: 7, space: 'pid:[1]', run: 'r0', task: 'theirs', roots: ['out'] };
    fs.writeFileSync(path, JSON.stringify(claim));
    const told: string[] = [];
    const leave = await openTurns(dir, 'r1').take('mine', ['out/x'], NEVER, (who) => {
      told.push(who);
      fs.rmSync(path);
    });
    leave?.();
    expect(told).toEqual([`theirs of run r0 (process 7 in another container; if that is surely gone, remove ${path})`]);
  });

  test('that do not overlap are not waited for', async () => {
    const dir = slipway();
    const other = await holder(dir, ['out/a/**', 'top']);
    const leave = await openTurns(dir, 'r1').take('mine', ['out/ab/**', 'topping', 'out/b/*.js'], NEVER, (who) => {
      throw new Error(who);
    });
    leave?.();
    await other.end();
  });

  test('are waited for until the run is cancelled', async () => {
    const dir = slipway();
    const other = await holder(dir, ['**']);
    const cancel = new CancelSource();
    const turn = openTurns(dir, 'r1').take('mine', ['x'], cancel, () =>
      cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' }),
    );
    expect(await turn).toBe(null);
    await other.end();
  });

  test('of a run that one of its tasks started this one are not waited for', async () => {
    const dir = slipway();
    const other = await holder(dir, ['out/**']);
    const leave = await openTurns(dir, 'r1', ['outermost', 'other', 'between']).take(
      'mine',
      ['out/**'],
      NEVER,
      (who) => {
        throw new Error(who);
      },
    );
    leave?.();
    await other.end();
  });

  test('of runs in which this one is nested, however deep, are not waited for', async () => {
    const tasks = `import { main, task } from 'slipway';
const nested = (name) => [process.execPath, '--import', ${JSON.stringify(TSX)}, 'tasks.ts', name];
const a = task('a', { summary: 'a', outputs: ['out/**'], steps: (p) => void p.run(nested('b'), { effect: 'derives' }) });
const b = task('b', { summary: 'b', steps: (p) => void p.run(nested('c'), { effect: 'derives' }) });
const c = task('c', { summary: 'c', outputs: ['out/c'], steps: (p) => void p.shell('mkdir -p out; echo c > out/c', { effect: 'derives' }) });
await main(import.meta, { tasks: [a, b, c] });`;
    await inProject({ tasks }, async (project) => {
      expect(await project.run(['a'])).toMatchObject({ status: 0 });
      expect(project.read('out/c')).toBe('c\n');
    });
  });

  test('of the same run never wait for each other', async () => {
    const dir = slipway();
    const turns = openTurns(dir, 'r1');
    const leaves = await Promise.all([
      turns.take('a', ['out/**'], NEVER, () => undefined),
      turns.take('b', ['out/**'], NEVER, () => undefined),
    ]);
    for (const leave of leaves) leave?.();
    expect(fs.readdirSync(join(dir, 'turns'))).toEqual([]);
  });
});
