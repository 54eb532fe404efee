import type { Channel } from './channel.ts';
import type { DeviceName } from './param.ts';
import { plain, type Ref, type Value } from './ref.ts';
import { s } from './schema.ts';
import type { StepArgs } from './step.ts';

/** Whom to tell, and about what. `device` says whose configuration the channels' secrets are of; here, unless told. */
export interface Notice {
  readonly to: Channel | readonly Channel[];
  readonly text: Value<string>;
  readonly system?: string;
  readonly device?: DeviceName;
  readonly release?: Value<string>;
}

/** What came of a message: kinds of channels that took it, that did not and why, and that are not configured. */
export const TOLD = s.object({
  sent: s.list(s.string),
  unsent: s.list(s.object({ channel: s.string, why: s.string })),
  off: s.list(s.object({ channel: s.string, why: s.string })),
});

/** The arguments of the step that tells it. */
export function notifyArgs(
  event: Value<string>,
  { to, text, ...about }: Notice,
  because?: Ref<string>,
): StepArgs['notify'] {
  const { system = null, device = null, release = null } = about;
  return {
    to: plain([to].flat()),
    event: plain(event),
    text: plain(text),
    ...(because && { because: plain(because) }),
    about: { system, device, release: plain(release) },
  };
}
