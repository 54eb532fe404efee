/** How much of a file tells what machine it is for, in bytes. */
export const HEAD_BYTES = 20;

/** What a program was compiled for, in `uname`'s words: `Linux`, `aarch64`. */
export interface Machine {
  readonly system: 'Linux' | 'Darwin' | 'Windows';
  readonly architecture: string;
}

/** ELF's `e_machine` (System V ABI; the registry of machine numbers). */
const ELF_MACHINES: { readonly [number: number]: string } = {
  3: 'i686',
  8: 'mips',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
  258: 'loongarch64',
};
const ELF_CLASS_32 = 1;
const ELF_BIG_ENDIAN = 2;
/** `e_type` of what a kernel or loader runs: programs and shared objects; object files and cores are data. */
const ELF_RUNS = new Set([2, 3]);
/** A program of the kernel's own virtual machine, whatever the processor. */
const ELF_BPF = 247;

/** Mach-O's `cputype` (mach/machine.h). */
const MACH_CPUS: { readonly [number: number]: string } = { 0x01000007: 'x86_64', 0x0100000c: 'aarch64' };
const MACH_64_LITTLE = 0xfeedfacf;

/** The machine that a file's first bytes say it is for; `null` for scripts and data. */
export function machineOf(head: Buffer): Machine | null {
  if (head.length < HEAD_BYTES) return null;
  if (head.readUInt32BE(0) === 0x7f454c46) return elf(head);
  if (head.readUInt32LE(0) === MACH_64_LITTLE) return { system: 'Darwin', architecture: mach(head) };
  return null;
}

function elf(head: Buffer): Machine | null {
  const big = head[5] === ELF_BIG_ENDIAN;
  const [type, machine] = big
    ? [head.readUInt16BE(16), head.readUInt16BE(18)]
    : [head.readUInt16LE(16), head.readUInt16LE(18)];
  if (!ELF_RUNS.has(type) || machine === ELF_BPF) return null;
  const name = ELF_MACHINES[machine] ?? `machine ${String(machine)}`;
  // 32-bit programs of a 64-bit processor (x32, ilp32) need libraries that hardly any board has.
  const narrow = head[4] === ELF_CLASS_32 && name.endsWith('64') ? ' (32 bit)' : '';
  return { system: 'Linux', architecture: `${name}${narrow}` };
}

const mach = (head: Buffer): string => MACH_CPUS[head.readUInt32LE(4)] ?? 'another processor';

/** One name for each processor: `uname`, wheels and compilers have several. */
export function processor(name: string): string {
  if (name === 'arm64') return 'aarch64';
  if (name === 'amd64' || name === 'AMD64') return 'x86_64';
  if (/^(i[3-6]86|x86)$/.test(name)) return 'i686';
  return /^arm(v\d+.*|hf)?$/.test(name) ? 'arm' : name;
}
