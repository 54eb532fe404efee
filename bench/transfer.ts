/** Uploads beside tar, rsync and scp, through a real sshd. Run: `node --import tsx bench/transfer.ts`. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceTarget } from '../lib/model/device.ts';
import { startSshd } from '../test/device/sshd.ts';
import { asProgram, median, type Figure } from './figures.ts';
import { shapedLink } from './link.ts';
import { changedTree, makeTree, type BenchTree } from './trees.ts';
import type { UploadTook } from './upload-run.ts';

const ROUNDS = 5;
const SLOW_ROUNDS = 3;
const MANY = 5000;
const FEW = 500;
/** 20 ms there and back, 100 Mbit/s. */
const SLOW = { delayMs: 10, bytesPerS: 12_500_000 };

/** A way to the device: what others and what this project's own upload are told. */
interface Way {
  readonly device: DeviceTarget;
  readonly ssh: readonly string[];
}

type Peer = (way: Way, tree: BenchTree, into: string) => readonly string[];

const tar: Peer = ({ ssh }, { from }, into) => [
  'sh',
  '-c',
  `tar -C '${from}/tree' -cf - . | ${ssh.join(' ')} 127.0.0.1 "tar -C '${into}' -xf -"`,
];
const rsync: Peer = ({ ssh }, { from }, into) => [
  'rsync',
  '-a',
  '-e',
  ssh.join(' '),
  `${from}/tree/`,
  `127.0.0.1:${into}/`,
];
const scp: Peer = ({ ssh }, { from }, into) => [
  'scp',
  '-q',
  '-r',
  ...ssh.slice(1).map((word) => (word === '-p' ? '-P' : word)),
  `${from}/tree`,
  `127.0.0.1:${into}/`,
];

/** The link stands in this process: what is measured runs beside it and is waited for. */
function run(command: readonly string[]): Promise<{ readonly ms: number; readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.once('error', reject);
    child.once('close', (status) =>
      status === 0
        ? resolve({ ms: performance.now() - startMs, stdout })
        : reject(new Error(`${program}: status ${String(status)}`)),
    );
  });
}

/** Where things are put; what one measurement leaves for the disk to write is not the next one's. */
class Place {
  readonly #top: string;
  #turn = 0;

  constructor(top: string) {
    this.#top = top;
  }

  async within<T>(act: (folder: string) => Promise<T>): Promise<T> {
    const folder = join(this.#top, `to-${String(++this.#turn)}`);
    mkdirSync(folder);
    try {
      spawnSync('sync');
      return await act(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** How long somebody else takes, in ms; `before` is what they find there. */
function others(place: Place, peer: Peer, way: Way, tree: BenchTree, before: BenchTree | null = null): Promise<number> {
  return place.within(async (folder) => {
    if (before) cpSync(join(before.from, 'tree'), folder, { recursive: true, preserveTimestamps: true });
    if (before) spawnSync('sync');
    return (await run(peer(way, tree, folder))).ms;
  });
}

/** How long this takes, from before the connection to after its end. */
function own(place: Place, way: Way, near: Way, tree: BenchTree, before: BenchTree | null = null): Promise<UploadTook> {
  const upload = async (device: DeviceTarget, { from, release }: BenchTree): Promise<UploadTook> => {
    const node = [process.execPath, '--import', 'tsx', join(import.meta.dirname, 'upload-run.ts')];
    return JSON.parse((await run([...node, JSON.stringify({ device, from, release })])).stdout) as UploadTook;
  };
  return place.within(async (root) => {
    if (before) await upload({ ...near.device, root }, before);
    if (before) spawnSync('sync');
    return upload({ ...way.device, root }, tree);
  });
}

/** What was measured in one round: of others in ms. */
interface Round {
  readonly tar: number;
  readonly own: UploadTook;
  readonly rsync: number;
  readonly delta: UploadTook;
  readonly rsyncDelta: number;
}

interface Trees {
  readonly many: BenchTree;
  readonly changed: BenchTree;
  readonly few: BenchTree;
}

async function onLoopback(place: Place, near: Way, { many, changed }: Trees): Promise<readonly Figure[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++)
    rounds.push({
      tar: await others(place, tar, near, many),
      own: await own(place, near, near, many),
      rsync: await others(place, rsync, near, many),
      delta: await own(place, near, near, changed, many),
      rsyncDelta: await others(place, rsync, near, changed, many),
    });
  const of = (ratio: (round: Round) => number): number => median(rounds.map(ratio));
  const told = { unit: 'ms', atMost: null } as const;
  return [
    { what: '200 MB in 5,000 files: upload', measured: of((r) => r.own.totalMs), ...told },
    {
      what: '200 MB in 5,000 files, upload : tar | ssh tar',
      measured: of((r) => r.own.totalMs / r.tar),
      unit: '×',
      atMost: 1.3,
    },
    {
      what: '200 MB in 5,000 files, upload : rsync -a',
      measured: of((r) => r.own.totalMs / r.rsync),
      unit: '×',
      atMost: 1,
    },
    {
      what: "200 MB in 5,000 files: the client's memory",
      measured: of((r) => r.own.maxRssMb),
      unit: 'MB',
      atMost: 120,
    },
    { what: '1 % changed: upload', measured: of((r) => r.delta.totalMs), ...told },
    {
      what: '1 % changed, upload : rsync -a',
      measured: of((r) => r.delta.totalMs / r.rsyncDelta),
      unit: '×',
      atMost: 1,
    },
  ];
}

async function overSlowLink(
  place: Place,
  near: Way,
  far: Way,
  { many, changed, few }: Trees,
): Promise<readonly Figure[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < SLOW_ROUNDS; round++)
    rounds.push({
      tar: await others(place, tar, far, few),
      own: await own(place, far, near, few),
      rsync: await others(place, rsync, far, few),
      delta: await own(place, far, near, changed, many),
      rsyncDelta: await others(place, rsync, far, changed, many),
    });
  const [scpMs, first] = [await others(place, scp, far, few), await own(place, far, near, many)];
  const of = (ratio: (round: Round) => number): number => median(rounds.map(ratio));
  const told = { unit: 'ms', atMost: null } as const;
  const times = { unit: '×' } as const;
  return [
    { what: '20 MB of source, slow link: upload', measured: of((r) => r.own.totalMs), ...told },
    {
      what: '20 MB of source, slow link: tar | ssh tar : upload',
      measured: of((r) => r.tar / r.own.totalMs),
      ...times,
      atMost: null,
      atLeast: 1.4,
    },
    {
      what: '20 MB of source, slow link: rsync -a : upload',
      measured: of((r) => r.rsync / r.own.totalMs),
      ...times,
      atMost: null,
      atLeast: 1.4,
    },
    {
      what: '20 MB of source, slow link: scp -r : upload',
      measured: of((r) => scpMs / r.own.totalMs),
      ...times,
      atMost: null,
      atLeast: 20,
    },
    { what: '1 % changed, slow link: upload', measured: of((r) => r.delta.totalMs), ...told },
    {
      what: '1 % changed, slow link: upload : rsync -a',
      measured: of((r) => r.delta.totalMs / r.rsyncDelta),
      ...times,
      atMost: 1,
    },
    {
      what: '1 % changed, slow link: first upload : upload',
      measured: of((r) => first.totalMs / r.delta.totalMs),
      ...times,
      atMost: null,
      atLeast: 20,
    },
  ];
}

/** All take turns, in one run; those who are compared do so within one round. */
export async function measureTransfer(): Promise<readonly Figure[]> {
  const top = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  const sshd = await startSshd({ config: ['Subsystem sftp internal-sftp'] });
  const link = await shapedLink(sshd.device.port ?? 22, SLOW);
  try {
    const wayTo = (port: number): Way => {
      const knownHosts = join(top, `known-${String(port)}`);
      writeFileSync(
        knownHosts,
        Object.values(sshd.hostKeys)
          .map((key) => `[127.0.0.1]:${String(port)} ${key}\n`)
          .join(''),
      );
      const ssh = [
        'ssh',
        '-F',
        'none',
        '-p',
        String(port),
        '-i',
        sshd.device.key ?? '',
        '-o',
        `UserKnownHostsFile=${knownHosts}`,
        '-o',
        'BatchMode=yes',
      ];
      return { device: { ...sshd.device, port, knownHosts }, ssh };
    };
    const [near, far] = [wayTo(sshd.device.port ?? 22), wayTo(link.port)];
    const many = makeTree(join(top, 'many'), MANY, 'random');
    const changed = changedTree(many, join(top, 'changed'), MANY, 'random');
    const trees = { many, changed, few: makeTree(join(top, 'few'), FEW, 'source') };
    const place = new Place(top);
    return [...(await onLoopback(place, near, trees)), ...(await overSlowLink(place, near, far, trees))];
  } finally {
    await link.close();
    await sshd.stop();
    rmSync(top, { recursive: true, force: true });
  }
}

await asProgram(import.meta, measureTransfer);
