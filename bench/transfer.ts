/**
 * Uploads beside tar, rsync and scp, through a real sshd and to the stand-in board. Run: `node --import tsx
 * bench/transfer.ts [PART …]`, the parts being `first slow changed changed-slow`; BENCH_ROUNDS says how often.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asProgram, median, type Figure } from './figures.ts';
import { changedTree, makeTree, type BenchTree } from './trees.ts';
import { others, own, rsync, scp, standInBoard, tar, type Machine, type Way } from './ways.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const MANY = 5000;
const FEW = 500;

interface Trees {
  /** 200 MB that nothing compresses. */
  readonly many: BenchTree;
  /** The same with every hundredth file changed. */
  readonly changed: BenchTree;
  /** 20 MB of source. */
  readonly few: BenchTree;
}

type Part = 'first' | 'slow' | 'changed' | 'changed-slow';

/** Those who are compared take turns within one round. */
async function rounds<T>(measure: () => Promise<T>): Promise<(of: (round: T) => number) => number> {
  const measured: T[] = [];
  for (let round = 0; round < ROUNDS; round++) measured.push(await measure());
  return (of) => median(measured.map(of));
}

const told = (what: string, measured: number): Figure => ({ what, measured, unit: 'ms', atMost: null });
const atMost = (what: string, measured: number, most: number, unit: Figure['unit'] = '×'): Figure => ({
  ...{ what, measured, unit },
  atMost: most,
});
const atLeast = (what: string, measured: number, least: number): Figure => ({
  ...{ what, measured, unit: '×' },
  ...{ atMost: null, atLeast: least },
});

async function first(machine: Machine, { many }: Trees): Promise<readonly Figure[]> {
  const { near } = machine;
  const of = await rounds(async () => ({
    tar: await others(machine, near, tar, many),
    own: await own(machine, near, many),
    rsync: await others(machine, near, rsync, many),
  }));
  const what = '200 MB in 5,000 files';
  return [
    told(
      `${what}: upload`,
      of((r) => r.own.totalMs),
    ),
    atMost(
      `${what}, upload : tar | ssh tar`,
      of((r) => r.own.totalMs / r.tar),
      1.3,
    ),
    atMost(
      `${what}, upload : rsync -a`,
      of((r) => r.own.totalMs / r.rsync),
      1,
    ),
    atMost(
      `${what}: the client's memory`,
      of((r) => r.own.maxRssMb),
      120,
      'MB',
    ),
  ];
}

async function slow(machine: Machine, { few }: Trees): Promise<readonly Figure[]> {
  const { far } = machine;
  const of = await rounds(async () => ({
    tar: await others(machine, far, tar, few),
    own: await own(machine, far, few),
    rsync: await others(machine, far, rsync, few),
  }));
  const scpMs = await others(machine, far, scp, few);
  const what = '20 MB of source, slow link';
  return [
    told(
      `${what}: upload`,
      of((r) => r.own.totalMs),
    ),
    atLeast(
      `${what}, tar | ssh tar : upload`,
      of((r) => r.tar / r.own.totalMs),
      1.4,
    ),
    atLeast(
      `${what}, rsync -a : upload`,
      of((r) => r.rsync / r.own.totalMs),
      1.4,
    ),
    atLeast(
      `${what}, scp -r : upload`,
      of((r) => scpMs / r.own.totalMs),
      20,
    ),
  ];
}

async function changedNear(machine: Machine, { many, changed }: Trees): Promise<readonly Figure[]> {
  const of = await withChanges(machine, machine.near, many, changed);
  return [
    told(
      '1 % changed, board: upload',
      of((r) => r.own.totalMs),
    ),
    atMost(
      '1 % changed, board, upload : rsync -a',
      of((r) => r.own.totalMs / r.rsync),
      1,
    ),
  ];
}

async function changedFar(machine: Machine, { many, changed }: Trees): Promise<readonly Figure[]> {
  const all = await own(machine, machine.far, many);
  const of = await withChanges(machine, machine.far, many, changed);
  return [
    told(
      '1 % changed, board, slow link: upload',
      of((r) => r.own.totalMs),
    ),
    atMost(
      '1 % changed, board, slow link, upload : rsync -a',
      of((r) => r.own.totalMs / r.rsync),
      1,
    ),
    atLeast(
      '1 % changed, board, slow link, first upload : upload',
      of((r) => all.totalMs / r.own.totalMs),
      20,
    ),
  ];
}

const withChanges = (machine: Machine, way: Way, many: BenchTree, changed: BenchTree) =>
  rounds(async () => ({
    own: await own(machine, way, changed, many),
    rsync: await others(machine, way, rsync, changed, many),
  }));

const PARTS: readonly (readonly [Part, () => Promise<Machine>, typeof first])[] = [
  ['first', standInBoard, first],
  ['slow', standInBoard, slow],
  ['changed', standInBoard, changedNear],
  ['changed-slow', standInBoard, changedFar],
];

/** One part after the other, each on a machine of its own. */
export async function measureTransfer(wanted: readonly string[] = []): Promise<readonly Figure[]> {
  const top = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  const figures: Figure[] = [];
  try {
    const many = makeTree(join(top, 'many'), MANY, 'random');
    const changed = changedTree(many, join(top, 'changed'), MANY, 'random');
    const trees = { many, changed, few: makeTree(join(top, 'few'), FEW, 'source') };
    for (const [part, made, measure] of PARTS) {
      if (wanted.length > 0 && !wanted.includes(part)) continue;
      const machine = await made();
      try {
        figures.push(...(await measure(machine, trees)));
      } finally {
        await machine.stop();
      }
    }
    return figures;
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
}

await asProgram(import.meta, () => measureTransfer(process.argv.slice(2)));
