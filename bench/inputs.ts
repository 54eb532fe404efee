/** Nothing changed in many inputs, beside other runners; start-up included. Run: `node --import tsx bench/inputs.ts`. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asProgram, median, type Figure } from './figures.ts';
import { warmed } from './noop.ts';
import { Rivals, type Tool } from './peers.ts';

const COUNTS = [10_000, 50_000];
const FOLDER_FILES = 100;
const ROUNDS = 5;
const PEERS: readonly Exclude<Tool, 'slipway'>[] = ['turbo', 'vp run', 'moon', 'nx', 'wireit'];
const FIRST_AT_MOST = 1.3;

function writeSources(folder: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => {
    const path = join(folder, `src/${String(Math.floor(at / FOLDER_FILES))}/${String(at)}.ts`);
    if (at % FOLDER_FILES === 0) mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `export const number${String(at)} = ${String(at)};\n`.repeat(20));
    return path;
  });
}

/** What hashing takes at the least. */
function plainHashMs(paths: readonly string[]): number {
  const startMs = performance.now();
  for (const path of paths) createHash('sha256').update(readFileSync(path)).digest('hex');
  return performance.now() - startMs;
}

async function inputsOf(count: number): Promise<readonly Figure[]> {
  const rivals = new Rivals([{ command: 'touch out/done', inputs: ['src/**'], outputs: ['out/done'] }]);
  const paths = writeSources(rivals.path, count);
  rivals.commit();
  await warmed(rivals);
  const what = `nothing changed in ${String(count)} files`;
  for (const peer of PEERS) for (let round = 0; round < 2; round++) rivals.time(peer);
  const turns = Array.from({ length: ROUNDS }, () => ({
    slipway: rivals.time('slipway').ms,
    ...(Object.fromEntries(PEERS.map((peer) => [peer, rivals.time(peer).ms])) as {
      readonly [tool in Exclude<Tool, 'slipway'>]: number;
    }),
  }));
  const freshMs = median(turns.map(({ slipway }) => slipway));
  const firstMs = median([1, 2, 3].map(() => firstTimeMs(rivals)));
  const plainMs = median([1, 2, 3].map(() => plainHashMs(paths)));
  rivals.remove();
  return [
    { what, measured: freshMs, unit: 'ms', atMost: null },
    ...PEERS.map((peer) => ({
      what: `${what} : ${peer}`,
      measured: median(turns.map((turn) => turn.slipway / turn[peer])),
      unit: '×' as const,
      atMost: 1,
    })),
    {
      what: `first hash of ${String(count)} : reading and sha256`,
      measured: (firstMs - freshMs) / plainMs,
      unit: '×',
      atMost: FIRST_AT_MOST,
    },
  ];
}

/** A run that remembers nothing but its bundle. */
function firstTimeMs(rivals: Rivals): number {
  for (const name of ['state', 'stat.json', 'stat.bin'])
    rmSync(join(rivals.path, '.slipway', name), { recursive: true, force: true });
  return rivals.time('slipway').ms;
}

export async function measureInputs(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const count of COUNTS) figures.push(...(await inputsOf(count)));
  return figures;
}

await asProgram(import.meta, measureInputs);
