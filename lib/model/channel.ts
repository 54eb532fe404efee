import { Ref, plain, type Value } from './ref.ts';
import type { Json } from './json.ts';

/** Where people or programs are told what happens. Addresses and tokens are secrets, given by name. */
export type Channel = WebhookChannel | SlackChannel | TelegramChannel;

interface Common {
  /** Off, without a word, while none of its secrets is set. */
  readonly optional?: boolean;
}

/** Posts one JSON object; with `sign` it carries an HMAC of the body in `X-Slipway-Signature`. */
export interface WebhookChannel extends Common {
  readonly kind: 'webhook';
  readonly url: Ref<string>;
  readonly sign?: Ref<string>;
}

/** Posts to an incoming webhook of Slack, or of what speaks its language. */
export interface SlackChannel extends Common {
  readonly kind: 'slack';
  readonly webhook: Ref<string>;
}

/** Has a bot of Telegram send a message; `server` is another Bot API server than Telegram's own. */
export interface TelegramChannel extends Common {
  readonly kind: 'telegram';
  readonly token: Ref<string>;
  readonly chat: Value<string>;
  readonly server?: Value<string>;
}

/** A channel for programs: `webhook({ url: secret('NOTIFY_URL') })`. */
export const webhook = (spec: Omit<WebhookChannel, 'kind'>): WebhookChannel =>
  hidden({ kind: 'webhook', ...spec }, 'url', 'sign');

/** A channel of Slack: `slack({ webhook: secret('SLACK_WEBHOOK') })`. */
export const slack = (spec: Omit<SlackChannel, 'kind'>): SlackChannel => hidden({ kind: 'slack', ...spec }, 'webhook');

/** A chat of Telegram: `telegram({ token: secret('TELEGRAM_TOKEN'), chat: '…' })`. */
export const telegram = (spec: Omit<TelegramChannel, 'kind'>): TelegramChannel =>
  hidden({ kind: 'telegram', ...spec }, 'token');

/** Names of the secrets that a channel, or the data that it became in a plan, refers to. */
export function secretsOfChannel(channel: Channel | Json): readonly string[] {
  return [...new Set(secretsIn(plain(channel)))];
}

function secretsIn(value: Json): readonly string[] {
  if (value === null || typeof value !== 'object') return [];
  if ('$secret' in value) return [(value as { readonly $secret: string }).$secret];
  return Object.values(value).flatMap((one) => secretsIn(one));
}

/** Refuses an address or token that is no secret: written down, it would stand in every plan and journal. */
function hidden<C extends Channel>(channel: C, ...fields: readonly string[]): C {
  for (const field of fields) {
    const value = (channel as unknown as { readonly [name: string]: unknown })[field];
    if (value !== undefined && !(value instanceof Ref && '$secret' in value.toJSON()))
      throw new TypeError(`the ${field} of a ${channel.kind} is a secret: give secret('NAME')`);
  }
  return channel;
}
