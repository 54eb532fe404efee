import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { whenCancelled } from './cancel.ts';
import { KeptService, type ServiceSpec } from './kept-service.ts';
import type { Supervision } from './process.ts';

/** Time for a service to get ready unless it says otherwise, in ms. */
export const READY_TIMEOUT_MS = 60_000;

/** Something that others wait for. */
interface Awaited<T> {
  readonly came: Promise<T>;
  readonly tell: (value: T) => void;
}

function awaited<T>(): Awaited<T> {
  let tell: (value: T) => void = () => undefined;
  const came = new Promise<T>((resolve) => (tell = resolve));
  return { came, tell: (value) => tell(value) };
}

/** The services that one run started `here`; each belongs to the task that started it. */
export class Services {
  /** In the order in which they were started. */
  readonly #started = new Map<string, KeptService>();
  readonly #ready = new Map<string, Awaited<null>>();
  /** What ended by itself, until it is stopped: an undo does that, so another attempt of the task knows nothing of it. */
  readonly #ended = new Map<string, { readonly task: string; readonly failure: Failure }>();
  /** By task. */
  readonly #heard = new Map<string, Awaited<Failure>>();

  /** Starts a service once those that it comes `after` are ready, and waits until it is. One that runs is left alone. */
  async start(
    task: string,
    spec: ServiceSpec & { readonly after: readonly string[] },
    supervision: Supervision,
  ): Promise<Failure | null> {
    const key = keyOf(task, spec.name);
    if (this.#started.has(key)) return null;
    for (const name of spec.after) {
      const why = await unlessCancelled(this.#readyOf(keyOf(task, name)).came, supervision.cancel);
      if (why) return why;
    }
    const service = new KeptService(spec, supervision);
    this.#started.set(key, service);
    const failure = await service.start((end) => {
      this.#started.delete(key);
      this.#ended.set(key, { task, failure: end });
      this.#heard.get(task)?.tell(end);
      this.#heard.delete(task);
    });
    if (failure) this.#started.delete(key);
    else this.#readyOf(key).tell(null);
    return failure;
  }

  /** Stops a service and everything in its group; nothing when it does not run. */
  async stop(task: string, name: string): Promise<void> {
    await this.#stop(keyOf(task, name));
  }

  /** Stops whatever still runs, last started first. */
  async stopAll(): Promise<void> {
    for (const key of [...this.#started.keys()].toReversed()) await this.#stop(key);
  }

  /** Waits until a service of a task ends by itself, for good, also one that ended before the question; or for the cancel. */
  ended(task: string, cancel: Cancel): Promise<Failure> {
    const before = [...this.#ended.values()].find((end) => end.task === task);
    return before ? Promise.resolve(before.failure) : unlessCancelled(found(this.#heard, task).came, cancel);
  }

  async #stop(key: string): Promise<void> {
    await this.#started.get(key)?.stop();
    this.#started.delete(key);
    this.#ready.delete(key);
    this.#ended.delete(key);
  }

  #readyOf(key: string): Awaited<null> {
    return found(this.#ready, key);
  }
}

function found<T>(all: Map<string, Awaited<T>>, key: string): Awaited<T> {
  const one = all.get(key) ?? awaited<T>();
  all.set(key, one);
  return one;
}

const keyOf = (task: string, name: string): string => `${task}/${name}`;

async function unlessCancelled<T>(came: Promise<T>, cancel: Cancel): Promise<T | Failure> {
  const cancelled = whenCancelled(cancel);
  try {
    return await Promise.race([came, cancelled.came]);
  } finally {
    cancelled.withdraw();
  }
}
