import type { DeviceTarget } from '../../lib/model/device.ts';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { AgentSource } from '../../lib/device/agent.ts';
import {
  createDevicePerformer,
  type DevicePerformer,
  type DevicePerformerOptions,
} from '../../lib/device/performer.ts';
import type { Limits } from '../../lib/device/limits.ts';
import type { Failure } from '../../lib/model/failure.ts';
import type { Cancel, Performed, Performing } from '../../lib/model/ports.ts';
import { s, type Schema } from '../../lib/model/schema.ts';
import type { Effect, Step, StepArgs, StepKind } from '../../lib/model/step.ts';

/** Short enough for a test to reach, long enough for a busy machine. */
export const QUICK: Partial<Limits> = {
  connectMs: 5_000,
  helloMs: 10_000,
  operationMs: 30_000,
  marginMs: 1_000,
  graceMs: 500,
  relockMs: 15_000,
  reconnectMs: 5_000,
  closeMs: 2_000,
  silenceMs: 120_000,
  keepaliveMs: 500,
};

/** SSH's environment in tests: no agent, no home of the operator. */
export const BARE = { PATH: process.env['PATH'], HOME: tmpdir(), USER: 'tester' };

let runs = 0;
const open: DevicePerformer[] = [];

export function performerFor(device: DeviceTarget, more: Partial<DevicePerformerOptions> = {}): DevicePerformer {
  const run = `run-${String(process.pid)}-${String(++runs)}`;
  const performer = createDevicePerformer({
    device,
    run,
    secrets: new Map(),
    projectDir: tmpdir(),
    environment: BARE,
    ...more,
    limits: { ...QUICK, ...more.limits },
  });
  open.push(performer);
  return performer;
}

let steps = 0;

export function stepOf<K extends StepKind>(
  kind: K,
  args: StepArgs[K],
  more: { readonly yields?: Schema; readonly effect?: Effect; readonly id?: string; readonly timeoutMs?: number } = {},
): Step {
  return {
    type: 'step',
    id: `test/${String(++steps)}`,
    kind,
    place: 'board',
    effect: 'changes',
    args,
    yields: s.null,
    ...more,
  } as Step;
}

export function command(
  argv: readonly string[],
  more: { readonly output?: 'text'; readonly timeoutMs?: number } = {},
): Step {
  const { output, ...rest } = more;
  return stepOf(
    'run',
    { argv, output: output ?? 'none' },
    { yields: output === undefined ? s.null : s.string, ...rest },
  );
}

/** A cancel that a test asks for by hand. */
export function cancelByHand(): Cancel & { ask(): void } {
  const listeners = new Set<(why: Failure) => void>();
  let cancelled: Failure | null = null;
  return {
    get cancelled() {
      return cancelled;
    },
    onCancel(listener) {
      if (cancelled !== null) listener(cancelled);
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ask() {
      cancelled = { reason: 'cancelled', signal: 'SIGINT' };
      for (const listener of listeners) listener(cancelled);
    },
  };
}

export interface Watched extends Performing {
  readonly text: () => string;
}

export function performing(more: Partial<Performing> = {}): Watched {
  let text = '';
  const output = (_stream: 'stdout' | 'stderr', part: string): void => void (text += part);
  return {
    run: 'run',
    env: [],
    cancel: cancelByHand(),
    undoing: false,
    iteration: '',
    output,
    text: () => text,
    ...more,
  };
}

/** The failure of a result that must be one. */
export function failureIn(result: Performed | { readonly ok: boolean; readonly failure?: Failure }): Failure {
  const { failure } = result as { readonly failure?: Failure };
  if (failure === undefined) throw new Error(`expected a failure, got ${JSON.stringify(result)}`);
  return failure;
}

export function valueIn(result: Performed): unknown {
  if (!result.ok) throw new Error(`failed: ${JSON.stringify(result.failure)}`);
  return result.fact.known ? result.fact.value : undefined;
}

/** An agent that behaves as no real one does: `body` runs instead of it, with `hello()`, `hear()` and `say(message)`. */
export function fakeAgent(body: string): AgentSource {
  const bootstrap = [
    'import sys, json, os, time, signal',
    'def say(message): sys.stdout.write(json.dumps(message) + chr(10)); sys.stdout.flush()',
    'def hear():',
    '    line = sys.stdin.buffer.readline()',
    '    return json.loads(line) if line else sys.exit(0)',
    'header = hear()',
    'sys.stdin.buffer.read(header["agent"])',
    'def hello(): say({"hello": {"python": "3.11.2", "architecture": "x86_64", "system": "Linux", "root": header["root"]}})',
    body,
  ].join('\n');
  const agent = Buffer.from('pass\n');
  return { bootstrap, unit: '', sudo: '', agent, sha256: createHash('sha256').update(agent).digest('hex') };
}

/** Performers that a test left open would keep the agent, and a lock, alive. */
export async function rigEnded(): Promise<void> {
  await Promise.all(open.splice(0).map((performer) => performer.close()));
}
