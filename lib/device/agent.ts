import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** The agent as it is sent, and the bootstrap that receives it. */
export interface AgentSource {
  readonly bootstrap: string;
  readonly agent: Buffer;
  readonly sha256: string;
}

const SOURCE = new URL('../../scripts/device/', import.meta.url);

let loaded: Promise<AgentSource> | undefined;

/** The agent of this version of Slipway, read once. */
export function agentSource(): Promise<AgentSource> {
  loaded ??= loadAgent(SOURCE);
  return loaded;
}

/** Reads an agent from a folder that holds `bootstrap.py` and `agent.py`. */
export async function loadAgent(folder: URL): Promise<AgentSource> {
  const [bootstrap, agent] = await Promise.all([
    readFile(new URL('bootstrap.py', folder), 'utf8'),
    readFile(new URL('agent.py', folder)),
  ]);
  return { bootstrap, agent, sha256: createHash('sha256').update(agent).digest('hex') };
}

/** A word that every login shell takes as it stands. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What is executed on the device; all else travels on its standard input. */
export function bootstrapCommand(source: AgentSource): string {
  return `python3 -c ${quote(source.bootstrap)}`;
}
