import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { binaries, type Binaries } from '../../lib/host/binaries.ts';
import { machineOf } from '../../lib/host/binary.ts';
import { machinesOfTag } from '../../lib/host/wheel.ts';
import { ELF, elf, zip } from '../programs.ts';
import { tempDir } from './rig.ts';

const LINUX_ARM = ['manylinux_2_36_aarch64', 'manylinux2014_aarch64'];

/** Looks at a packed tree of these files, for a board with an arm64 processor unless told. */
function looked(
  files: { readonly [path: string]: string | Buffer },
  args: {
    readonly architecture?: string;
    readonly platforms?: readonly string[];
    readonly foreign?: readonly string[];
  } = {},
): Binaries {
  const project = tempDir();
  const entries = Object.entries(files).map(([path, content]) => {
    mkdirSync(dirname(join(project, 'tree', path)), { recursive: true });
    writeFileSync(join(project, 'tree', path), content);
    return { kind: 'file', path, size: content.length };
  });
  const wheels = Object.keys(files).filter((path) => path.endsWith('.whl'));
  writeFileSync(join(project, 'manifest.json'), JSON.stringify({ entries, wheels }));
  return binaries({ tree: '.', architecture: 'aarch64', platforms: LINUX_ARM, ...args }, project);
}

test('the first bytes tell what a program is for; scripts and data tell nothing', () => {
  expect(machineOf(elf(ELF.x86_64))).toEqual({ system: 'Linux', architecture: 'x86_64' });
  expect(machineOf(elf(ELF.aarch64, { type: 2 }))).toEqual({ system: 'Linux', architecture: 'aarch64' });
  expect(machineOf(elf(ELF.arm, { bits: 32 }))).toEqual({ system: 'Linux', architecture: 'arm' });
  expect(machineOf(elf(ELF.x86_64, { bits: 32 }))).toEqual({ system: 'Linux', architecture: 'x86_64 (32 bit)' });
  expect(machineOf(elf(9999))).toEqual({ system: 'Linux', architecture: 'machine 9999' });
  expect(machineOf(elf(ELF.bpf))).toBeNull();
  expect(machineOf(elf(ELF.x86_64, { type: 1 }))).toBeNull();
  expect(machineOf(Buffer.from('#!/usr/bin/env python3\nprint()\n'))).toBeNull();
  expect(machineOf(Buffer.from('\x7fELF'))).toBeNull();
  expect(machineOf(readFileSync(process.execPath).subarray(0, 20))?.architecture).toBe(
    { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string],
  );
});

test.each([
  ['a-1.0-py3-none-any.whl', null],
  ['numpy-2.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl', ['Linux x86_64', 'Linux x86_64']],
  ['numpy-2.1-cp311-cp311-musllinux_1_2_armv7l.whl', ['Linux arm']],
  ['numpy-2.1-1-cp311-cp311-linux_aarch64.whl', ['Linux aarch64']],
  ['numpy-2.1-cp311-cp311-macosx_11_0_universal2.whl', ['Darwin x86_64', 'Darwin aarch64']],
  ['numpy-2.1-cp311-cp311-win_amd64.whl', ['Windows x86_64']],
])('%s says what it is for', (name, machines) => {
  expect(machinesOfTag(name)?.map(({ system, architecture }) => `${system} ${architecture}`) ?? null).toEqual(machines);
});

test('programs for the board fit, whatever else lies beside them', () => {
  const files = {
    'run.py': 'print()',
    'frontend/logo.png': randomBytes(64),
    'bin/tool': elf(ELF.aarch64, { type: 2 }),
    'wheels/a-1-cp311-cp311-manylinux2014_aarch64.whl': zip({ 'a/x.so': elf(ELF.aarch64), 'a/y.py': Buffer.from('y') }),
    'wheels/b-1-py3-none-any.whl': zip({ 'b/cli-64.exe': Buffer.from(`MZ${'x'.repeat(60)}`) }),
  };
  expect(looked(files)).toEqual({ architectures: ['aarch64'], fits: true, why: '' });
});

test('an amd64 wheel and an amd64 program are named', () => {
  const files = {
    'bin/tool': elf(ELF.x86_64, { type: 2 }),
    'wheels/numpy-2-cp311-cp311-manylinux2014_x86_64.whl': zip({ 'numpy/core.so': elf(ELF.x86_64) }),
  };
  expect(looked(files)).toEqual({
    architectures: ['x86_64'],
    fits: false,
    why: 'bin/tool is for x86_64, wheels/numpy-2-cp311-cp311-manylinux2014_x86_64.whl is for x86_64',
  });
  const onAmd64 = { architecture: 'x86_64', platforms: ['manylinux2014_x86_64'] };
  expect(looked(files, onAmd64)).toMatchObject({ fits: true });
});

test.each([true, false])('a wheel that says it fits is looked into (compressed: %s)', (packed) => {
  const inside = {
    'x/__init__.py': Buffer.from('x'),
    'x/fast.cpython-311.so.1': Buffer.concat([elf(ELF.x86_64), randomBytes(9000)]),
  };
  expect(looked({ 'wheels/x-1-py3-none-any.whl': zip(inside, packed) }).why).toBe(
    'wheels/x-1-py3-none-any.whl: x/fast.cpython-311.so.1 is for x86_64',
  );
});

test('a file that is no zip, and one that is cut short, are left to the device', () => {
  const whole = zip({ 'x.so': elf(ELF.x86_64) });
  expect(looked({ 'wheels/x-1-py3-none-any.whl': 'no zip' }).fits).toBe(true);
  expect(looked({ 'wheels/x-1-py3-none-any.whl': whole.subarray(10) }).fits).toBe(true);
});

test('what is declared to be data is not looked at; of many only some are named', () => {
  const files = Object.fromEntries(
    Array.from({ length: 8 }, (_, n) => [`firmware/${String(n)}.elf`, elf(ELF.arm, { bits: 32 })]),
  );
  expect(looked(files).why).toMatch(/^firmware\/0\.elf is for arm, .*, and 3 more$/);
  expect(looked(files, { foreign: ['firmware/'] })).toEqual({ architectures: [], fits: true, why: '' });
});

test('a 32-bit interpreter on a 64-bit kernel runs both', () => {
  const files = { a: elf(ELF.arm, { bits: 32 }), b: elf(ELF.aarch64) };
  expect(looked(files, { platforms: ['manylinux_2_36_armv7l'] })).toMatchObject({ fits: true });
  expect(looked(files)).toMatchObject({ fits: false, why: 'a is for arm' });
});
