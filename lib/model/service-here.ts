import { UsageError, type Failure } from './failure.ts';
import { plain, type Value } from './ref.ts';
import type { Retries, StepArgs } from './step.ts';

/**
 * What tells that a service is ready: a URL that answers 200–399, a port that takes connections, a line of its output
 * in which a JavaScript regular expression is found, or a command that ends with 0.
 */
export type Ready =
  string | { readonly tcp: number } | { readonly log: string } | { readonly command: readonly string[] };

/** How often a service that ended is started again, and how long it rests before (doubled each time, a minute at most). */
export interface Restart {
  readonly times: number;
  readonly backoffMs: number;
  /** After running so long the count begins anew; a minute unless told. */
  readonly resetAfterMs?: number;
}

/** A process that is kept up `here`. */
export type ServiceHere = ProcessHere &
  (
    | { readonly ready: Ready; readonly readyTimeoutMs?: number }
    /** It is ready as soon as it runs. */
    | { readonly ready?: never; readonly readyTimeoutMs?: never }
  );

interface ProcessHere {
  readonly name: string;
  readonly argv: readonly Value<string>[];
  readonly cwd?: Value<string>;
  readonly env?: { readonly [name: string]: Value<string> };
  /** Must be free before it starts. */
  readonly port?: number;
  /** Services of the same `serve` that are ready before it starts, and stop after it. */
  readonly after?: readonly string[];
  /** Without it the first end is its last. */
  readonly restart?: Restart;
}

/** How a service ended, in words. */
export const endedHow = ({ exitCode, signal }: Extract<Failure, { reason: 'service-ended' }>): string =>
  exitCode !== null
    ? `ended with status ${String(exitCode)}`
    : signal === undefined
      ? 'ended'
      : `was ended by ${signal}`;

/** Most times in a row that a service may be started again. */
const MAX_RESTARTS = 100;

/** The arguments of the step that starts a service; refuses what could never be kept to. */
export function startArgs({ name, ...spec }: ServiceHere): StepArgs['service'] {
  const { ready, readyTimeoutMs, restart, argv, port } = spec;
  if (argv.length === 0)
    throw new UsageError(`the service ${name} has no command`, 'argv is its name and its arguments');
  if (port !== undefined) refusePort(name, port);
  refuseTimeout(readyTimeoutMs, () => `the service ${name}`);
  if (ready !== undefined) refuseReady(name, ready);
  if (restart !== undefined) refuseRestart(name, restart);
  return { operation: 'start', name, spec: plain(spec) };
}

/** A timeout that would be over before anything began is a mistake, not a way to say "none". */
export function refuseTimeout(timeoutMs: number | undefined, what: () => string): void {
  if (timeoutMs === undefined || (Number.isFinite(timeoutMs) && timeoutMs > 0)) return;
  const why = timeoutMs <= 0 ? 'which would be over before it began' : 'which is no time';
  throw new UsageError(
    `${what()} declares a timeout of ${String(timeoutMs)} ms, ${why}`,
    'give a time in ms above 0, or leave it out',
  );
}

/** Times that are no number would be tried again for ever. */
export function refuseRetries(retries: Retries | undefined, what: () => string): void {
  if (retries === undefined) return;
  const { times, backoffMs } = retries;
  if (Number.isInteger(times) && times >= 0 && backoffMs >= 0 && backoffMs < Infinity) return;
  throw new UsageError(
    `${what()} declares retries that cannot be kept to: ${JSON.stringify(retries)}`,
    'give them as { times: 2, backoffMs: 500 }',
  );
}

function refuseReady(name: string, ready: Ready): void {
  if (typeof ready === 'string') refuseUrl(name, ready);
  else if ('tcp' in ready) refusePort(name, ready.tcp);
  else if ('log' in ready) refusePattern(name, ready.log);
  else if (ready.command.length === 0)
    throw new UsageError(`the service ${name} is ready by a command that is empty`, 'name it: { command: [name, …] }');
}

const MAX_PORT = 65_535;

function refusePort(name: string, port: number): void {
  if (Number.isInteger(port) && port >= 1 && port <= MAX_PORT) return;
  throw new UsageError(
    `the service ${name} names the port ${String(port)}`,
    `a port is a whole number from 1 to ${String(MAX_PORT)}`,
  );
}

/** A host, or an address in brackets; a port; the rest. */
const URL_SHAPE = /^https?:\/\/(\[[\da-f:]+\]|[^\s/?#:[\]]+)(:\d{1,5})?([/?#]\S*)?$/i;

function refuseUrl(name: string, url: string): void {
  if (URL_SHAPE.test(url)) return;
  throw new UsageError(
    `the service ${name} is ready by a URL that is none: ${url}`,
    'give it whole: http://127.0.0.1:8000/health; of a port, { tcp: 8000 }',
  );
}

function refusePattern(name: string, pattern: string): void {
  try {
    new RegExp(pattern);
  } catch {
    throw new UsageError(
      `the service ${name} is ready by a pattern that is no regular expression: ${pattern}`,
      'correct it, and escape what is meant as it stands: \\( \\[ \\+',
    );
  }
}

function refuseRestart(name: string, { times, backoffMs, resetAfterMs = 1 }: Restart): void {
  if (Number.isInteger(times) && times >= 1 && times <= MAX_RESTARTS && backoffMs > 0 && resetAfterMs > 0) return;
  throw new UsageError(
    `the service ${name} declares a restart that cannot be kept to: times ${String(times)}, backoffMs ${String(backoffMs)}`,
    `times is a whole number from 1 to ${String(MAX_RESTARTS)}, and every time is above 0 ms`,
  );
}
