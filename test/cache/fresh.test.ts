import * as fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { string } from '../../lib/model/param.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { s } from '../../lib/model/schema.ts';
import { task, type Needs } from '../../lib/model/task.ts';
import { BUILD, Checkout, build, built, script } from './checkout.ts';

const source = (): Checkout => new Checkout().put('src/a', 'one').put('src/b/c', 'two');

describe('a real task', () => {
  test('is skipped when nothing changed, or only times did; runs when a content did', async () => {
    const checkout = source();
    expect((await checkout.run(build())).outcomes).toEqual(['build done']);
    expect((await checkout.run(build())).outcomes).toEqual(['build fresh']);
    fs.utimesSync(checkout.path('src/a'), new Date(), new Date());
    fs.utimesSync(checkout.path('out/a'), new Date(), new Date());
    expect((await checkout.run(build())).outcomes).toEqual(['build fresh']);
    checkout.put('src/a', 'ONE');
    const { outcomes, checks } = await checkout.run(build());
    expect(outcomes).toEqual(['build done']);
    expect(checks.get('build')).toEqual({
      state: 'stale',
      because: [{ reason: 'input', change: 'changed', path: 'src/a' }],
      store: 'missed',
    });
    expect(built(checkout)).toBe(2);
  });

  test('always runs while inputs or outputs are not declared; declared empty they are', async () => {
    const checkout = source();
    for (const spec of [{}, { inputs: [] }, { outputs: [] }]) {
      for (let time = 0; time < 2; time++)
        expect((await checkout.run(script('plain', 'true', spec)())).outcomes).toEqual(['plain done']);
    }
    const empty = script('plain', 'true', { inputs: [], outputs: [] });
    expect((await checkout.run(empty())).outcomes).toEqual(['plain done']);
    expect((await checkout.run(empty())).outcomes).toEqual(['plain fresh']);
  });

  test('is stale after it failed; what was known of it goes before its command starts', async () => {
    const checkout = source();
    await checkout.run(build());
    const known = '.slipway/state/build.json';
    checkout.put('src/fail', 'x');
    const failing = script('build', `cp ${known} .known; test ! -e src/fail || exit 1; ${BUILD}`, {
      inputs: ['src/**'],
      outputs: ['out/**'],
    });
    expect((await checkout.run(failing())).outcomes).toEqual(['build failed']);
    expect(JSON.parse(checkout.read('.known'))).toEqual({ version: 3, state: 'begun' });
    fs.rmSync(checkout.path('src/fail'));
    const { checks, outcomes } = await checkout.run(failing());
    expect(outcomes).toEqual(['build done']);
    expect(checks.get('build')).toMatchObject({ because: [{ reason: 'failed-last-time' }] });
  });

  test('keeps its key when files, globs or needs are listed in another order', async () => {
    const checkout = source().put('z', '1').put('y', '2');
    const need = (name: string) => script(name, 'true', { inputs: [], outputs: [] });
    const [one, two] = [need('one'), need('two')];
    const goal = (needs: Needs, inputs: readonly string[], outputs: readonly string[], env: readonly string[]) =>
      task('build', {
        summary: 's',
        needs,
        inputs,
        outputs,
        env,
        steps: (p) => void p.shell(BUILD, { effect: 'derives' }),
      })();
    await checkout.run(goal({ one: one(), two: two() }, ['src/**', 'y', 'z'], ['out/**', '!out/z'], ['A', 'B']));
    const again = await checkout.run(
      goal({ two: two(), one: one() }, ['z', 'src/**', 'y'], ['!out/z', 'out/**'], ['B', 'A']),
    );
    expect(again.outcomes.at(-1)).toBe('build fresh');
  });

  test('of which an output was modified, is missing or extra says so, and has it put back', async () => {
    const checkout = source();
    await checkout.run(build());
    const whole = checkout.tree('out');
    checkout.put('out/a', 'ENO').put('out/d/extra', 'x');
    fs.rmSync(checkout.path('out/b'), { recursive: true });
    const { outcomes, checks } = await checkout.run(build());
    expect(outcomes).toEqual(['build restored']);
    expect(checks.get('build')).toMatchObject({
      because: [
        { reason: 'output', change: 'modified', path: 'out/a' },
        { reason: 'output', change: 'extra', path: 'out/d/extra' },
        { reason: 'output', change: 'missing', path: 'out/b/c' },
      ],
    });
    expect(checkout.tree('out')).toEqual(whole);
    expect(built(checkout)).toBe(1);
  });

  test('is told of globs that match nothing, since nothing there would make it stale', async () => {
    const checkout = source();
    const goal = script('typo', BUILD, { inputs: ['src/**', 'srcc/**', '!lib/**', 'no.*'], outputs: ['out/**'] });
    await checkout.run(goal());
    expect((await checkout.run(goal())).checks.get('typo')).toMatchObject({ unmatched: ['srcc/**', 'no.*'] });
    checkout.put('srcc/a', '').put('no.txt', '');
    await checkout.run(goal());
    expect((await checkout.run(goal())).checks.get('typo')).not.toHaveProperty('unmatched');
  });

  test('follows a command of the project: another content makes it stale', async () => {
    const checkout = source().put('tool', '#!/bin/sh\nmkdir -p out; echo 1 > out/x', 0o755);
    const goal = task('tooled', {
      summary: 's',
      inputs: [],
      outputs: ['out/**'],
      steps: (p) => void p.run(['./tool'], { effect: 'derives' }),
    });
    await checkout.run(goal());
    fs.utimesSync(checkout.path('tool'), new Date(), new Date());
    expect((await checkout.run(goal())).outcomes).toEqual(['tooled fresh']);
    checkout.put('tool', '#!/bin/sh\nmkdir -p out; echo 2 > out/x', 0o755);
    const { outcomes, checks } = await checkout.run(goal());
    expect(outcomes).toEqual(['tooled done']);
    expect(checks.get('tooled')).toMatchObject({ because: [{ reason: 'tool', name: './tool' }] });
    // It could not be started any more: that it was fresh is no answer.
    fs.chmodSync(checkout.path('tool'), 0o644);
    expect((await checkout.run(goal())).outcomes).toEqual(['tooled failed']);
  });

  test("follows a command that only the step's own PATH finds", async () => {
    const checkout = source();
    const tool = (content: string): string => `#!/bin/sh\nmkdir -p out; echo ${content} > out/x`;
    checkout.put('bin/own-tool', tool('1'), 0o755).put('other/own-tool', tool('2'), 0o755);
    const goal = (...folders: readonly string[]) =>
      task('tooled', {
        summary: 's',
        inputs: [],
        outputs: ['out/**'],
        steps(p) {
          for (const folder of folders) {
            const PATH = `${checkout.path(folder)}:/usr/bin:/bin`;
            p.run(['own-tool'], { effect: 'derives', env: { PATH } });
          }
        },
      });
    for (const folders of [['bin'], ['other', 'bin']]) {
      await checkout.run(goal(...folders)());
      expect((await checkout.run(goal(...folders)())).outcomes).toEqual(['tooled fresh']);
      checkout.put('bin/own-tool', tool(`more ${String(folders.length)}`), 0o755);
      const { outcomes, checks } = await checkout.run(goal(...folders)());
      expect(outcomes).toEqual(['tooled done']);
      expect(checks.get('tooled')).toMatchObject({
        because: [{ reason: 'tool', change: 'changed', name: 'own-tool' }],
      });
    }
    expect(checkout.read('out/x')).toBe('more 2\n');
  });

  test('that makes a command and runs it is fresh the next time', async () => {
    const checkout = source();
    const goal = task('both', {
      summary: 's',
      inputs: ['src/**'],
      outputs: ['bin/**'],
      steps(p) {
        p.shell('mkdir -p bin; ln -sf /bin/true bin/mine', { effect: 'derives' });
        p.run(['./bin/mine'], { effect: 'reads' });
      },
    });
    expect((await checkout.run(goal())).outcomes).toEqual(['both done']);
    expect((await checkout.run(goal())).outcomes).toEqual(['both fresh']);
  });

  test('that needs one that always runs follows what that made, and what it said', async () => {
    const checkout = source();
    const stamp = task('stamp', {
      summary: 's',
      outputs: ['stamp'],
      steps(p: Recorder) {
        p.shell('cp src/a stamp', { effect: 'derives' });
        return { said: p.run(['cat', 'src/b/c'], { effect: 'reads', yields: s.string }) };
      },
    });
    const goal = task('build', {
      summary: 's',
      needs: { stamp: stamp() },
      inputs: [],
      outputs: ['out/**'],
      steps: (p, { needs }) =>
        void p.run(['sh', '-c', 'mkdir -p out; cat stamp > out/x; echo "$0" >> out/x', needs.stamp.said], {
          effect: 'derives',
        }),
    });
    expect((await checkout.run(goal())).outcomes).toEqual(['stamp done', 'build done']);
    expect((await checkout.run(goal())).outcomes).toEqual(['stamp done', 'build fresh']);
    checkout.put('src/a', 'ONE');
    expect((await checkout.run(goal())).checks.get('build')).toMatchObject({
      because: [{ reason: 'need-output', need: 'stamp' }],
    });
    checkout.put('src/b/c', 'TWO');
    expect((await checkout.run(goal())).checks.get('build')).toMatchObject({
      because: [{ reason: 'need-value', step: 'stamp/2' }],
    });
    expect(checkout.read('out/x')).toBe('ONETWO\n');
  });
});

describe('staging and production', () => {
  const deployable = task('site', {
    summary: 's',
    params: { to: string({ summary: 'target' }) },
    inputs: ['src/**'],
    outputs: ['site/**', '.env'],
    env: ['API'],
    steps: (p, { params }) =>
      void p.run(
        ['sh', '-c', 'mkdir -p site; echo "$0 $API" > site/x; echo "TO=$0" > .env; cp src/a site/a', params.to],
        {
          effect: 'derives',
        },
      ),
  });

  test('never stand in for each other, neither by target nor by variable', async () => {
    const checkout = source();
    const made = async (to: string, api: string): Promise<string> => {
      checkout.variables.set('API', api);
      await checkout.run(deployable({ to }));
      return checkout.read('site/x');
    };
    for (let time = 0; time < 2; time++) {
      expect(await made('staging', 'a')).toBe('staging a\n');
      expect(await made('production', 'a')).toBe('production a\n');
      expect(await made('production', 'b')).toBe('production b\n');
      expect(await made('staging', 'b')).toBe('staging b\n');
    }
  });

  test('an .env output that was edited by hand is not fresh', async () => {
    const checkout = source();
    await checkout.run(deployable({ to: 'staging' }));
    checkout.put('.env', 'TO=production\n');
    const { outcomes, checks } = await checkout.run(deployable({ to: 'staging' }));
    expect(outcomes).toEqual(['site(to=staging) restored']);
    expect(checks.get('site(to=staging)')).toMatchObject({
      because: [{ reason: 'output', change: 'modified', path: '.env' }],
    });
    expect(checkout.read('.env')).toBe('TO=staging\n');
  });
});
