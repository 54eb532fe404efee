import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Device, type Failure, PYTHON } from './client.ts';
import { pack, send, type Packed, refused } from './release.ts';

/** Makes a wheel with a right RECORD, then spoils it: `drop` lists what RECORD leaves out, `change` what differs afterwards. */
const MAKE_WHEEL = `
import base64, hashlib, json, sys, zipfile
path, files, drop, change, link = sys.argv[1], *map(json.loads, sys.argv[2:])
info = "demo-1.0.dist-info/"
files[info + "METADATA"] = "Name: demo"
rows = []
for name, text in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    if name not in drop:
        rows.append("%s,sha256=%s,%d" % (name, digest, len(text.encode())))
rows.append(info + "RECORD,,")
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, text in files.items():
        member = zipfile.ZipInfo(name)
        member.external_attr = (0o120777 if name == link else 0o100755 if name.endswith(".sh") else 0o100644) << 16
        if change.get(name) != "":
            archive.writestr(member, change.get(name, text))
    archive.writestr(info + "RECORD", "\\n".join(rows) + "\\n")
`;

interface Spoil {
  readonly drop?: readonly string[];
  readonly change?: { readonly [name: string]: string };
  readonly link?: string;
}

function wheel(files: { readonly [name: string]: string }, { drop = [], change = {}, link = '' }: Spoil = {}): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-wheel-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'x.whl');
  execFileSync(PYTHON, ['-c', MAKE_WHEEL, path, ...[files, drop, change, link].map((value) => JSON.stringify(value))]);
  return readFileSync(path);
}

const withWheels = (...wheels: Buffer[]): Packed => {
  const named = Object.fromEntries(wheels.map((content, index) => [`wheels/w${String(index)}.whl`, content]));
  return pack(named, {}, Object.keys(named));
};

async function refusal(release: Packed): Promise<Failure> {
  const device = new Device();
  const agent = device.session();
  const failure = await refused(agent, release);
  expect(existsSync(device.at('releases', release.id))).toBe(false);
  return failure;
}

test('wheels are unpacked: purelib and platlib merged, scripts left out, modes kept', async () => {
  const device = new Device();
  const agent = device.session();
  const release = withWheels(
    wheel({
      'demo/__init__.py': 'X = 1\n',
      'demo/tool.sh': '#!',
      'demo-1.0.data/purelib/pure.py': 'P',
      'demo-1.0.data/platlib/sub/plat.so': 'S',
      'demo-1.0.data/scripts/cmd': 'C',
    }),
  );
  await send(agent, release);
  await agent.ok('upload.stage', { release: release.id });
  const site = device.at('releases', release.id, 'site-packages');
  expect(readFileSync(join(site, 'demo/__init__.py'), 'utf8')).toBe('X = 1\n');
  expect([readFileSync(join(site, 'pure.py'), 'utf8'), readFileSync(join(site, 'sub/plat.so'), 'utf8')]).toEqual([
    'P',
    'S',
  ]);
  expect([existsSync(join(site, 'cmd')), existsSync(join(site, 'demo-1.0.data'))]).toEqual([false, false]);
  expect([statSync(join(site, 'demo/tool.sh')).mode & 0o777, statSync(join(site, 'pure.py')).mode & 0o777]).toEqual([
    0o755, 0o644,
  ]);
  const { stdout } = await agent.ok('run', {
    argv: ['python3', '-c', 'import demo; print(demo.X)'],
    env: { PYTHONPATH: site, PYTHONDONTWRITEBYTECODE: '1' },
    capture: true,
  });
  expect(stdout).toBe('1\n');
});

test('a file that differs from RECORD is refused', async () => {
  const failure = await refusal(withWheels(wheel({ 'demo/a.py': 'right' }, { change: { 'demo/a.py': 'wrong' } })));
  expect(failure).toMatchObject({ reason: 'checksum-mismatch', path: 'wheels/w0.whl!demo/a.py' });
});

test.each([
  ['a file that RECORD does not list', () => wheel({ 'a.py': '', 'b.py': '' }, { drop: ['b.py'] })],
  [
    'a file that RECORD lists and the wheel lacks',
    () => wheel({ 'a.py': '', 'b.py': 'x' }, { change: { 'b.py': '' } }),
  ],
  ['a path that leaves the tree', () => wheel({ '../evil.py': 'x' })],
  ['an absolute path', () => wheel({ '/tmp/evil.py': 'x' })],
  ['a path that leaves through data', () => wheel({ 'demo-1.0.data/purelib/../../../evil.py': 'x' })],
  ['a symbolic link', () => wheel({ 'a.py': '/etc/passwd' }, { link: 'a.py' })],
  ['what is no archive', () => Buffer.from('not a zip')],
])('refused: %s', async (_, make) => {
  expect(await refusal(withWheels(make()))).toMatchObject({ reason: 'device-refused', code: 'bad-wheel' });
});

test('two wheels that bring one file may only bring the same', async () => {
  const device = new Device();
  const agent = device.session();
  const same = withWheels(
    wheel({ 'ns/__init__.py': '', 'ns/a.py': 'a' }),
    wheel({ 'ns/__init__.py': '', 'ns/b.py': 'b' }),
  );
  await send(agent, same);
  await agent.ok('upload.stage', { release: same.id });
  expect(await refusal(withWheels(wheel({ 'ns/a.py': 'a' }), wheel({ 'ns/a.py': 'b' })))).toMatchObject({
    code: 'wheel-conflict',
  });
});

test('a wheel that is not among the files, and a tree that fills site-packages itself, are refused', async () => {
  expect(await refusal(pack({ a: '' }, {}, ['wheels/none.whl']))).toMatchObject({ code: 'bad-manifest' });
  const both = pack({ 'w.whl': wheel({ 'a.py': '' }), 'site-packages/a.py': 'mine' }, {}, ['w.whl']);
  expect(await refusal(both)).toMatchObject({ code: 'bad-manifest' });
});
