import * as fs from 'node:fs';
import { expect, test } from 'vitest';
import { StepFailed } from '../../lib/model/failure.ts';
import type { OpaqueBody } from '../../lib/model/opaque.ts';
import { s } from '../../lib/model/schema.ts';
import { lives, pidIn, rig, step, until, type Rig, type RigOptions } from './rig.ts';

function opaque(body: OpaqueBody, options: RigOptions = {}): Rig & { perform(more?: object): Promise<unknown> } {
  const r = rig({ ...options, opaque: { 't/1': body } });
  const perform = async (more: object = {}): Promise<unknown> => {
    const performed = await r.host.perform(
      step('opaque', { name: 'body', source: '' }, { yields: s.json, ...more }),
      r.performing,
    );
    return performed.ok ? { value: performed.fact.value } : performed.failure;
  };
  return { ...r, perform };
}

test('zx quotes, runs in the project with the strict environment, and its output is masked', async () => {
  process.env['SLIPWAY_TEST_LEAK'] = 'leak';
  const r = opaque(
    async ({ $ }) => {
      const odd = "a 'b' $c";
      const said = await $`printf %s ${odd}`;
      await $`echo $DECLARED; printenv SLIPWAY_TEST_LEAK || true; pwd; echo hunter22 >&2`;
      return { said: said.stdout };
    },
    { env: { DECLARED: 'yes' }, secrets: { A: 'hunter22' } },
  );
  expect(await r.perform()).toEqual({ value: { said: "a 'b' $c" } });
  delete process.env['SLIPWAY_TEST_LEAK'];
  expect(r.shown('stdout')).toBe(`a 'b' $cyes\n${r.dir}\n`);
  expect(r.shown('stderr')).toBe('***\n');
  expect(r.log()).toContain('***');
});

test('what its commands print at the same time is all in its log', async () => {
  // Each waits for the other's line before it prints the next.
  const turns = (mine: string, other: string): string =>
    `for i in 1 2 3; do echo ${mine} $i; touch ${mine}$i; until test -e ${other}$i; do sleep 0.01; done; done`;
  const r = opaque(async ({ $ }) => {
    await Promise.all([$`sh -c ${turns('left', 'right')}`, $`sh -c ${turns('right', 'left')}`]);
  });
  expect(await r.perform()).toEqual({ value: null });
  const lines = [1, 2, 3].flatMap((n) => [`left ${String(n)}`, `right ${String(n)}`]);
  expect(r.log().trim().split('\n').sort()).toEqual(lines.sort());
});

test('nothing stands on standard input', async () => {
  const r = opaque(async ({ $ }) => (await $`cat; echo end`).stdout);
  expect(await r.perform({ timeoutMs: 3_000 })).toEqual({ value: 'end\n' });
});

test('what it throws is a failure', async () => {
  expect(await opaque(async ({ $ }) => void (await $`echo why >&2; exit 5`)).perform()).toMatchObject({
    reason: 'exit-non-zero',
    command: 'echo why >&2; exit 5',
    exitCode: 5,
    tail: ['why'],
  });
  expect(await opaque(async ({ $ }) => void (await $`kill -9 $$`)).perform()).toMatchObject({
    reason: 'killed-by-signal',
    signal: 'SIGKILL',
  });
  expect(
    await opaque(() => Promise.reject(new TypeError('a hunter22 b')), { secrets: { A: 'hunter22' } }).perform(),
  ).toEqual({ reason: 'broken', message: 'a *** b' });
  expect(await opaque(() => Promise.reject(new StepFailed({ reason: 'refused', message: 'no' }))).perform()).toEqual({
    reason: 'refused',
    message: 'no',
  });
  expect(await opaque(() => Promise.resolve()).perform({ id: 't/2' })).toMatchObject({ reason: 'broken' });
  expect(await opaque(() => Promise.resolve('text')).perform({ yields: s.number })).toMatchObject({
    reason: 'unexpected-value',
    expected: 'number',
  });
});

test('a cancel ends its processes, KILL for those that ignore it', async () => {
  const r = opaque(
    async ({ $, signal }) => {
      (signal as AbortSignal).addEventListener('abort', () => fs.writeFileSync(r.path('aborted'), ''));
      await $`trap '' INT TERM HUP; echo $$ > pid; while :; do sleep 0.1; done`;
    },
    { graceMs: 100 },
  );
  const performed = r.perform();
  const pid = await pidIn(r.path('pid'));
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' });
  expect(await performed).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
  expect(lives(pid)).toBe(false);
  expect(fs.existsSync(r.path('aborted'))).toBe(true);
});

test('a body that never ends is given up, and one that goes on starts nothing more', async () => {
  let later: unknown = 'not yet';
  const r = opaque(
    async ({ $ }) => {
      await $`echo $$ > pid; sleep 60`.then(undefined, () => undefined);
      later = await $`echo late > late`.then(
        () => 'ran',
        () => 'refused',
      );
      await new Promise(() => undefined);
    },
    { graceMs: 100 },
  );
  expect(await r.perform({ timeoutMs: 300, summary: 'dig' })).toEqual({
    reason: 'timed-out',
    what: 'dig',
    timeoutMs: 300,
  });
  await until('the second command', () => later !== 'not yet');
  expect(later).toBe('refused');
  expect(fs.existsSync(r.path('late'))).toBe(false);
});

test('what it left running is ended with it', async () => {
  const r = opaque(async ({ $ }) => {
    void $`echo $$ > pid; sleep 60`.then(undefined, () => undefined);
    await until('the pid', () => fs.existsSync(r.path('pid')));
  });
  expect(await r.perform()).toEqual({ value: null });
  expect(lives(await pidIn(r.path('pid')))).toBe(false);
});

test('what zx keeps in memory is bounded', async () => {
  const r = opaque(async ({ $ }) => void (await $`yes`));
  expect(await r.perform()).toMatchObject({
    reason: 'unexpected-value',
    at: 'stdout',
    expected: 'at most 16777216 bytes',
  });
}, 20_000);
