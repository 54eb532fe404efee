import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listeningPorts, maybe, pids, processesWith } from './proc.ts';

/** A process that the device runs for a release. */
export interface ServiceProcess {
  readonly name: string;
  readonly pid: number;
  readonly release: string;
}

/** What the tests look at in the database, read only. */
export interface Rows {
  readonly orders: number;
  readonly candles: number;
  readonly clientOrderIds: readonly string[];
}

interface SwitchRecord {
  readonly is: string;
  readonly run?: string;
}

/** A dead-man's switch. */
export interface Switch {
  readonly run: string;
  readonly records: readonly string[];
  /** Something is still to be decided, put back or written down. */
  readonly isOpen: boolean;
}

/** Bytes before its first record. */
const SWITCH_HEAD = 16;
/** Records of what happens between those that decide. */
const MEANWHILE = /^(change|done|undone|watched)$/;

const ROWS = `
import json, sqlite3, sys
link = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=10)
ids = [row[0] for row in link.execute('SELECT client_order_id FROM orders_order')]
[candles] = link.execute('SELECT count(*) FROM candles_candle').fetchone()
[problem] = link.execute('PRAGMA integrity_check').fetchone()
assert problem == 'ok', problem
print(json.dumps({'orders': len(ids), 'candles': candles, 'clientOrderIds': ids}))
`;

const LOCKS = `
import fcntl, sys
for path in sys.argv[1:]:
    with open(path, 'r+') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(path)
`;

/** The rehearsal device's folder and what runs from it, looked at from outside. */
export class Board {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  at(path: string): string {
    return join(this.root, path);
  }

  /** The release that `current` points at. */
  current(): string {
    return basename(readlinkSync(this.at('current')));
  }

  releases(): readonly string[] {
    return readdirSync(this.at('releases')).sort();
  }

  /** States of the releases that the device has a record of. */
  states(): { readonly [id: string]: string } {
    const records = readdirSync(this.at('state/releases')).filter((name) => name.endsWith('.json'));
    return Object.fromEntries(
      records.map((name) => [
        name.slice(0, -5),
        (JSON.parse(readFileSync(this.at(`state/releases/${name}`), 'utf8')) as { state: string }).state,
      ]),
    );
  }

  ports(): { readonly [service: string]: number } {
    return JSON.parse(readFileSync(this.at('state/ports.json'), 'utf8')) as { [service: string]: number };
  }

  secret(name: string): string {
    return new RegExp(`^${name}=(.*)$`, 'm').exec(readFileSync(this.at('shared/secrets.env'), 'utf8'))?.[1] ?? '';
  }

  /** What runs for this root, whoever started it: the mark stands in the environment. */
  processes(): readonly ServiceProcess[] {
    const mark = `SLIPWAY_SERVICE=${createHash('sha256').update(this.root).digest('hex').slice(0, 16)}/`;
    const found = pids().flatMap((pid) => {
      const environment = maybe(`/proc/${String(pid)}/environ`).split('\0');
      const marked = environment.find((one) => one.startsWith(mark));
      const release = environment.find((one) => one.startsWith('RELEASE_ID='))?.slice(11) ?? '';
      return marked === undefined ? [] : [{ name: marked.slice(mark.length).split('/')[0] ?? '', pid, release }];
    });
    return found.sort((a, b) => a.name.localeCompare(b.name));
  }

  /** Ports on which this root's processes listen. */
  listening(): readonly number[] {
    return listeningPorts(this.processes().map(({ pid }) => pid));
  }

  rows(): Rows {
    return JSON.parse(
      execFileSync('python3', ['-c', ROWS, this.at('shared/data/db.sqlite3')], { encoding: 'utf8' }),
    ) as Rows;
  }

  /** The agent's locks that somebody holds. */
  heldLocks(): readonly string[] {
    const locks = readdirSync(this.at('state')).filter((name) => name.startsWith('lock-'));
    if (locks.length === 0) throw new Error('no lock to look at');
    return execFileSync('python3', ['-c', LOCKS, ...locks.map((name) => this.at(`state/${name}`))], {
      encoding: 'utf8',
    })
      .split('\n')
      .filter(Boolean);
  }

  /** The dead-man's switch that was armed last (docs/agent.md): by which run, and what was recorded of it since. */
  switch(): Switch {
    const records = readFileSync(this.at('state/switch'))
      .subarray(SWITCH_HEAD)
      .toString()
      .split('\n')
      .flatMap((line) => (/^[0-9a-f]{8} \{/.test(line) ? [JSON.parse(line.slice(9)) as SwitchRecord] : []));
    const decided = records.map(({ is }) => is).filter((is) => !MEANWHILE.test(is));
    const isOpen = !['finished', 'taken-back'].includes(decided.at(-1) ?? '');
    return { run: records[0]?.run ?? '', records: decided, isOpen };
  }

  /** Whatever watches its lease. */
  watchers(): readonly string[] {
    return processesWith(this.at('state/keeper.py'));
  }

  /** What the agent recorded of operations that change something. */
  journal(): string {
    return readFileSync(this.at('state/journal.jsonl'), 'utf8');
  }

  /** Names in one of the device's folders; none when there is no such folder. */
  names(folder: string): readonly string[] {
    return existsSync(this.at(folder)) ? readdirSync(this.at(folder)).sort() : [];
  }

  /** Contents that arrived and stand in no release yet. */
  blobs(): readonly string[] {
    return existsSync(this.at('blobs'))
      ? readdirSync(this.at('blobs'), { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('/'))
      : [];
  }

  /** Copies of the database; what a migration that failed left is moved aside, and none of them. */
  copies(): readonly string[] {
    return this.names('copies').filter((name) => name.endsWith('.sqlite3') && !name.startsWith('aside-'));
  }

  /** What writing leaves behind when it is cut short, anywhere outside the releases' own trees. */
  temporaryFiles(): readonly string[] {
    const files = readdirSync(this.root, { recursive: true, encoding: 'utf8' });
    const doubtful = /(^|\/)(\.slipway-|\.tmp)|\.(part|new|tmp|pyc\.\d+)$/;
    return files.filter((path) => !/^releases\/[^/]+\//.test(path) && doubtful.test(path));
  }
}
