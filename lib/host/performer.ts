import { join } from 'node:path';
import { known } from '../model/fact.ts';
import { StepFailed, type Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { Cancel, LivePerformer, Performed, Performing } from '../model/ports.ts';
import type { Known } from '../model/fact.ts';
import type { OpaqueBody } from '../model/opaque.ts';
import { taskOf, type StepId } from '../model/ref.ts';
import type { Ready, ServiceHere } from '../model/service-here.ts';
import type { Step } from '../model/step.ts';
import type { BinariesArgs } from './binaries.ts';
import { boundCancel } from './cancel.ts';
import { clock } from './clock.ts';
import { argvOf, envOf, fit, flatten, optionsOf, valueOf, type CommandStep, type Outcome } from './command.ts';
import { baseEnvironment, strictEnvironment, type LookupEnv } from './environment.ts';
import { performFile, type FileStep } from './files.ts';
import { folderInside } from './inside.ts';
import { openLedger, type Ledger } from './ledger.ts';
import { createMask, type Mask } from './mask.ts';
import { safeName } from './names.ts';
import type { ChannelData, ChannelSecret, Told } from './notify.ts';
import type { PackArgs } from './pack.ts';
import { plainText } from './plain-text.ts';
import { superviseProcess, type ProcessSpec, type Supervision } from './process.ts';
import { withRetries } from './retries.ts';
import { enterScope } from './scope.ts';
import { READY_TIMEOUT_MS, Services } from './services.ts';
import type { Starter } from './starter.ts';
import { codeOf } from './store.ts';
import { currentUser } from './user.ts';

/** What the performer of one run needs to know. Folders are absolute. */
export interface HostOptions {
  readonly projectDir: string;
  readonly slipwayDir: string;
  readonly run: string;
  /** Values by name: resolved by `secret`, masked in all output. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly lookupEnv: LookupEnv;
  /** A channel's secret as a device's configuration has it; `null`: as what runs here has it. */
  readonly channelSecret?: (name: string, device: string | null) => ChannelSecret;
  readonly opaque: ReadonlyMap<StepId, OpaqueBody>;
  /** Time between asking a process to end and killing it, in ms; 5 s unless told. */
  readonly graceMs?: number;
  /** Starts commands in place of the runner. */
  readonly starter?: Starter | undefined;
}

/** The performer of the place `here`. */
export interface HostPerformer extends LivePerformer {
  secret(name: string): string | undefined;
  /** Ends what was left running, and the ledger; at the end of a run, however it ended. */
  close(): Promise<void>;
}

/** Carries out the steps of one run `here`. */
export function createHostPerformer(options: HostOptions): HostPerformer {
  const ledger = openLedger(options.slipwayDir, options.run);
  const mask = createMask(options.secrets.values());
  const site: Site = { ...options, ledger, mask, services: new Services(), baseEnv: baseEnvironment(), off: new Set() };
  return {
    explores: false,
    perform: (step, performing) => perform(site, step, performing),
    enter: (scope) => enterScope(scope, site),
    serviceEnded: (task, performing) => site.services.ended(task, performing.cancel),
    secret: (name) => options.secrets.get(name),
    async close() {
      await site.services.stopAll();
      options.starter?.close();
      ledger.close();
    },
  };
}

interface Site extends HostOptions {
  readonly ledger: Ledger;
  readonly mask: Mask;
  readonly services: Services;
  readonly baseEnv: Readonly<Record<string, string>>;
  /** Channels of which it was said that they are off. */
  readonly off: Set<string>;
}

/** Retries and timeouts are here, once for every kind: each kind only sees a cancel. An attempt has the whole timeout. */
async function perform(site: Site, step: Step, performing: Performing): Promise<Performed<Known>> {
  // An undo under way is not cut short by the run's cancel.
  const outer = boundCancel(performing.undoing ? null : performing.cancel, step.id, undefined);
  const attempt = async (): Promise<Outcome> => {
    const cancel = boundCancel(outer, whatOf(step, site.mask), step.timeoutMs);
    try {
      return await performOnce(site, step, performing, cancel);
    } catch (error) {
      if (error instanceof StepFailed) return { ok: false, failure: error.failure };
      if (codeOf(error) !== 'UNKNOWN') return { ok: false, failure: fileSystem(step, error) };
      throw error;
    } finally {
      cancel.release();
    }
  };
  const outcome = await withRetries(step, outer, clock, attempt);
  outer.release();
  return outcome.ok ? { ok: true, fact: known(outcome.value) } : outcome;
}

/** An error of the file system that no driver expected at one of its own paths. */
function fileSystem(step: Step, error: unknown): Failure {
  const path = error instanceof Error && 'path' in error ? String(error.path) : step.id;
  return { reason: 'file-system', code: codeOf(error), path, operation: step.kind };
}

function performOnce(site: Site, step: Step, performing: Performing, cancel: Cancel): Promise<Outcome> {
  switch (step.kind) {
    case 'run':
    case 'shell':
      return command(site, step, performing, cancel);
    case 'opaque':
      return opaque(site, step, performing, cancel);
    case 'write':
    case 'link':
    case 'remove':
    case 'restore':
      return Promise.resolve(file(site, step, performing, cancel));
    case 'service':
      return service(site, step, performing, cancel);
    case 'call':
      return call(site, step, cancel);
    case 'notify':
      return notify(site, step, performing, cancel);
    case 'probe':
      return probe(site, step);
    case 'upload':
      return Promise.resolve(broken(`${step.kind} has no meaning here`));
  }
}

const broken = (message: string): Outcome => ({ ok: false, failure: { reason: 'broken', message } });

function whatOf(step: Step, mask: Mask): string {
  return (
    step.summary ?? (step.kind === 'run' || step.kind === 'shell' ? mask.text(shown(step)) : `${step.kind} ${step.id}`)
  );
}

/** A command in one line, whatever its refs brought. */
function shown(step: CommandStep): string {
  const parts = step.kind === 'shell' ? ['sh', '-c', step.args.script] : (step.args.argv.flat() as readonly Json[]);
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
}

async function command(site: Site, step: CommandStep, performing: Performing, cancel: Cancel): Promise<Outcome> {
  const spec = processSpec(site, step, performing, { ...step.args, argv: argvOf(step) });
  const around = { ...supervision(site, performing, cancel), ...(site.starter && { starter: site.starter }) };
  const end = await superviseProcess({ ...spec, ...optionsOf(step) }, around);
  return end.ok ? valueOf(step, end.stdout, whatOf(step, site.mask)) : end;
}

async function opaque(
  site: Site,
  step: Extract<Step, { kind: 'opaque' }>,
  performing: Performing,
  cancel: Cancel,
): Promise<Outcome> {
  const body = site.opaque.get(step.id);
  if (!body) return broken(`${step.id} has no function: a plan read from a file cannot hold one`);
  const spec = { ...processSpec(site, step, performing, { argv: [] }), name: step.args.name };
  const { performOpaque } = await import('./opaque.ts');
  const outcome = await performOpaque(body, spec, supervision(site, performing, cancel));
  return outcome.ok ? fit(step, outcome.value, step.args.name) : outcome;
}

function file(site: Site, step: FileStep, performing: Performing, cancel: Cancel): Outcome {
  if (cancel.cancelled) return { ok: false, failure: cancel.cancelled };
  const failure = performFile(step, { ...site, run: performing.run, acted: performing.acted === true });
  return failure ? { ok: false, failure } : { ok: true, value: null };
}

async function service(
  site: Site,
  step: Extract<Step, { kind: 'service' }>,
  performing: Performing,
  cancel: Cancel,
): Promise<Outcome> {
  const name = plainText(step.args.name, `the service of ${step.id}`);
  const task = taskOf(step.id);
  if (step.args.operation === 'stop') {
    await site.services.stop(task, name);
    return { ok: true, value: null };
  }
  const spec = step.args.spec as unknown as HereSpec;
  const { port = null, ready, readyTimeoutMs = READY_TIMEOUT_MS, restart = null, after = [], ...rest } = spec;
  const readiness = ready === undefined ? null : { ready, timeoutMs: readyTimeoutMs };
  const process = processSpec(site, step, performing, { ...rest, argv: flatten(rest.argv, step.id) });
  const service = { name, process, port, readiness, restart, after };
  const failure = await site.services.start(task, service, supervision(site, performing, cancel));
  return failure ? { ok: false, failure } : { ok: true, value: null };
}

/** `ServiceHere` of the recorder, its refs replaced, without its name. */
interface HereSpec extends Pick<ServiceHere, 'port' | 'readyTimeoutMs' | 'restart' | 'after'> {
  readonly argv: readonly Json[];
  readonly cwd?: Json;
  readonly env?: { readonly [name: string]: Json };
  readonly ready?: Ready;
}

async function call(site: Site, step: Extract<Step, { kind: 'call' }>, cancel: Cancel): Promise<Outcome> {
  if (step.args.operation !== 'release.pack') return broken(`there is no operation ${step.args.operation} here`);
  const { pack } = await import('./pack.ts');
  return fit(
    step,
    { ...(await pack(step.args.args as unknown as PackArgs, site.projectDir, cancel)) },
    step.args.operation,
  );
}

async function probe(site: Site, step: Extract<Step, { kind: 'probe' }>): Promise<Outcome> {
  if (step.args.ask !== 'release.binaries') return broken(`there is no question ${step.args.ask} here`);
  const { binaries } = await import('./binaries.ts');
  return fit(step, { ...binaries(step.args.args as unknown as BinariesArgs, site.projectDir) }, step.args.ask);
}

/** Telling fails nothing: what did not get through is a line of output and stands in the value. */
async function notify(
  site: Site,
  { args }: Extract<Step, { kind: 'notify' }>,
  { run, output }: Performing,
  cancel: Cancel,
): Promise<Outcome> {
  const { system, device, release } = args.about;
  const text = (data: Json): string | null => (typeof data === 'string' ? data : null);
  const message = {
    event: text(args.event) ?? '',
    text: text(args.text) ?? '',
    because: text(args.because ?? null),
    system,
    device,
    release: text(release),
    run,
    who: currentUser(),
    at: new Date().toISOString(),
  };
  const resolve = (name: string): ChannelSecret =>
    site.channelSecret?.(name, device) ?? { ok: false, why: `${name} is not set` };
  const { notifyAll } = await import('./notify.ts');
  const told = await notifyAll(args.to as unknown as readonly ChannelData[], message, { resolve, cancel });
  for (const line of unheard(told, site.off)) output('stderr', `${line}\n`);
  return { ok: true, value: told as unknown as Json };
}

/** That a channel is off is said once a run: it stays so. */
function unheard({ unsent, off }: Told, saidOff: Set<string>): readonly string[] {
  const lines = off.map(({ channel, why }) => `not sent to ${channel}, which is off: ${why}`);
  const fresh = lines.filter((line) => !saidOff.has(line));
  for (const line of fresh) saidOff.add(line);
  return [...unsent.map(({ channel, why }) => `not sent to ${channel}: ${why}`), ...fresh];
}

interface Program {
  readonly argv: readonly string[];
  readonly cwd?: Json;
  readonly env?: { readonly [name: string]: Json };
}

function processSpec(site: Site, step: Step, performing: Performing, { argv, cwd, env }: Program): ProcessSpec {
  return {
    argv,
    cwd: folderInside(site.projectDir, cwd === undefined ? '.' : plainText(cwd, `the folder of ${step.id}`)),
    env: strictEnvironment(performing.env, envOf(env), site.lookupEnv, site.baseEnv),
    stdin: 'none',
    capture: false,
    logFile: join(site.slipwayDir, 'runs', site.run, `${safeName(step.id)}.log`),
  };
}

function supervision(site: Site, performing: Performing, cancel: Cancel): Supervision {
  const { ledger, mask, graceMs } = site;
  return { cancel, ledger, mask, output: performing.output, ...(graceMs !== undefined && { graceMs }) };
}
