import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { pack, type Packed } from '../../lib/host/pack.ts';
import { StepFailed, type Failure } from '../../lib/model/failure.ts';
import { canonical, type Json } from '../../lib/model/json.ts';
import { pack as operation } from '../../lib/ops/device.ts';
import { rig, step, tempDir } from './rig.ts';

const SYSTEM = { name: 'hello', services: [{ name: 'wéb', argv: ['a'], memoryMb: 1.5 }] };

interface Manifest {
  readonly entries: readonly {
    readonly path: string;
    readonly kind: string;
    readonly mode?: number;
    readonly size?: number;
    readonly sha256?: string;
    readonly target?: string;
  }[];
  readonly wheels: readonly string[];
}

function put(dir: string, path: string, content = path, mode = 0o644): void {
  fs.mkdirSync(dirname(join(dir, path)), { recursive: true });
  fs.writeFileSync(join(dir, path), content, { mode });
}

const packed = (dir: string, args: object = {}): Promise<Packed> =>
  pack(
    { into: '.slipway/release', include: [{ from: 'app', to: 'app' }], system: SYSTEM, ...args },
    dir,
    new CancelSource(),
  );

const manifestOf = (dir: string): Manifest =>
  JSON.parse(fs.readFileSync(join(dir, '.slipway/release/manifest.json'), 'utf8')) as Manifest;

async function failure(promise: Promise<unknown>): Promise<Failure | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    if (error instanceof StepFailed) return error.failure;
    throw error;
  }
}

test('a manifest lists what is in the tree, sorted, modes made equal', async () => {
  const dir = tempDir();
  put(dir, 'app/b.py', 'b', 0o640);
  put(dir, 'app/run', '#!', 0o700);
  put(dir, 'app/__pycache__/b.pyc');
  put(dir, 'app/node_modules/x/y');
  put(dir, '.slipway/wheels/w.whl', 'wheel');
  put(dir, '.slipway/wheels/notes.txt');
  fs.mkdirSync(join(dir, 'app/empty'));
  fs.symlinkSync('../b.py', join(dir, 'app/empty/l'));
  fs.mkdirSync(join(dir, 'app/hollow'));
  put(dir, 'one.txt', '1');
  const done = await packed(dir, {
    include: [
      { from: 'app', to: 'app' },
      { from: 'one.txt', to: 'app/two.txt' },
    ],
    wheels: '.slipway/wheels',
  });
  const manifest = manifestOf(dir);
  const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
  expect(manifest.entries).toEqual([
    { path: 'app/b.py', kind: 'file', mode: 0o644, size: 1, sha256: sha('b') },
    { path: 'app/empty/l', kind: 'link', target: '../b.py' },
    { path: 'app/hollow', kind: 'folder', mode: 0o755 },
    { path: 'app/run', kind: 'file', mode: 0o755, size: 2, sha256: sha('#!') },
    { path: 'app/two.txt', kind: 'file', mode: 0o644, size: 1, sha256: sha('1') },
    { path: 'wheels/w.whl', kind: 'file', mode: 0o644, size: 5, sha256: sha('wheel') },
  ]);
  expect(manifest.wheels).toEqual(['wheels/w.whl']);
  expect(done).toEqual({ release: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown, files: 4, bytes: 9 });
  const python =
    'import json,sys,hashlib; m=json.load(open(sys.argv[1],encoding="utf-8")); print(hashlib.sha256(json.dumps(m,sort_keys=True,separators=(",",":"),ensure_ascii=False).encode()).hexdigest()[:16])';
  expect(
    execFileSync('python3', ['-c', python, join(dir, '.slipway/release/manifest.json')], { encoding: 'utf8' }).trim(),
  ).toBe(done.release);
});

test('the same files are the same release, whatever their times, umask and order', async () => {
  const ids = await Promise.all(
    [
      ['a', 'b'],
      ['b', 'a'],
    ].map(async (names, index) => {
      const dir = tempDir();
      for (const name of names) put(dir, `app/${name}`, name, index === 0 ? 0o644 : 0o600);
      await packed(dir);
      return (await packed(dir)).release;
    }),
  );
  expect(ids[0]).toBe(ids[1]);
  const dir = tempDir();
  put(dir, 'app/a', 'a');
  expect((await packed(dir)).release).not.toBe(ids[0]);
});

test('what never goes into a release is refused at any depth, even when listed', async () => {
  for (const bad of ['.env', '.env.local', '.git', '.slipway']) {
    for (const path of [`app/${bad}`, `app/x/y/${bad}/z`]) {
      const dir = tempDir();
      put(dir, path);
      expect(await failure(packed(dir))).toMatchObject({
        reason: 'refused',
        message: expect.stringContaining(bad) as unknown,
      });
    }
    const dir = tempDir();
    put(dir, `app/${bad}`);
    expect(await failure(packed(dir, { include: [{ from: `app/${bad}`, to: 'x' }] }))).toMatchObject({
      reason: 'refused',
    });
    put(dir, 'fine');
    expect(await failure(packed(dir, { include: [{ from: 'fine', to: `a/${bad}/b` }] }))).toMatchObject({
      reason: 'refused',
    });
  }
});

test('links may not leave the tree, also not by way of others', async () => {
  const links: [string, string, boolean][] = [
    ['app/l', '../x', true],
    ['app/l', '../../x', false],
    ['app/l', '/etc/passwd', false],
    ['app/sub/l', 'hop/../../..', false],
    ['app/sub/l', 'hop/../..', true],
    ['app/l', 'l', false],
  ];
  for (const [path, target, fine] of links) {
    const dir = tempDir();
    put(dir, 'app/sub/x/y/z');
    fs.symlinkSync('../sub', join(dir, 'app/sub/hop'));
    fs.symlinkSync(target, join(dir, path));
    const failed = await failure(packed(dir));
    expect(failed === null, `${path} → ${target}: ${JSON.stringify(failed)}`).toBe(fine);
  }
});

test('sockets, clashes, places outside and overlaps are refused; a missing source is said', async () => {
  const dir = tempDir();
  put(dir, 'app/a');
  const refuses = async (args: object): Promise<void> =>
    void expect(await failure(packed(dir, args))).toMatchObject({ reason: 'refused' });
  await refuses({
    include: [
      { from: 'app/a', to: 'x' },
      { from: 'app', to: 'x' },
    ],
  });
  await refuses({
    include: [
      { from: 'app/a', to: 'x' },
      { from: 'app', to: 'x/y' },
    ],
  });
  await refuses({ include: [{ from: 'app/a', to: '../x' }] });
  await refuses({ include: [{ from: 'app/a', to: '' }] });
  await refuses({ include: [{ from: '../', to: 'x' }] });
  await refuses({ include: [{ from: '.', to: '' }] });
  await refuses({ into: 'app/out' });
  await refuses({ into: '../out' });
  expect(await failure(packed(dir, { include: [{ from: 'nope', to: 'x' }] }))).toMatchObject({
    reason: 'file-system',
    code: 'ENOENT',
  });
  execFileSync('mkfifo', [join(dir, 'app/pipe')]);
  await refuses({});
});

test('odd names arrive exactly, and in the order that Python sorts their bytes', async () => {
  const odd = fc.string({
    unit: fc.constantFrom('a', '-', '\n', '"', "'", '\\', ' ', 'é', '\u{e9}', '\u{ffee}', '🚀', '\t', '\u{7f}', '*'),
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(odd, { maxLength: 6 }), async (names) => {
      const dir = tempDir();
      fs.mkdirSync(join(dir, 'app'));
      for (const name of names) put(dir, `app/${name}`, name);
      await packed(dir, { include: [{ from: 'app', to: '.' }] });
      const paths = manifestOf(dir).entries.map((entry) => entry.path);
      expect(paths).toEqual([...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      for (const name of names) expect(fs.readFileSync(join(dir, '.slipway/release/tree', name), 'utf8')).toBe(name);
    }),
    { numRuns: 40 },
  );
  const dir = tempDir();
  put(dir, 'app/x');
  fs.writeFileSync(Buffer.concat([Buffer.from(`${dir}/app/`), Buffer.from([0xff])]), '');
  expect(await failure(packed(dir))).toMatchObject({ reason: 'refused' });
});

test('canonical JSON is what Python writes, for texts, odd keys and integers', () => {
  const unit = fc.constantFrom('a', 'Z', '-', '\n', '"', '\\', '\u{1f}', '\u{7f}', 'é', '\u{2028}', '\u{d7ff}');
  const samples = fc
    .sample(fc.jsonValue({ stringUnit: unit }), 300)
    .filter((value) => !/\d[.e]/.test(JSON.stringify(value))) as Json[];
  const astral = ['🚀 \u{ffee}', { 'b🚀': 1, a: '🚀' }];
  const all = [...samples, ...astral];
  const python =
    'import json,sys; print(json.dumps([json.dumps(v,sort_keys=True,separators=(",",":"),ensure_ascii=False) for v in json.load(sys.stdin)]))';
  const fromPython = JSON.parse(
    execFileSync('python3', ['-c', python], { input: JSON.stringify(all), encoding: 'utf8' }),
  ) as string[];
  expect(all.map(canonical)).toEqual(fromPython);
});

test('as a step it yields what it made, and stops when cancelled', async () => {
  const r = rig();
  put(r.dir, 'app/a', 'a');
  const call = step(
    'call',
    { operation: 'release.pack', args: { into: 'out', include: [{ from: 'app', to: 'app' }], system: SYSTEM } },
    { effect: 'derives', yields: operation.yields },
  );
  expect(await r.host.perform(call, r.performing)).toMatchObject({ ok: true, fact: { value: { files: 1, bytes: 1 } } });
  const performed = r.host.perform(call, r.performing);
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' });
  expect(await performed).toMatchObject({ failure: { reason: 'cancelled' } });
  expect(fs.existsSync(r.path('out/manifest.json'))).toBe(false);
});
