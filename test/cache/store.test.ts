import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openKeptOutputs } from '../../lib/host/kept-outputs.ts';
import { BUILD, Checkout, build, built, keptFiles, script } from './checkout.ts';

/** A checkout whose outputs were made from `one`, then from `two`: those of `one` are only kept. */
async function twice(): Promise<Checkout> {
  const checkout = new Checkout().put('src/a', 'one').put('src/b/c', 'same', 0o755);
  fs.mkdirSync(checkout.path('src/empty'));
  fs.symlinkSync('../secret', checkout.path('src/link'));
  fs.symlinkSync('/nowhere', checkout.path('src/lost'));
  checkout.put('secret/x', 'precious');
  await checkout.run(build());
  checkout.put('src/a', 'two').put('src/new', 'n');
  await checkout.run(build());
  return checkout;
}

const back = (checkout: Checkout): Checkout => {
  checkout.put('src/a', 'one');
  fs.rmSync(checkout.path('src/new'), { force: true });
  return checkout;
};

describe('what is kept', () => {
  test('comes back whole: contents, modes, times, links as links, empty folders; nothing else stays', async () => {
    const checkout = await twice();
    const time = fs.statSync(checkout.path('out/b/c')).mtimeMs;
    checkout.put('out/stray/deep/x', 'x');
    expect((await back(checkout).run(build())).outcomes).toEqual(['build restored']);
    expect(checkout.tree('out')).toEqual({
      a: 'one',
      'b/c': 'same',
      'empty/': '',
      link: '-> ../secret',
      lost: '-> /nowhere',
    });
    expect(fs.statSync(checkout.path('out/b/c')).mode & 0o111).not.toBe(0);
    expect(fs.statSync(checkout.path('out/a')).mode & 0o111).toBe(0);
    expect(Math.abs(fs.statSync(checkout.path('out/b/c')).mtimeMs - time)).toBeLessThan(60_000);
    expect(checkout.tree('secret')).toEqual({ x: 'precious' });
    expect((await checkout.run(build())).outcomes).toEqual(['build fresh']);
    expect(built(checkout)).toBe(2);
  });

  test('is not shared with what is restored: writing to that leaves it', async () => {
    const checkout = await twice();
    await back(checkout).run(build());
    fs.appendFileSync(checkout.path('out/a'), ' altered');
    expect((await checkout.run(build())).outcomes).toEqual(['build restored']);
    expect(checkout.read('out/a')).toBe('one');
  });

  test('is cleaned before through no link: what a link among the outputs leads to stays', async () => {
    const checkout = await twice();
    fs.rmSync(checkout.path('out/b'), { recursive: true });
    fs.symlinkSync('../secret', checkout.path('out/b'));
    expect((await back(checkout).run(build())).outcomes).toEqual(['build restored']);
    expect(checkout.tree('secret')).toEqual({ x: 'precious' });
    expect(checkout.tree('out')).toMatchObject({ 'b/c': 'same' });
  });

  test('is never written through a link that stands where a folder of it belongs: then the task runs', async () => {
    const checkout = new Checkout().put('src/a', 'one');
    fs.mkdirSync(checkout.path('elsewhere'));
    const deep = script('deep', 'rm -rf top; mkdir -p top/out; cp src/a top/out/a', {
      inputs: ['src/**'],
      outputs: ['top/out/*'],
    });
    await checkout.run(deep());
    fs.rmSync(checkout.path('top'), { recursive: true });
    fs.symlinkSync('elsewhere', checkout.path('top'));
    const { outcomes, said } = await checkout.run(deep());
    expect(outcomes).toEqual(['deep done']);
    expect(said).toEqual(['what was kept of deep cannot be put back: something is in the way of top/out/a']);
    expect(fs.readdirSync(checkout.path('elsewhere'))).toEqual([]);
    // Nothing was wrong with what is kept.
    fs.rmSync(checkout.path('top'), { recursive: true });
    expect((await checkout.run(deep())).outcomes).toEqual(['deep restored']);
  });

  test('is told what is in its way, also a folder in place of a file', async () => {
    const checkout = await twice();
    fs.rmSync(checkout.path('out'), { recursive: true });
    fs.mkdirSync(checkout.path('out/a/.git'), { recursive: true });
    const { outcomes, said } = await back(checkout).run(build());
    expect(said).toEqual(['what was kept of build cannot be put back: something is in the way of out/a']);
    expect(outcomes).toEqual(['build done']);
  });

  test('comes back with its permissions', async () => {
    const checkout = new Checkout().put('src/a', 'one');
    const modes = ['600', '444', '750', '666'];
    const all = modes.map((mode) => `echo ${mode} > out/${mode}; chmod ${mode} out/${mode}`).join('; ');
    const secretive = script('secretive', `rm -rf out; mkdir out; ${all}`, { inputs: ['src/**'], outputs: ['out/**'] });
    await checkout.run(secretive());
    fs.rmSync(checkout.path('out'), { recursive: true });
    expect((await checkout.run(secretive())).outcomes).toEqual(['secretive restored']);
    const got = modes.map((mode) => (fs.statSync(checkout.path(`out/${mode}`)).mode & 0o777).toString(8));
    expect(got).toEqual(modes);
  });

  test('is kept tidy whatever a hand has left among it', async () => {
    const checkout = await twice();
    for (const name of ['blobs/.DS_Store', 'entries/.DS_Store']) checkout.put(`.slipway/cache/${name}`, 'x');
    checkout.put('src/a', 'three');
    const { outcomes, said } = await checkout.run(build());
    expect([outcomes, said]).toEqual([['build done'], []]);
  });
});

test.each(['runs', 'is restored'])(
  'what a killed process left half written beside outputs goes when its task %s',
  async (how) => {
    const checkout = new Checkout().put('src/a', 'one').put('dist/kept', '');
    const goal = script('copy', 'mkdir -p dist; cp src/a dist/a.js; cp src/a top.js', {
      inputs: ['src/**'],
      outputs: ['dist/*.js', 'top.js'],
    });
    await checkout.run(goal());
    checkout.put('.slipway/state/copy.json', JSON.stringify({ version: 3, state: 'begun' }));
    if (how === 'runs') checkout.put('src/a', 'two');
    // No process has this pid: the largest on Linux is 4194304.
    const [dead, living] = ['.slipway-fffffe012345.tmp', `.slipway-${'1'.padStart(6, '0')}012345.tmp`];
    for (const folder of ['dist', '.']) checkout.put(`${folder}/${dead}`, 'hal').put(`${folder}/${living}`, 'hal');
    expect((await checkout.run(goal())).outcomes).toEqual([how === 'runs' ? 'copy done' : 'copy restored']);
    expect(fs.readdirSync(checkout.path('dist')).sort()).toEqual([living, 'a.js', 'kept']);
    expect(fs.readdirSync(checkout.dir)).not.toContain(dead);
    expect(fs.readdirSync(checkout.dir)).toContain(living);
  },
);

test.each([
  ['out', 'elsewhere'],
  ['out', '../outside-of-it'],
  ['out', '/tmp'],
])('outputs behind a link are refused: %s -> %s', async (link, target) => {
  const checkout = new Checkout().put('src/a', 'one');
  fs.mkdirSync(checkout.path('elsewhere'));
  const linked = script('linked', `rm -rf ${link}; ln -s ${target} ${link}`, {
    inputs: ['src/**'],
    outputs: ['out/**'],
  });
  const { outcomes, failures } = await checkout.run(linked());
  expect(outcomes).toEqual(['linked failed']);
  expect(failures).toMatchObject([
    { reason: 'refused', message: expect.stringContaining('behind the link out') as string },
  ]);
  expect(keptFiles(checkout)).toEqual({ blobs: [], entries: [] });
});

test.each(['../out/**', '/tmp/out', 'a/../../out'])('an output outside the project is refused: %s', async (glob) => {
  const checkout = new Checkout();
  const { failures } = await checkout.run(script('outside', 'true', { inputs: [], outputs: [glob] })());
  expect(failures).toMatchObject([
    { reason: 'refused', message: expect.stringContaining('not inside the project') as string },
  ]);
});

test('an output that is a link itself is kept as one', async () => {
  const checkout = new Checkout().put('src/a', 'one').put('there/x', 'precious');
  const linked = script('linked', 'ln -sfn there current', { inputs: ['src/**'], outputs: ['current'] });
  await checkout.run(linked());
  fs.rmSync(checkout.path('current'));
  expect((await checkout.run(linked())).outcomes).toEqual(['linked restored']);
  expect(fs.readlinkSync(checkout.path('current'))).toBe('there');
  expect(checkout.tree('there')).toEqual({ x: 'precious' });
});

describe('what is kept and damaged', () => {
  const damages: readonly (readonly [string, (file: string) => void])[] = [
    ['cut short', (file) => fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2))],
    ['empty', (file) => fs.truncateSync(file, 0)],
    [
      'altered',
      (file) => {
        const bytes = fs.readFileSync(file);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        fs.writeFileSync(file, bytes);
      },
    ],
  ];

  test.each(damages.flatMap(([how, damage]) => (['blobs', 'entries'] as const).map((what) => ({ how, damage, what }))))(
    '$what $how: said, removed, and the task runs',
    async ({ damage, what }) => {
      const checkout = await twice();
      for (const file of keptFiles(checkout)[what]) damage(file);
      const { outcomes, said, status } = await back(checkout).run(build());
      expect([outcomes, status]).toEqual([['build done'], 0]);
      expect(said).toEqual([expect.stringMatching(/^what was kept of build is damaged \(.*\): removed$/)]);
      expect(checkout.read('out/a')).toBe('one');
      expect((await checkout.run(build())).outcomes).toEqual(['build fresh']);
      checkout.put('out/a', 'x');
      expect((await checkout.run(build())).outcomes, 'kept anew').toEqual(['build restored']);
    },
  );

  test('is left alone by a dry run', async () => {
    const checkout = await twice();
    const { entries } = keptFiles(checkout);
    for (const file of entries) fs.truncateSync(file, 3);
    expect((await back(checkout).show(build())).states).toEqual(['build runs']);
    expect(keptFiles(checkout).entries).toEqual(entries);
  });

  test('in part: what is missing halfway leaves nothing that counts as fresh', async () => {
    const failing = script('build', `test ! -e fail || exit 1; ${BUILD}`, { inputs: ['src/**'], outputs: ['out/**'] });
    const checkout = new Checkout().put('src/a', 'one').put('src/b', 'same');
    await checkout.run(failing());
    const broken = keptFiles(checkout).blobs.find((file) => fs.readFileSync(file, 'utf8') === 'same') ?? '';
    fs.writeFileSync(broken, 'SAME');
    checkout.put('out/a', 'altered').put('fail', '');
    const { outcomes, checks } = await checkout.run(failing());
    expect([outcomes, checkout.tree('out')]).toEqual([['build failed'], { a: 'one' }]);
    expect(checks.get('build')).toMatchObject({ state: 'stale', store: 'damaged' });
    fs.rmSync(checkout.path('fail'));
    expect((await checkout.show(failing())).states).toEqual(['build runs']);
    expect((await checkout.run(failing())).outcomes).toEqual(['build done']);
    expect(checkout.tree('out')).toEqual({ a: 'one', b: 'same' });
  });

  test.each(['../outside', '/tmp/outside', 'out/../../outside', 'out//x', ''])(
    'a path that leaves the project is refused: %j',
    async (path) => {
      const { sha256 } = await import('../../lib/host/hash.ts');
      const checkout = await twice();
      const [file = ''] = keptFiles(checkout).entries;
      const body = fs.readFileSync(file, 'utf8').split('\n')[1] ?? '';
      const forged = body.replace('"path":"out/a"', `"path":${JSON.stringify(path)}`);
      fs.writeFileSync(file, `${sha256(forged)}\n${forged}`);
      const said: string[] = [];
      const kept = openKeptOutputs({
        projectDir: checkout.dir,
        folder: checkout.path('.slipway/cache'),
        limitBytes: 1e6,
        say: (line) => void said.push(line),
        looks: false,
      });
      expect(kept.restore('build', /([0-9a-f]{64})\.json$/.exec(file)?.[1] ?? '', ['out/**'])).toBe(false);
      expect(said).toHaveLength(1);
      expect(fs.existsSync(join(checkout.dir, '..', 'outside'))).toBe(false);
    },
  );
});

describe('the limit', () => {
  const big = (): Checkout => new Checkout();
  const grow = script('build', 'rm -rf out; mkdir out; cat src/a src/a > out/a', {
    inputs: ['src/**'],
    outputs: ['out/**'],
  });
  const content = (letter: string): string => letter.repeat(200_000);

  test('has what was used longest ago go first', async () => {
    const checkout = big();
    checkout.variables.set('SLIPWAY_CACHE_MB', '1');
    const outcomes: string[] = [];
    for (const letter of ['a', 'b', 'a', 'c', 'a', 'b']) {
      checkout.put('src/a', content(letter));
      outcomes.push(...(await checkout.run(grow())).outcomes);
      // Times of use tell apart what was used in one tick.
      for (const file of keptFiles(checkout).entries) {
        const { mtimeMs } = fs.statSync(file);
        fs.utimesSync(file, new Date(), new Date(mtimeMs - 5_000));
      }
    }
    // 400 kB each: two fit. "b" was used before "a" when "c" came.
    expect(outcomes.map((one) => one.split(' ')[1])).toEqual(['done', 'done', 'restored', 'done', 'restored', 'done']);
    const { blobs, entries } = keptFiles(checkout);
    expect([blobs.length, entries.length]).toEqual([2, 2]);
  });

  test('counts what says which files were made, also where that is none', () => {
    const checkout = new Checkout();
    const kept = openKeptOutputs({
      projectDir: checkout.dir,
      folder: checkout.path('.slipway/cache'),
      limitBytes: 1_000,
      say: () => undefined,
      looks: false,
    });
    const sumBytes = (): number => keptFiles(checkout).entries.reduce((sum, file) => sum + fs.statSync(file).size, 0);
    for (let key = 0; key < 20; key++)
      kept.add('lint', String(key), { outputs: { entries: [], digest: '' }, facts: {}, tookMs: key });
    expect(sumBytes()).toBeGreaterThan(1_000);
    kept.evict();
    expect(sumBytes()).toBeLessThanOrEqual(1_000);
    expect(keptFiles(checkout).entries.length).toBeGreaterThan(1);
    kept.add('lint', 'large', {
      outputs: { entries: [], digest: '' },
      facts: { 'lint/1': 'x'.repeat(1_000) },
      tookMs: 1,
    });
    expect(keptFiles(checkout).entries.join()).not.toContain('large');
  });

  test('of 0 keeps nothing of a task without outputs either, nor what was kept before', async () => {
    const checkout = big().put('src/a', content('a'));
    await checkout.run(grow());
    expect(keptFiles(checkout).entries).toHaveLength(1);
    checkout.variables.set('SLIPWAY_CACHE_MB', '0');
    await checkout.run(script('lint', 'true', { inputs: ['src/**'], outputs: [] })());
    expect(keptFiles(checkout)).toEqual({ blobs: [], entries: [] });
  });

  test('keeps nothing that is larger than all of it, and nothing at all when it is 0', async () => {
    const checkout = big().put('src/a', content('a'));
    checkout.variables.set('SLIPWAY_CACHE_MB', '0');
    await checkout.run(grow());
    expect(keptFiles(checkout)).toEqual({ blobs: [], entries: [] });
    checkout.put('out/a', 'x');
    expect((await checkout.run(grow())).outcomes).toEqual(['build done']);
    checkout.variables.set('SLIPWAY_CACHE_MB', 'much');
    await expect(checkout.run(grow())).rejects.toThrow('SLIPWAY_CACHE_MB must be a whole number of MiB, not "much"');
  });
});
