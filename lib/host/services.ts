import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { CancelSource } from '../engine/cancel.ts';
import { cancelledBy, whenCancelled } from './cancel.ts';
import { clock } from './clock.ts';
import { ask, portIsFree } from './port.ts';
import { startProcess, type ProcessEnd, type ProcessSpec, type RunningProcess, type Supervision } from './process.ts';

/** A service of `dev`, ready to start. */
export interface ServiceSpec {
  readonly name: string;
  readonly process: ProcessSpec;
  /** Null for one that listens on nothing: it is ready as soon as it runs. */
  readonly listens: Listens | null;
}

export interface Listens {
  /** Must be free before. */
  readonly port: number;
  /** URL that answers 200–399 once the service is ready. */
  readonly ready: string;
  readonly readyTimeoutMs: number;
}

/** Time for a service to get ready unless it says otherwise, in ms. */
export const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 100;

interface Running {
  readonly running: RunningProcess;
  /** Ends it. The run's own cancel does not: what was started is stopped by the undo of its start. */
  readonly stop: CancelSource;
}

/** The services that one run started `here`. */
export class Services {
  readonly #running = new Map<string, Running>();
  readonly #listeners = new Set<(failure: Failure) => void>();
  /** The first that ended by itself. */
  #ended: Failure | null = null;

  /** Starts a service and waits until it is ready; one that fails to leaves no process. A service that runs is left alone. */
  async start(spec: ServiceSpec, supervision: Supervision): Promise<Failure | null> {
    if (this.#running.has(spec.name)) return null;
    const { listens } = spec;
    if (listens !== null && !(await portIsFree(listens.port)))
      return { reason: 'port-in-use', port: listens.port, service: spec.name };
    const why = cancelledBy(supervision.cancel);
    if (why) return why;
    const stop = new CancelSource();
    const running = startProcess(spec.process, { ...supervision, cancel: stop });
    this.#running.set(spec.name, { running, stop });
    const failure = listens === null ? null : await this.#untilReady(spec.name, listens, running, supervision.cancel);
    if (failure) await this.stop(spec.name);
    else void running.ended.then((end) => this.#tell(spec.name, endedBy(spec.name, end, running)));
    return failure;
  }

  /** Stops a service and everything in its group; nothing when it does not run. */
  async stop(name: string): Promise<void> {
    const found = this.#running.get(name);
    if (!found) return;
    found.stop.cancel({ reason: 'cancelled', signal: 'SIGTERM' });
    await found.running.ended;
    this.#running.delete(name);
  }

  /** Stops whatever still runs, last started first. */
  async stopAll(): Promise<void> {
    for (const name of [...this.#running.keys()].toReversed()) await this.stop(name);
  }

  /** Waits until a service ends by itself, also one that ended before the question; or for the cancel. */
  async ended(cancel: Cancel): Promise<Failure> {
    if (this.#ended) return this.#ended;
    const cancelled = whenCancelled(cancel);
    let listener: (failure: Failure) => void = () => undefined;
    const told = new Promise<Failure>((resolve) => (listener = resolve));
    this.#listeners.add(listener);
    try {
      return await Promise.race([told, cancelled.came]);
    } finally {
      this.#listeners.delete(listener);
      cancelled.withdraw();
    }
  }

  #tell(name: string, failure: Failure): void {
    if (this.#running.get(name)?.stop.cancelled !== null) return;
    this.#running.delete(name);
    this.#ended ??= failure;
    for (const listener of this.#listeners) listener(failure);
  }

  async #untilReady(name: string, listens: Listens, running: RunningProcess, cancel: Cancel): Promise<Failure | null> {
    const deadlineMs = clock.nowMs() + listens.readyTimeoutMs;
    // What waits for the service ends with it.
    const over = new CancelSource();
    const withdraw = cancel.onCancel((why) => over.cancel(why));
    void running.ended.then((end) => over.cancel(endedBy(name, end, running)));
    const late = (last: string): Failure => ({
      reason: 'not-in-time',
      what: `${name} at ${listens.ready}`,
      timeoutMs: listens.readyTimeoutMs,
      last,
    });
    try {
      for (;;) {
        const answer = await ask(listens.ready);
        const why = cancelledBy(over);
        if (why) return why;
        if (typeof answer === 'number' && answer >= 200 && answer < 400) return null;
        if (clock.nowMs() + READY_POLL_MS >= deadlineMs) return late(String(answer));
        await clock.sleep(READY_POLL_MS, over);
      }
    } finally {
      withdraw();
    }
  }
}

function endedBy(service: string, end: ProcessEnd, running: RunningProcess): Failure {
  if (!end.ok && end.failure.reason !== 'exit-non-zero' && end.failure.reason !== 'killed-by-signal')
    return end.failure;
  const exitCode = end.ok ? end.exitCode : end.failure.reason === 'exit-non-zero' ? end.failure.exitCode : null;
  return { reason: 'service-ended', service, exitCode, tail: running.tail() };
}
