import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Supervisor } from '../model/service.ts';

/** The agent as it is sent, and the bootstrap that receives it. */
export interface AgentSource {
  readonly bootstrap: string;
  /** Has systemd run the bootstrap in a unit of its own. */
  readonly unit: string;
  /** Says when sudo has let it through, and becomes the agent's command. */
  readonly sudo: string;
  /** The source, compressed (zlib): that is what is sent. */
  readonly agent: Buffer;
  /** Of what is sent. */
  readonly sha256: string;
}

const SOURCE = new URL('../../scripts/device/', import.meta.url);

let loaded: AgentSource | undefined;

/** The agent of this version of Slipway, read once. */
export function agentSource(): AgentSource {
  loaded ??= loadAgent(SOURCE);
  return loaded;
}

/**
 * Reads an agent from a folder that holds its scripts and the parts `agent/*.py`, one file on the device. The agent
 * itself is read and compressed when it is first asked for: the bootstrap is sent before.
 */
export function loadAgent(folder: URL): AgentSource {
  const script = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
  let packed: Packed | undefined;
  return {
    bootstrap: script('bootstrap.py'),
    unit: script('unit.sh'),
    sudo: script('sudo.py'),
    get agent() {
      return (packed ??= packAgent(folder)).agent;
    },
    get sha256() {
      return (packed ??= packAgent(folder)).sha256;
    },
  };
}

type Packed = Pick<AgentSource, 'agent' | 'sha256'>;

function packAgent(folder: URL): Packed {
  const parts = readdirSync(new URL('agent/', folder)).filter((name) => name.endsWith('.py'));
  const source = Buffer.concat(parts.sort().map((name) => readFileSync(new URL(`agent/${name}`, folder))));
  // Loaded here: it takes longer than all else of a start that never sees a device.
  const agent = process.getBuiltinModule('node:zlib').deflateSync(source, { level: 4 });
  return { agent, sha256: createHash('sha256').update(agent).digest('hex') };
}

/** A word that every login shell takes as it stands. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What is executed on the device, after `before`; all else travels on its standard input. Under systemd it hands itself to a unit. */
export function bootstrapCommand(
  { bootstrap, unit }: AgentSource,
  supervisor: Supervisor,
  before: readonly string[],
): string {
  const words =
    supervisor === 'systemd'
      ? // systemd would put variables in.
        ['sh', '-c', quote(unit), 'slipway', quote(bootstrap.replaceAll('$', '$$$$'))]
      : ['python3', '-I', '-S', '-c', quote(bootstrap)];
  return [...before, ...words].join(' ');
}
