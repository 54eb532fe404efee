import type { DeviceTarget } from '../model/device.ts';
import { createHash } from 'node:crypto';
import type { Failure } from '../model/failure.ts';
import { textOf, type Json } from '../model/json.ts';
import type { Step } from '../model/step.ts';
import type { Limits } from './limits.ts';

/** An agent operation that a step stands for. */
export interface Operation {
  readonly op: string;
  readonly args: { readonly [name: string]: Json };
  readonly timeoutMs: number;
  readonly graceMs: number;
}

/** What stands around a step: the device, and the environment variables that its task declared. */
interface Around {
  readonly target: DeviceTarget;
  readonly env: { readonly [name: string]: string };
  readonly limits: Limits;
}

type Mapped = { readonly ok: true; readonly operation: Operation } | { readonly ok: false; readonly failure: Failure };
type CommandStep = Extract<Step, { kind: 'run' | 'shell' }>;

/** Maps a step to its agent operation; `upload` has more than one and is not among them. */
export function operationOf(step: Step, around: Around): Mapped {
  const { target, limits } = around;
  const timeoutMs = step.timeoutMs ?? limits.operationMs;
  const as = (op: string, args: { readonly [name: string]: Json }): Mapped => ({
    ok: true,
    operation: { op, args, timeoutMs, graceMs: limits.graceMs },
  });
  switch (step.kind) {
    case 'run':
    case 'shell':
      return command(step, around);
    case 'probe':
      return as(step.args.ask, limited(step));
    case 'call':
      return as(step.args.operation, limited(step));
    case 'write':
    case 'link':
    case 'remove':
      return as(step.kind, { ...step.args, step: saveId(step.id, step.args.path) });
    case 'restore':
      return as('restore', { path: step.args.path, saved: saveId(step.args.saved, step.args.path) });
    case 'service':
      return as(`service.${step.args.operation}`, { name: step.args.name, ...record(step.args.spec) });
    case 'opaque':
    case 'upload':
    case 'notify':
      return unsupported(target, `a ${step.kind} step`);
  }
}

/** A repeated step may touch several paths: what it found at each is saved on its own. */
export function saveId(step: string, path: Json): string {
  return `${step}@${createHash('sha256').update(textOf(path)).digest('hex').slice(0, 12)}`;
}

/** Some operations run a command and keep its time themselves (`data.migrate`). */
function limited(step: Extract<Step, { kind: 'probe' | 'call' }>): { readonly [name: string]: Json } {
  return { ...record(step.args.args), ...(step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs }) };
}

function command(step: CommandStep, { target, env, limits }: Around): Mapped {
  const { args } = step;
  if (args.stdin === 'terminal') return unsupported(target, 'a command that needs the terminal');
  const timeoutMs = step.timeoutMs ?? limits.operationMs;
  // A ref to a list stands for all its elements.
  const argv = 'script' in args ? ['sh', '-c', args.script] : args.argv.flat();
  const given: { readonly [name: string]: Json } = {
    argv,
    cwd: args.cwd ?? '.',
    env: { ...env, ...args.env },
    timeoutMs,
    graceMs: limits.graceMs,
    capture: args.output !== 'none',
    okExits: args.okExits ?? [0],
  };
  // The agent keeps the command's time; this side only steps in when the agent does not.
  return {
    ok: true,
    operation: {
      op: 'run',
      args: given,
      timeoutMs: timeoutMs + limits.graceMs + limits.marginMs,
      graceMs: limits.graceMs,
    },
  };
}

function unsupported(target: DeviceTarget, what: string): Mapped {
  return {
    ok: false,
    failure: {
      reason: 'device-refused',
      place: target.name,
      code: 'not-supported',
      detail: `${what} cannot be carried out on a device`,
    },
  };
}

function record(args: Json): { readonly [name: string]: Json } {
  return args !== null && typeof args === 'object' && !Array.isArray(args)
    ? (args as { readonly [name: string]: Json })
    : {};
}
