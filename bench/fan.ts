/** `true` many times, two at once, beside other runners; start-up included. Run: `node --import tsx bench/fan.ts [count]`. */
import { asProgram, median, type Figure } from './figures.ts';
import { warmed } from './noop.ts';
import { Rivals, type Tool } from './peers.ts';

const COUNTS = process.argv[2] === undefined ? [1_000, 10_000] : [Number(process.argv[2])];
const MAKE_AT_MOST = 2;
const PEERS_AT_LEAST = 4;
const MB_AT_MOST = 90;
/** Beyond that many tasks the peers take minutes. */
const PEERS_UP_TO = 1_000;

async function fanOf(count: number): Promise<readonly Figure[]> {
  const rivals = new Rivals(Array.from({ length: count }, () => ({ command: 'true' })));
  rivals.commit();
  await warmed(rivals);
  const rounds = count > PEERS_UP_TO ? 1 : 3;
  const turns = Array.from({ length: rounds }, () => ({ ours: rivals.time('slipway'), make: rivals.time('make').ms }));
  const oursMs = median(turns.map(({ ours }) => ours.ms));
  const peers: readonly Tool[] = count > PEERS_UP_TO ? [] : ['wireit', 'nx'];
  const what = `true × ${String(count)}`;
  const figures: readonly Figure[] = [
    { what, measured: oursMs, unit: 'ms', atMost: null },
    {
      what: `${what} : make`,
      measured: median(turns.map(({ ours, make }) => ours.ms / make)),
      unit: '×',
      atMost: MAKE_AT_MOST,
    },
    {
      what: `${what}: memory`,
      measured: Math.max(...turns.map(({ ours }) => ours.mb)),
      unit: 'MB',
      atMost: MB_AT_MOST,
    },
    ...peers.map((peer) => ({
      what: `${peer} : ${what}`,
      measured: rivals.time(peer).ms / oursMs,
      unit: '×' as const,
      atMost: null,
      atLeast: PEERS_AT_LEAST,
    })),
  ];
  rivals.remove();
  return figures;
}

export async function measureFan(): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const count of COUNTS) figures.push(...(await fanOf(count)));
  return figures;
}

await asProgram(import.meta, measureFan);
