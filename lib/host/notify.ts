import { setTimeout as rest } from 'node:timers/promises';
import type { Cancel } from '../model/ports.ts';
import { isExpr, type Expr } from '../model/ref.ts';
import { textOf, type Json } from '../model/json.ts';
import { slackPost, telegramPost, TELEGRAM_SERVER, webhookPost, type Message, type Post } from './message.ts';

/** The value of a channel's secret, or why there is none. */
export type ChannelSecret =
  { readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string };

/** How long one attempt may take, and how long lies between the two, in ms. */
export interface NotifyLimits {
  readonly attemptMs: number;
  readonly betweenMs: number;
}

export const NOTIFY_LIMITS: NotifyLimits = { attemptMs: 5_000, betweenMs: 500 };
const ATTEMPTS = 2;

interface Why {
  readonly channel: string;
  readonly why: string;
}

/** What came of a message: the value of a `notify` step. */
export interface Told {
  readonly sent: readonly string[];
  readonly unsent: readonly Why[];
  /** Channels that are not configured, and need not be. */
  readonly off: readonly Why[];
}

/** A channel as it stands in a plan. */
export type ChannelData = { readonly kind: string; readonly optional?: boolean } & { readonly [field: string]: Json };

/** A channel with its secrets: how to tell it something; `off` or `wrong` and why, when it cannot be. */
export type Reached =
  | { readonly state: 'ready'; readonly post: (message: Message) => Post }
  | { readonly state: 'off'; readonly why: string }
  | { readonly state: 'wrong'; readonly why: string };

type Resolve = (name: string) => ChannelSecret;

/** Tells all channels at the same time. It never fails: what did not get through is said in the value. */
export async function notifyAll(
  channels: readonly ChannelData[],
  message: Message,
  {
    resolve,
    cancel,
    limits = NOTIFY_LIMITS,
  }: { readonly resolve: Resolve; readonly cancel: Cancel; readonly limits?: NotifyLimits },
): Promise<Told> {
  const told = { sent: [] as string[], unsent: [] as Why[], off: [] as Why[] };
  const tellOne = async (data: ChannelData): Promise<void> => {
    const channel = reachChannel(data, resolve);
    if (channel.state === 'off') return void told.off.push({ channel: data.kind, why: channel.why });
    const why = channel.state === 'ready' ? await send(channel.post(message), cancel, limits) : channel.why;
    if (why === null) told.sent.push(data.kind);
    else told.unsent.push({ channel: data.kind, why });
  };
  await Promise.all(channels.map(tellOne));
  return told;
}

/** Resolves a channel's secrets and checks what they hold; nothing of them stands in a `why`. */
export function reachChannel(channel: ChannelData, resolve: Resolve): Reached {
  const given: { [field: string]: string } = {};
  const missing: string[] = [];
  for (const [field, value] of Object.entries(channel)) {
    const found = resolved(value, resolve);
    if (found.ok) given[field] = found.value;
    else missing.push(found.why);
  }
  const [why] = missing;
  // Half a configuration is a mistake, also of an optional channel.
  const none = missing.length === Object.values(channel).filter((value) => isExpr(value)).length;
  if (why !== undefined) return channel.optional === true && none ? { state: 'off', why } : { state: 'wrong', why };
  return postOf(channel.kind, given);
}

function resolved(value: Json, resolve: Resolve): ChannelSecret {
  if (!isExpr(value)) return { ok: true, value: textOf(value) };
  const expr: Expr = value;
  return '$secret' in expr ? resolve(expr.$secret) : { ok: false, why: 'it is known too late' };
}

function postOf(kind: string, given: { readonly [field: string]: string }): Reached {
  const { url = '', webhook = '', token = '', chat = '', server = TELEGRAM_SERVER } = given;
  switch (kind) {
    case 'webhook':
      return wrongUrl(url) ?? { state: 'ready', post: (message) => webhookPost(url, given['sign'] ?? null, message) };
    case 'slack':
      return wrongUrl(webhook) ?? { state: 'ready', post: (message) => slackPost(webhook, message) };
    case 'telegram':
      if (!/^\d+:[\w-]+$/.test(token)) return { state: 'wrong', why: 'its token does not look like one' };
      return wrongUrl(server) ?? { state: 'ready', post: (message) => telegramPost(server, token, chat, message) };
    default:
      return { state: 'wrong', why: 'no such kind of channel' };
  }
}

function wrongUrl(text: string): { readonly state: 'wrong'; readonly why: string } | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) return { state: 'wrong', why: 'its address is no http(s) URL' };
  return url.username === '' && url.password === ''
    ? null
    : { state: 'wrong', why: 'its address holds a login, which is not sent' };
}

/** Why it did not get through, or null. A second attempt where the first might have failed by chance. */
async function send(post: Post, cancel: Cancel, limits: NotifyLimits): Promise<string | null> {
  const stop = new AbortController();
  const withdraw = cancel.onCancel(() => stop.abort());
  try {
    for (let attempt = 1; ; attempt++) {
      const { why, final } = await attemptOnce(post, stop.signal, limits.attemptMs);
      if (why === null || final || attempt === ATTEMPTS) return why;
      await rest(limits.betweenMs, null, { signal: stop.signal }).catch(() => null);
    }
  } finally {
    withdraw();
  }
}

/** Redirects are not followed: what the address or the body holds is meant for that server alone. */
async function attemptOnce(
  { url, body, headers }: Post,
  stop: AbortSignal,
  attemptMs: number,
): Promise<{ readonly why: string | null; readonly final: boolean }> {
  const late = AbortSignal.timeout(attemptMs);
  try {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'user-agent': 'slipway', ...headers },
      redirect: 'manual',
      signal: AbortSignal.any([stop, late]),
    });
    await answer.body?.cancel();
    if (answer.ok) return { why: null, final: true };
    return { why: `it answered ${String(answer.status)}`, final: answer.status < 500 && answer.status !== 429 };
  } catch (error) {
    if (stop.aborted) return { why: 'cancelled', final: true };
    return { why: late.aborted ? `no answer within ${String(attemptMs / 1000)} s` : codeOf(error), final: false };
  }
}

/** The system's code alone: the message of an error may quote the address. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause !== null && typeof cause === 'object' && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]+$/.test(code) ? code : 'no connection';
}
