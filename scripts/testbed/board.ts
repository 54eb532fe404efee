import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceVariable } from '../../lib/model/device.ts';
import { containerState, createContainer, type ContainerState } from './container.ts';
import { attachDisk, detachDisk, makeDisk, removeDisk } from './disk.ts';
import { ensureImage } from './image.ts';
import { ensureOperatorKey, makeHostKey, operatorKey } from './keys.ts';
import { freePorts } from './ports.ts';
import { Problem } from './problem.ts';
import { must, run, type Ended, type Running } from './run.ts';
import { untilUp } from './ready.ts';
import { CLERKS_PASSWORD, DEFAULT_SIZE, type Account, type BoardPorts, type BoardSize } from './settings.ts';

/** Which board, and where its testbed keeps keys and disks. */
export interface BoardId {
  readonly name: string;
  /** The testbed's folder, absolute. */
  readonly state: string;
}

export interface UpOptions extends BoardId {
  readonly size?: Partial<BoardSize>;
  /** Who answers for it: what they left is swept away; null for a person's board. */
  readonly owner?: string | null;
}

/** How a command on the board is run. */
export interface Executing extends Running {
  readonly user?: Account;
}

interface Record {
  readonly image: string;
  readonly ports: BoardPorts;
  readonly size: BoardSize;
}

/** Longer than systemd waits for a service that does not want to stop. */
const STOP_S = 100;
const CUT = '/etc/board/cut';
const FILL = readFileSync(new URL('fill.py', import.meta.url));

/** The stand-in board: a container that starts, stops, loses its network and fills up as a machine does. */
export class Board {
  readonly name: string;
  readonly ports: BoardPorts;
  readonly size: BoardSize;
  /** The operator's private key, and what knows the board's host key. */
  readonly key: string;
  readonly knownHosts: string;
  readonly #folder: string;
  readonly #image: string;

  private constructor({ name, state }: BoardId, { image, ports, size }: Record) {
    this.name = name;
    this.ports = ports;
    this.size = size;
    this.key = operatorKey(state);
    this.#folder = join(state, name);
    this.knownHosts = join(this.#folder, 'known_hosts');
    this.#image = image;
  }

  /** Brings a board up: makes it, or starts the one that is there. Docker's daemon must answer. */
  static async up({ size = {}, owner = null, ...id }: UpOptions): Promise<Board> {
    const found = await containerOf(id);
    if (found !== null) {
      const board = Board.#read(id);
      if (!found.running) await board.#start();
      await untilUp(board, 'any');
      return board;
    }
    const image = await ensureImage();
    const board = await Board.#make(id, image, { ...DEFAULT_SIZE, ...size }, owner);
    await board.#start();
    await untilUp(board, 'nothing failed');
    await board.exec(['sh', '-c', 'for one in pilot clerk guest; do install -d -o $one -g $one /srv/$one; done']);
    return board;
  }

  static async exists(id: BoardId): Promise<boolean> {
    return (await containerOf(id)) !== null;
  }

  /** The board of that name; `no-board` when there is none. */
  static async open(id: BoardId): Promise<Board> {
    if ((await containerOf(id)) === null) throw new Problem({ reason: 'no-board', name: id.name });
    return Board.#read(id);
  }

  static #read(id: BoardId): Board {
    return new Board(id, JSON.parse(readFileSync(join(id.state, id.name, 'board.json'), 'utf8')) as Record);
  }

  static async #make(id: BoardId, image: string, size: BoardSize, owner: string | null): Promise<Board> {
    const folder = join(id.state, id.name);
    await ensureOperatorKey(id.state);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const [ssh = 0, http = 0] = await freePorts(id.name, 2);
    const board = new Board(id, { image, ports: { ssh, http }, size });
    // What an attempt that was cut short left.
    await removeDisk(image, id.name, folder);
    await makeHostKey(folder, id.name, ssh);
    await makeDisk(image, id.name, folder, size);
    writeFileSync(join(folder, 'board.json'), `${JSON.stringify({ image, ports: board.ports, size })}\n`);
    await createContainer({ name: id.name, image, folder, key: board.key, ports: board.ports, size, owner });
    return board;
  }

  /** Removes a board and its disk, whatever is left of its files; `no-board` when there is none. */
  static async remove(id: BoardId): Promise<void> {
    const found = await containerOf(id);
    if (found === null) throw new Problem({ reason: 'no-board', name: id.name });
    const folder = join(id.state, id.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await must(['docker', 'stop', '--time', '0', id.name]);
    // The disk's device first: while there is a container, whoever is cut short here can be followed by another.
    await detachDisk(found.image, id.name, folder);
    await must(['docker', 'rm', '--force', '--volumes', id.name]);
    await removeDisk(found.image, id.name, folder);
    rmSync(folder, { recursive: true, force: true });
  }

  /** Runs a command on the board, not over its network. */
  exec(argv: readonly string[], { user = 'root', ...running }: Executing = {}): Promise<Ended> {
    const terminal = running.attached === true && process.stdin.isTTY ? ['--tty'] : [];
    return run(['docker', 'exec', '--interactive', ...terminal, '--user', user, this.name, ...argv], running);
  }

  /** Standard output of a command that must succeed on the board. */
  async must(argv: readonly string[], { user = 'root', ...running }: Executing = {}): Promise<string> {
    return must(['docker', 'exec', '--interactive', '--user', user, this.name, ...argv], running);
  }

  /** Stops all services in order and starts again; or (`power`) everything ends at once, without a chance to say so. */
  async reboot(how: 'orderly' | 'power' = 'orderly'): Promise<void> {
    await this.off(how);
    await this.on();
  }

  async off(how: 'orderly' | 'power' = 'orderly'): Promise<void> {
    const argv = how === 'power' ? ['docker', 'kill'] : ['docker', 'stop', '--time', String(STOP_S)];
    await must([...argv, this.name]);
  }

  async on(): Promise<void> {
    await this.#start();
    await untilUp(this, 'any');
  }

  /**
   * Pulls the network cable, also over a reboot, until `mend`: what is on its way is lost in silence, connections stay
   * open and stall; a new one to a published port is accepted by docker, and then nothing comes.
   */
  async cut(): Promise<void> {
    await this.must(['sh', '-c', `touch ${CUT} && nft -f /etc/board/cable.nft`]);
  }

  /** Puts the cable back: connections that nobody gave up go on. */
  async mend(): Promise<void> {
    const pull = 'add table netdev cable; delete table netdev cable';
    await this.must(['sh', '-c', `rm -f ${CUT} && nft '${pull}'`]);
  }

  /** Takes all of the disk's blocks, or all of its inodes. */
  async fill(what: 'blocks' | 'inodes' = 'blocks'): Promise<void> {
    await this.must(['python3', '-', what], { input: FILL });
  }

  /** Gives back what `fill` took. */
  async free(): Promise<void> {
    await this.must(['rm', '-rf', '/srv/.full']);
  }

  /** Whether the cable is pulled; of a board that is off as it was when it was on. */
  async isCut(): Promise<boolean> {
    return (await this.exec(['test', '-e', CUT])).status === 0;
  }

  /**
   * Another text for each boot: when its first process started. /proc/sys/kernel/random/boot_id is the kernel's, which
   * a container does not boot.
   */
  async boot(): Promise<string> {
    const stat = await this.must(['cat', '/proc/1/stat']);
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  }

  /** A folder for a device's root on the board's own disk; each account's is its own. */
  rootOf(account: Account): string {
    return account === 'root' ? '/srv/slipway' : `/srv/${account}`;
  }

  /** The settings of a project's device that is this board: the lines of `.env.DEVICE`. */
  environment(device = 'jetson', account: Account = 'pilot'): { readonly [name: string]: string } {
    const settings = {
      HOST: '127.0.0.1',
      PORT: String(this.ports.ssh),
      USER: account,
      KEY: this.key,
      KNOWN_HOSTS: this.knownHosts,
      ROOT: this.rootOf(account),
      HTTP_PORT: String(this.ports.http),
      ...(account === 'clerk' ? { SUDO_PASSWORD: CLERKS_PASSWORD } : {}),
    };
    return Object.fromEntries(
      Object.entries(settings).map(([setting, value]) => [deviceVariable(device, setting), value]),
    );
  }

  async #start(): Promise<void> {
    await attachDisk(this.#image, this.name, this.#folder);
    await must(['docker', 'start', this.name]);
  }
}

/** The container of that name; `board-of-another` when another testbed made it. */
async function containerOf({ name, state }: BoardId): Promise<ContainerState | null> {
  const found = await containerState(name);
  if (found === null || found.folder === join(state, name)) return found;
  throw new Problem({ reason: 'board-of-another', name, folder: found.folder });
}
