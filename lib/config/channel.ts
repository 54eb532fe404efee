import { REHEARSAL } from './device.ts';
import type { Found, Lookup } from './lookup.ts';

/**
 * The secret of a channel for the device whose configuration this is. The rehearsal device has it in `.env.rehearsal`
 * alone and it is never generated, so that a rehearsal tells nobody in the real world.
 */
export function channelSecret(name: string, lookup: Lookup): Found | undefined {
  const found = lookup.target === REHEARSAL ? lookup.own(name) : lookup.get(name);
  return found?.value === '' ? undefined : found;
}

/** Why a channel has no secret, in words. */
export const noChannelSecret = (name: string, lookup: Lookup): string =>
  lookup.target === REHEARSAL ? `rehearsal, and .env.${REHEARSAL} does not set ${name}` : `${name} is not set`;
