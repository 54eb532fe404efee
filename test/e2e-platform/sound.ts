import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { answering, isPaused } from './api.ts';
import type { Board, Rows } from './board.ts';
import type { Platform } from './platform.ts';
import { maybe } from './proc.ts';

/** Services of the platform, sorted. */
export const SERVICES = ['backend', 'exchange', 'fetcher', 'trader'];
/** What the agent and the platform keep on a device (docs/agent.md), and nothing else. */
const FOLDERS = [
  'blobs',
  'cache',
  'copies',
  'current',
  'home',
  'incoming',
  'logs',
  'releases',
  'run',
  'shared',
  'state',
];
const DATA = /^(db\.sqlite3(-wal|-shm)?|exchange-state\.json|trader\.(gate|lock|quiesced))$/;
/** Kept by the declaration of the system, beside the current release. */
const KEEP = 3;
const MAX_COPIES = 3;

interface Wanted {
  /** What was in the database before, and what the API has accepted since. */
  readonly before: Rows;
  readonly accepted?: readonly string[];
  readonly paused?: boolean;
}

/** What must hold after every deploy, whether it worked or was taken back. */
export async function expectSound(platform: Platform, release: string, wanted: Wanted): Promise<void> {
  await expectServes(platform.board, release, wanted);
  expectTidy(platform);
}

/** What must hold whatever happened, as soon as nothing is under way any more. */
export async function expectServes(
  board: Board,
  release: string,
  { before, accepted = [], paused = false }: Wanted,
): Promise<void> {
  expect([board.current(), await answering(board), board.states()[release]]).toEqual([release, release, 'confirmed']);
  expect(board.processes().map(({ name, release }) => [name, release])).toEqual(
    SERVICES.map((name) => [name, release]),
  );
  expect(
    board.processes().filter(({ pid }) =>
      maybe(`/proc/${String(pid)}/cmdline`)
        .split('\0')
        .includes('trade'),
    ),
  ).toHaveLength(1);
  expect(await isPaused(board)).toBe(paused);
  expect(board.listening()).toEqual(Object.values(board.ports()).sort((a, b) => a - b));
  expect(board.heldLocks()).toEqual([]);
  expectRows(board.rows(), before, accepted);
}

function expectRows(now: Rows, before: Rows, accepted: readonly string[]): void {
  expect(now.orders).toBeGreaterThanOrEqual(before.orders);
  expect(now.candles).toBeGreaterThanOrEqual(before.candles);
  const known = new Set(now.clientOrderIds);
  expect([...before.clientOrderIds, ...accepted].filter((id) => !known.has(id))).toEqual([]);
}

function expectTidy(platform: Platform): void {
  const { board } = platform;
  expect(board.names('').filter((name) => !FOLDERS.includes(name))).toEqual([]);
  expect([board.names('incoming'), board.blobs(), board.temporaryFiles()]).toEqual([[], [], []]);
  expect(board.names('shared/data').filter((name) => !DATA.test(name))).toEqual([]);
  expect(board.releases().length).toBeLessThanOrEqual(KEEP + 1);
  expect(board.releases().filter((id) => board.states()[id] !== 'confirmed')).toEqual([]);
  expect(board.copies().length).toBeLessThanOrEqual(MAX_COPIES);
  const kept = readdirSync(platform.path('.slipway'), { recursive: true, encoding: 'utf8' });
  expect(kept.filter((path) => path.startsWith('rehearsal/.keys-'))).toEqual([]);
}

/** Frames around rules, and what Docker keeps for the containers of other tests. */
const NO_RULE = /^\s*(#|table|chain|type|policy|:|\*|\}|COMMIT|$)|docker|^\s*counter [^"]*return$|172\.1[67]\./i;

/** The rules of the machine's firewall, as far as it has one that may be listed; without counters. */
export function firewall(): readonly string[] {
  return [['nft', 'list', 'ruleset'], ['iptables-save']].map(([tool = '', ...args]) => {
    try {
      return execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .split('\n')
        .filter((line) => !NO_RULE.test(line))
        .map((line) => line.replace(/packets \d+ bytes \d+|\[\d+:\d+\]/g, ''))
        .join('\n');
    } catch {
      return `no answer from ${tool}`;
    }
  });
}

/** The secrets on the device stand nowhere in what a command printed, nor in what is kept of its run. */
export function expectNoSecrets(platform: Platform, ...texts: readonly string[]): void {
  const names = ['DJANGO_SECRET_KEY', 'EXCHANGE_API_KEY', 'PLATFORM_API_TOKEN'];
  const runs = platform.path('.slipway/runs');
  const files = readdirSync(runs, { recursive: true, encoding: 'utf8', withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const all = [...texts, ...files.map(({ parentPath, name }) => readFileSync(`${parentPath}/${name}`, 'utf8'))].join(
    '\n',
  );
  for (const name of names) expect(all.includes(platform.board.secret(name))).toBe(false);
}
