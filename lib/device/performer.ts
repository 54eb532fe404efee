import type { DeviceTarget } from '../model/device.ts';
import type { Known } from '../model/fact.ts';
import { textOf, type Json } from '../model/json.ts';
import type { Entered, LivePerformer, Performed, Performing } from '../model/ports.ts';
import type { Scope, Step } from '../model/step.ts';
import type { AgentSource } from './agent.ts';
import type { Answer } from './answer.ts';
import { LIMITS, type Limits } from './limits.ts';
import { changeOf, enterDeadMan } from './dead-man.ts';
import { createLink, type Link, type Mode } from './link.ts';
import { operationOf } from './operation.ts';
import { readPacked, sizeOf } from './packed.ts';
import { preflightStep } from './preflight.ts';
import { plainRequest, type Request } from './request.ts';
import { withBudget } from './room.ts';
import { withoutPasswords, type Environment } from './target.ts';
import { upload } from './upload.ts';
import { performed } from './value.ts';

/** What the performer of one device is made of. */
export interface DevicePerformerOptions {
  readonly device: DeviceTarget;
  readonly run: string;
  readonly secrets: ReadonlyMap<string, string>;
  readonly projectDir: string;
  /** Values of the variables that tasks declare, for commands on the device; none unless given. */
  readonly lookup?: (name: string) => string | undefined;
  /** The operator's environment, for OpenSSH's own configuration and agent. */
  readonly environment: Environment;
  /** What sudo on the device asks for; without it, it must ask nothing. */
  readonly sudoPassword?: string | null;
  readonly limits?: Partial<Limits>;
  /** Another agent than this version's own. */
  readonly source?: AgentSource;
}

/** What somebody who waits for an operation sees of it, and how it is ended. */
export type Attended = Partial<Pick<Request, 'output' | 'cancel' | 'timeoutMs'>>;

export interface DevicePerformer extends LivePerformer {
  /** Asks the agent for an operation beside any plan, for verbs such as `status`. */
  ask(op: string, args?: { readonly [name: string]: Json }, attended?: Attended): Promise<Answer>;
  /** The same over a connection and a session made for it alone: whoever asks learns what a newcomer would. */
  askFresh(op: string, args?: { readonly [name: string]: Json }): Promise<Answer>;
  /** Ends session and connection, and with them the locks; never hangs, never fails. */
  close(): Promise<void>;
}

/** Carries out the steps of one device over one session, which is made on first use. */
export function createDevicePerformer(options: DevicePerformerOptions): DevicePerformer {
  const { device: target, run, secrets } = options;
  const limits = { ...LIMITS, ...options.limits };
  const environment = withoutPasswords(options.environment);
  const link = createLink({ ...options, target, run, environment, limits });
  return {
    explores: false,
    perform: (step, performing) => perform(link, step, performing, options, limits),
    enter: (scope, performing) => enter(link, target, scope, performing, limits),
    // Services of a device outlive the run: none of them ends a `hold`.
    serviceEnded: () => new Promise(() => undefined),
    secret: (name) => secrets.get(name),
    ask: (op, args = {}, attended = {}) =>
      link.request({ ...plainRequest(op, args, limits.operationMs), ...attended }, 'working'),
    askFresh: (op, args = {}) => link.fresh(plainRequest(op, args, limits.operationMs)),
    close: () => link.close(),
  };
}

async function perform(
  link: Link,
  step: Step,
  performing: Performing,
  options: DevicePerformerOptions,
  limits: Limits,
): Promise<Performed<Known>> {
  const { projectDir, device: target } = options;
  const ask = (
    op: string,
    args: { readonly [name: string]: Json },
    more: { readonly timeoutMs?: number; readonly graceMs?: number } = {},
  ): Promise<Answer> =>
    link.request(
      { op, args, output: performing.output, cancel: cancelOf(performing), timeoutMs: limits.operationMs, ...more },
      modeOf(performing),
    );
  if (step.kind === 'upload') return performed(step, await upload(link, step, { performing, projectDir, limits }));
  const around = { target, env: declared(performing, options), limits };
  const mapped = operationOf(step, around);
  if (!mapped.ok) return mapped;
  const { op, args, ...limit } = mapped.operation;
  // The confirmation wants a connection of its own; the gate takes about as long as making one.
  if (op === 'release.gate') link.dialAhead();
  if (performing.armed) {
    const kept = changeOf(performing.armed, around);
    if (!kept.ok) return kept;
    const request = {
      op,
      args,
      ...limit,
      change: kept.change,
      output: performing.output,
      cancel: cancelOf(performing),
    };
    // A release that no newcomer can reach must not be confirmed.
    return performed(step, await (op === 'release.confirm' ? link.fresh(request) : link.request(request, 'working')));
  }
  if (op === 'device.preflight')
    return performed(step, await preflightStep((op, args) => ask(op, args, limit), args, performing.output));
  if (op !== 'device.room') return performed(step, await ask(op, args, limit));
  const packed = readPacked(projectDir, textOf(args['tree'] ?? null));
  if (!packed.ok) return packed;
  return performed(step, withBudget(args, await ask(op, { ...args, ...sizeOf(packed.packed) }, limit)));
}

async function enter(
  link: Link,
  target: DeviceTarget,
  scope: Scope,
  performing: Performing,
  limits: Limits,
): ReturnType<LivePerformer['enter']> {
  if (scope.kind === 'deadMan') return enterDeadMan(link, target, scope, performing, limits);
  if (scope.kind !== 'lock') {
    return {
      ok: false,
      failure: {
        reason: 'device-refused',
        place: target.name,
        code: 'not-supported',
        detail: `a ${scope.kind} scope exists only here`,
      },
    };
  }
  const answer = await link.lock(scope.name, cancelOf(performing), modeOf(performing));
  if (!answer.ok) return answer;
  const entered: Entered = { value: scope.name, leave: () => link.unlock(scope.name) };
  return { ok: true, entered };
}

function declared(performing: Performing, { lookup }: DevicePerformerOptions): { readonly [name: string]: string } {
  const found = performing.env.map((name) => [name, lookup?.(name)] as const);
  return Object.fromEntries(found.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

/** An undo is never cut short by what made it necessary. */
const cancelOf = (performing: Performing): Performing['cancel'] | null =>
  performing.undoing ? null : performing.cancel;
const modeOf = (performing: Performing): Mode => (performing.undoing ? 'undoing' : 'working');
