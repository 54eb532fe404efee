import { CancelSource } from '../engine/cancel.ts';
import type { Failure } from '../model/failure.ts';
import { endedHow, type Restart } from '../model/service-here.ts';
import { cancelledBy } from './cancel.ts';
import { clock } from './clock.ts';
import { portIsFree } from './port.ts';
import { startProcess, type ProcessEnd, type ProcessSpec, type RunningProcess, type Supervision } from './process.ts';
import { LineWatch, untilReady, type Readiness } from './ready.ts';

/** A service `here`, ready to start. */
export interface ServiceSpec {
  readonly name: string;
  readonly process: ProcessSpec;
  /** Must be free before; null for one that listens on nothing, or where nobody cares. */
  readonly port: number | null;
  /** Null: it is ready as soon as it runs. */
  readonly readiness: Readiness | null;
  readonly restart: Restart | null;
}

/** Longest rest before a service is started again, in ms. */
const MAX_BACKOFF_MS = 60_000;
/** Running so long is running well, in ms, unless the service says otherwise. */
const RESET_AFTER_MS = 60_000;

type Begun =
  { readonly ok: true; readonly running: RunningProcess } | { readonly ok: false; readonly failure: Failure };

/** One service from its start to its end for good, started again in between as often as it says. */
export class KeptService {
  readonly #spec: ServiceSpec;
  readonly #supervision: Supervision;
  /** Ends it. The run's own cancel does not: what was started is stopped by the undo of its start. */
  readonly #stop = new CancelSource();
  #kept: Promise<void> = Promise.resolve();

  constructor(spec: ServiceSpec, supervision: Supervision) {
    this.#spec = spec;
    this.#supervision = supervision;
  }

  /** Starts it and waits until it is ready; one that fails to leaves no process. `ended` hears of its end for good. */
  async start(ended: (failure: Failure) => void): Promise<Failure | null> {
    const withdraw = this.#supervision.cancel.onCancel((why) => this.#stop.cancel(why));
    const begun = await this.#begin();
    withdraw();
    if (!begun.ok) return begun.failure;
    this.#kept = this.#keep(begun.running).then((failure) => {
      if (failure && cancelledBy(this.#stop) === null) ended(failure);
    });
    return null;
  }

  /** Stops it and everything in its group. */
  async stop(): Promise<void> {
    this.#stop.cancel({ reason: 'cancelled', signal: 'SIGTERM' });
    await this.#kept;
  }

  async #begin(): Promise<Begun> {
    const { name, port, process, readiness } = this.#spec;
    if (port !== null && !(await portIsFree(port)))
      return { ok: false, failure: { reason: 'port-in-use', port, service: name } };
    const why = cancelledBy(this.#stop);
    if (why) return { ok: false, failure: why };
    const lines = new LineWatch(readiness?.ready);
    const life = new CancelSource(this.#stop);
    const supervision = { ...this.#supervision, cancel: life, seen: lines.see.bind(lines) };
    const running = startProcess(process, supervision);
    void running.ended.then(() => life.release());
    if (readiness === null) return { ok: true, running };
    const over = new CancelSource(life);
    const died = running.ended.then((end) => over.cancel(endedBy(name, end, running)));
    const failure = await untilReady({ name, process, supervision, lines }, readiness, over);
    if (failure === null) return { ok: true, running };
    life.cancel({ reason: 'cancelled', signal: 'SIGTERM' });
    await died;
    return { ok: false, failure: await this.#really(failure) };
  }

  /** Waits for its end for good; null when it was stopped. */
  async #keep(first: RunningProcess): Promise<Failure | null> {
    let running = first;
    for (let restarts = 0; ;) {
      const sinceMs = clock.nowMs();
      const end = await running.ended;
      let failure = await this.#really(endedBy(this.#spec.name, end, running));
      if (clock.nowMs() - sinceMs >= (this.#spec.restart?.resetAfterMs ?? RESET_AFTER_MS)) restarts = 0;
      for (let again: Begun | null = null; again?.ok !== true;) {
        if (!(await this.#rested(failure, ++restarts))) return cancelledBy(this.#stop) ? null : failure;
        again = await this.#begin();
        if (again.ok) running = again.running;
        else failure = again.failure;
      }
    }
  }

  /** Rests before the next start, and says so; false when there is none. */
  async #rested(failure: Failure, restarts: number): Promise<boolean> {
    const { name, restart } = this.#spec;
    if (cancelledBy(this.#stop) || restart === null || restarts > restart.times) return false;
    if (failure.reason === 'port-in-use') return false;
    const restMs = Math.min(restart.backoffMs * 2 ** (restarts - 1), MAX_BACKOFF_MS);
    const what = failure.reason === 'service-ended' ? endedHow(failure) : 'did not get ready';
    const text = `${name} ${what}: it is started again in ${String(restMs / 1000)} s (${String(restarts)} of ${String(restart.times)})`;
    this.#supervision.output('stderr', `${text}\n`);
    await clock.sleep(restMs, this.#stop);
    return cancelledBy(this.#stop) === null;
  }

  /** One that ended while somebody else has its port lost that to them, whatever it said. */
  async #really(failure: Failure): Promise<Failure> {
    const { name, port } = this.#spec;
    if (failure.reason !== 'service-ended' || failure.exitCode === 0 || port === null || (await portIsFree(port)))
      return failure;
    return { reason: 'port-in-use', port, service: name };
  }
}

function endedBy(service: string, end: ProcessEnd, running: RunningProcess): Failure {
  const ended = { reason: 'service-ended', service, tail: running.tail() } as const;
  if (end.ok) return { ...ended, exitCode: end.exitCode };
  const { failure } = end;
  if (failure.reason === 'exit-non-zero') return { ...ended, exitCode: failure.exitCode };
  if (failure.reason === 'killed-by-signal') return { ...ended, exitCode: null, signal: failure.signal };
  return failure;
}
