import { channelSecret, noChannelSecret } from '../config/channel.ts';
import { lookupFor, type Sources } from '../config/lookup.ts';
import { reachChannel, type ChannelData, type ChannelSecret } from '../host/notify.ts';
import type { Plan } from '../model/plan.ts';
import { itemsIn } from '../model/step.ts';

/** Resolves channels' secrets from the configuration of the device that a message is about. */
export function channelSecrets(
  sources: Sources,
  paramSecrets: ReadonlyMap<string, string>,
): (name: string, device: string | null) => ChannelSecret {
  return (name, device) => {
    const lookup = lookupFor(sources, device);
    const value = paramSecrets.get(name) ?? channelSecret(name, lookup)?.value;
    return value === undefined ? { ok: false, why: noChannelSecret(name, lookup) } : { ok: true, value };
  };
}

/**
 * The channels of a plan that cannot be told anything, and why: a mistake of configuration, said before anything runs.
 * It refuses nothing: a deploy does not hang on who hears of it.
 */
export function wrongChannels(
  plan: Plan,
  sources: Sources,
  paramSecrets: ReadonlyMap<string, string>,
): readonly string[] {
  const resolve = channelSecrets(sources, paramSecrets);
  const wrong = new Set<string>();
  for (const { body } of plan.nodes) {
    for (const item of itemsIn(body)) {
      if (item.type !== 'step' || item.kind !== 'notify') continue;
      const { device } = item.args.about;
      for (const channel of item.args.to as unknown as readonly ChannelData[]) {
        const reached = reachChannel(channel, (name) => resolve(name, device));
        if (reached.state === 'wrong') wrong.add(`${channel.kind}: ${reached.why}; nobody will be told there`);
      }
    }
  }
  return [...wrong];
}
