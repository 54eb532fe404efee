import type { RunEvent, TaskOutcome } from '../model/event.ts';
import type { ServicesOf } from './services.ts';

type Finish = (outcome: TaskOutcome) => void;

/** The tasks of a run that stand for services: up once all of those are, and over when they are. */
export class StandIns {
  readonly #of: ServicesOf['standIns'];
  readonly #emit: (event: RunEvent) => void;
  /** Services outlive the run: what stands for them is done once they are up. */
  readonly #outlived: boolean;
  readonly #open = new Map<string, Finish>();
  readonly #told = new Set<string>();
  /** Services that are up, those of an earlier run included; and those that this run began. */
  readonly #up = new Set<string>();
  readonly #began = new Set<string>();
  readonly #ended = new Map<string, TaskOutcome>();

  constructor(of: ServicesOf['standIns'], emit: (event: RunEvent) => void, outlived: boolean) {
    this.#of = of;
    this.#emit = emit;
    this.#outlived = outlived;
  }

  has(task: string): boolean {
    return this.#of.has(task);
  }

  /** What it needs besides is done. */
  begin(task: string, finish: Finish): void {
    this.#open.set(task, finish);
    this.#look();
  }

  /** This run brought the service up. */
  began(service: string): void {
    this.#began.add(service);
  }

  isUp(service: string): void {
    this.#up.add(service);
    this.#look();
  }

  ended(service: string, outcome: TaskOutcome): void {
    this.#ended.set(service, outcome);
  }

  /** The services have ended, but for those that outlive the run. */
  end(): void {
    for (const [task, finish] of this.#open) {
      const outcomes = this.#servicesOf(task).map((service) => this.#ended.get(service));
      finish(outcomes.includes('failed') ? 'failed' : outcomes.every((one) => one === 'done') ? 'done' : 'cancelled');
    }
  }

  #look(): void {
    for (const [task, finish] of this.#open) {
      const services = this.#servicesOf(task);
      if (this.#told.has(task) || !services.every((service) => this.#up.has(service))) continue;
      this.#told.add(task);
      const isNew = services.some((service) => this.#began.has(service));
      if (isNew) this.#emit({ type: 'task-up', task });
      if (!this.#outlived) continue;
      this.#open.delete(task);
      finish(isNew ? 'done' : 'fresh');
    }
  }

  #servicesOf(task: string): readonly string[] {
    return this.#of.get(task) ?? [];
  }
}
