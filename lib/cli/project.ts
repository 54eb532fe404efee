import type { Channel } from '../model/channel.ts';
import type { System } from '../model/service.ts';
import type { AnyTask } from '../model/task.ts';

/** What a `tasks.ts` hands over: the tasks, and what they are for. */
export interface Project {
  readonly tasks: readonly AnyTask[];
  /** Names of real devices that may be configured; `rehearsal` is always there. */
  readonly devices?: readonly string[];
  readonly system?: System;
  /** Channels that tasks tell what happens: `config` shows whether their secrets are set. */
  readonly channels?: readonly Channel[];
}

/** The folders of a project, absolute. */
export interface Folders {
  readonly projectDir: string;
  /** Everything that Slipway keeps in a checkout. */
  readonly slipwayDir: string;
}
