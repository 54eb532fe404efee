/** A graph of 20 tasks in which nothing is to be done, beside other runners. Run: `node --import tsx bench/noop.ts`. */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { asProgram, median, type Figure } from './figures.ts';
import { Rivals, type Tool } from './peers.ts';

const PARTS = 19;
const ROUNDS = 11;
const AT_MOST = 1.4;
const PEERS: readonly Exclude<Tool, 'slipway'>[] = ['turbo', 'vp run', 'wireit', 'nx', 'moon'];

/** Runs until the bundle is made, and its sources are old enough for their times to be believed. */
export async function warmed(rivals: Rivals): Promise<void> {
  const manifest = join(rivals.path, '.slipway/bundle', process.versions.node, 'manifest.json');
  for (let made = 0, same = 0; same < 2;) {
    rivals.time('slipway');
    await rest(2_500);
    const now = existsSync(manifest) ? statSync(manifest).mtimeMs : 0;
    same = now !== 0 && now === made ? same + 1 : 0;
    made = now;
  }
}

function bareNodeMs(): number {
  const startMs = performance.now();
  spawnSync(process.execPath, ['-e', '0']);
  return performance.now() - startMs;
}

export async function measureNoop(): Promise<readonly Figure[]> {
  const parts = Array.from({ length: PARTS }, (_, at) => {
    const [from, to] = [`in/${String(at)}.txt`, `out/${String(at)}.txt`];
    return { command: `cp ${from} ${to}`, inputs: [from], outputs: [to] };
  });
  const rivals = new Rivals(parts);
  parts.forEach((_, at) => writeFileSync(join(rivals.path, `in/${String(at)}.txt`), String(at)));
  rivals.commit();
  await warmed(rivals);
  for (const peer of PEERS) for (let round = 0; round < 2; round++) rivals.time(peer);
  const turns = Array.from({ length: ROUNDS }, () => ({
    node: bareNodeMs(),
    slipway: rivals.time('slipway').ms,
    ...(Object.fromEntries(PEERS.map((peer) => [peer, rivals.time(peer).ms])) as {
      readonly [tool in Exclude<Tool, 'slipway'>]: number;
    }),
  }));
  rivals.remove();
  const of = (ratio: (turn: (typeof turns)[number]) => number): number => median(turns.map(ratio));
  return [
    { what: 'node -e 0', measured: of(({ node }) => node), unit: 'ms', atMost: null },
    { what: '20 fresh tasks', measured: of(({ slipway }) => slipway), unit: 'ms', atMost: null },
    {
      what: '20 fresh tasks : node -e 0',
      measured: of(({ slipway, node }) => slipway / node),
      unit: '×',
      atMost: AT_MOST,
    },
    ...PEERS.map((peer) => ({
      what: `20 fresh tasks : ${peer}`,
      measured: of((turn) => turn.slipway / turn[peer]),
      unit: '×' as const,
      atMost: 1,
    })),
  ];
}

await asProgram(import.meta, measureNoop);
