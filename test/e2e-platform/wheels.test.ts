import { mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Facts, settleRefs } from '../../lib/engine/facts.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { sha256 } from '../../lib/host/hash.ts';
import { known } from '../../lib/model/fact.ts';
import { deviceName } from '../../lib/model/param.ts';
import { itemsIn } from '../../lib/model/step.ts';
import { buildWheels } from '../../tasks/build.ts';
import { BASE_MS, PLATFORM, base, environment } from './base.ts';
import { runToEnd } from './command.ts';

// A deploy of the whole platform takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: BASE_MS });

/** What boards answer: Ubuntu 22.04 (JetPack 6) and 24.04 (JetPack 7). */
const BOARDS = [
  { python: '3.10', libcMinor: 35 },
  { python: '3.12', libcMinor: 39 },
] as const;

const tags = (libcMinor: number): readonly string[] => [
  ...Array.from({ length: libcMinor - 16 }, (_, i) => `manylinux_2_${String(libcMinor - i)}_aarch64`),
  'manylinux2014_aarch64',
];

/** The command that the task would run for such a board. */
function pipArgv(python: string, wheelPlatforms: readonly string[]): readonly string[] {
  const { plan } = makePlan([buildWheels({ to: deviceName('jetson') })], sha256);
  const steps = (task: string): readonly { readonly id: string; readonly kind: string; readonly args: unknown }[] => {
    const node = plan.nodes.find((one) => one.task === task);
    return node === undefined ? [] : [...itemsIn(node.body)].flatMap((item) => (item.type === 'step' ? [item] : []));
  };
  const facts = new Facts();
  facts.set(
    steps('ask:target')[0]?.id ?? '',
    known({ architecture: 'aarch64', system: 'Linux', python, wheelPlatforms: [...wheelPlatforms] }),
  );
  const download = steps('build:wheels').find(({ kind }) => kind === 'run');
  return (
    settleRefs((download?.args as { argv: string[] }).argv, facts) as readonly (string | readonly string[])[]
  ).flat();
}

test.each(BOARDS)('on a board with Python $python pip is asked for exactly its wheels', ({ python, libcMinor }) => {
  const wheelPlatforms = tags(libcMinor);
  expect(pipArgv(python, wheelPlatforms)).toEqual([
    ...[
      `${PLATFORM}/backend/.venv/bin/python`,
      '-I',
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--require-hashes',
      '--only-binary=:all:',
    ],
    ...['--dest', '.slipway/build/jetson/wheels', '--implementation', 'cp', '--python-version', python],
    ...wheelPlatforms.flatMap((tag) => ['--platform', tag]),
    ...['-r', `${PLATFORM}/backend/requirements.txt`],
  ]);
});

test.each(BOARDS)('every requirement has a wheel for aarch64 and Python $python', async ({ python, libcMinor }) => {
  const from = await base();
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-wheels-')));
  try {
    symlinkSync(join(from, 'examples'), join(dir, 'examples'));
    const downloaded = await runToEnd(pipArgv(python, tags(libcMinor)), { cwd: dir, env: environment(dir) });
    expect(downloaded, downloaded.stderr).toMatchObject({ status: 0 });
    const wheels = readdirSync(join(dir, '.slipway/build/jetson/wheels')).sort();
    const abi = `cp${python.replace('.', '')}`;
    expect(wheels.filter((name) => !/-(none-any|(none|abi3|cp3\d+)-manylinux[\w.]*_aarch64)\.whl$/.test(name))).toEqual(
      [],
    );
    expect(
      wheels.filter(
        (name) =>
          name.includes('aarch64') && !name.includes(abi) && !name.includes('abi3') && !name.includes('py3-none'),
      ),
    ).toEqual([]);
    expect(wheels.map((name) => plainName(name.split('-')[0] ?? ''))).toEqual(required().sort());
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** One spelling of a project's name (PEP 503). */
const plainName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

function required(): string[] {
  const lines = readFileSync(new URL(`../../${PLATFORM}/backend/requirements.txt`, import.meta.url), 'utf8').split(
    '\n',
  );
  return lines
    .flatMap((line) => (line.includes("sys_platform == 'win32'") ? [] : (/^([A-Za-z0-9._-]+)==/.exec(line)?.[1] ?? [])))
    .map(plainName);
}
