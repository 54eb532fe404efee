import { parseArgs } from 'node:util';
import { Board, type BoardId } from './testbed/board.ts';
import { containerState } from './testbed/container.ts';
import { ensureDaemon } from './testbed/daemon.ts';
import { Problem } from './testbed/problem.ts';
import { ACCOUNTS, DEFAULT_SIZE, type Account } from './testbed/settings.ts';
import { STATE } from './testbed/state.ts';

const USAGE = `npm run testbed -- VERB [options]: a board to try things on, a container that behaves as a machine

  up       make or start it, and say how to reach it
  down     remove it and its disk
  status   what it is and how it fares
  reboot   stop everything in order and start again; --hard: as if the power went
  cut      pull the network cable; connections stall
  mend     put the cable back
  fill     fill its disk to the last block; --inodes: with files
  free     give that back
  exec     run a command on it, past its network: exec [--user USER] -- COMMAND…

  --name NAME        which board (slipway-board)
  --user USER        root, pilot (sudo), clerk (sudo with a password) or guest (no sudo)
  --device DEVICE    the project's name for it, in the lines that up prints (jetson)
  --memory-mb MB     with up: its memory (${String(DEFAULT_SIZE.memoryMb)})
  --disk-mb MB       with up: its disk (${String(DEFAULT_SIZE.diskMb)})
  --inodes-max N     with up: how many files its disk takes`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'slipway-board' },
    user: { type: 'string' },
    device: { type: 'string', default: 'jetson' },
    'memory-mb': { type: 'string', default: String(DEFAULT_SIZE.memoryMb) },
    'disk-mb': { type: 'string', default: String(DEFAULT_SIZE.diskMb) },
    'inodes-max': { type: 'string' },
    hard: { type: 'boolean', default: false },
    inodes: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const id: BoardId = { name: values.name, state: STATE };
/** For people; standard output is what can be kept: `up >.env.jetson`. */
const tell = (text: string): void => void process.stderr.write(`${text}\n`);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const VERBS: { readonly [verb: string]: (() => Promise<number>) | undefined } = {
  up,
  status,
  exec,
  down,
  reboot: onBoard((board) => board.reboot(values.hard ? 'power' : 'orderly'), 'rebooted'),
  cut: onBoard((board) => board.cut(), 'cut off'),
  mend: onBoard((board) => board.mend(), 'connected again'),
  fill: onBoard((board) => board.fill(values.inodes ? 'inodes' : 'blocks'), 'full'),
  free: onBoard((board) => board.free(), 'no longer full'),
};

/** A verb that needs a board that runs, and says in a word what became of it. */
function onBoard(act: (board: Board) => Promise<void>, done: string): () => Promise<number> {
  return async () => {
    await act(await running());
    say(`${values.name}: ${done}`);
    return 0;
  };
}

async function running(): Promise<Board> {
  await ensureDaemon();
  return Board.open(id);
}

async function down(): Promise<number> {
  await ensureDaemon();
  await Board.remove(id);
  say(`${id.name}: removed`);
  return 0;
}

async function up(): Promise<number> {
  if ((await ensureDaemon()) !== null) tell(`started dockerd, which stays; its log: ${STATE}/dockerd.log`);
  const size = {
    memoryMb: count('memory-mb', values['memory-mb']),
    diskMb: count('disk-mb', values['disk-mb']),
    inodes: values['inodes-max'] === undefined ? null : count('inodes-max', values['inodes-max']),
  };
  const user = account() ?? 'pilot';
  const begun = performance.now();
  const board = await Board.up({ ...id, size });
  tell(
    `${board.name} is up (${((performance.now() - begun) / 1000).toFixed(1)} s); the lines of .env.${values.device}:`,
  );
  for (const [name, value] of Object.entries(board.environment(values.device, user))) say(`${name}=${value}`);
  const login = `-p ${String(board.ports.ssh)} -i ${board.key} -o UserKnownHostsFile=${board.knownHosts}`;
  tell(`ssh ${login} ${user}@127.0.0.1`);
  return 0;
}

async function status(): Promise<number> {
  const board = await running();
  const container = await containerState(id.name);
  const facts: [string, string][] = [
    ['state', container?.running === true ? 'runs' : 'is off'],
    ['since', container?.startedAt ?? ''],
    ['image', container?.image ?? ''],
    ['ssh', `127.0.0.1:${String(board.ports.ssh)}`],
    ['http', `127.0.0.1:${String(board.ports.http)}`],
    ['memory', `${String(board.size.memoryMb)} MiB`],
  ];
  if (container?.running === true) {
    const disk = (await board.must(['df', '--output=size,avail,iavail', '-m', '/srv'])).split('\n').at(-1) ?? '';
    const [size = '', free = '', inodes = ''] = disk.trim().split(/\s+/);
    facts.push(['disk', `${size} MiB, ${free} free, ${inodes} inodes free`]);
    facts.push(['systemd', (await board.exec(['systemctl', 'is-system-running'])).stdout.trim()]);
    facts.push(['cable', (await board.isCut()) ? 'pulled' : 'in']);
  }
  for (const [name, value] of facts) say(`${name.padEnd(8)} ${value}`);
  return 0;
}

async function exec(): Promise<number> {
  const board = await running();
  const argv = positionals.slice(1);
  if (argv.length === 0) throw new Problem({ reason: 'usage', detail: 'exec needs a command: exec -- COMMAND…' });
  return (await board.exec(argv, { user: account() ?? 'root', attached: true })).status ?? 1;
}

function account(): Account | undefined {
  const { user } = values;
  const found = ACCOUNTS.find((account) => account === user);
  if (user === undefined || found !== undefined) return found;
  throw new Problem({ reason: 'usage', detail: `no account ${user}: there are ${ACCOUNTS.join(', ')}` });
}

function count(option: string, text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new Problem({ reason: 'usage', detail: `--${option} is a whole number above 0, not ${text}` });
}

async function main(): Promise<number> {
  const [verb = ''] = positionals;
  const act = values.help ? undefined : VERBS[verb];
  if (act === undefined) {
    say(USAGE);
    return values.help ? 0 : 2;
  }
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.kind.reason === 'usage' ? 2 : 1;
  }
}

process.exitCode = await main();
