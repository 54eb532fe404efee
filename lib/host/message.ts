import { createHmac } from 'node:crypto';

/** Everything that a channel is told. */
export interface Message {
  /** `message`, or what happened to a block: `start`, `success`, `failure`, … */
  readonly event: string;
  readonly text: string;
  /** The literal reason of a failure. */
  readonly because: string | null;
  readonly system: string | null;
  readonly device: string | null;
  readonly release: string | null;
  readonly run: string;
  readonly who: string;
  /** ISO time. */
  readonly at: string;
}

/** A request that tells one channel: JSON, posted. */
export interface Post {
  readonly url: string;
  readonly body: string;
  readonly headers: { readonly [name: string]: string };
}

/** Longest message that Telegram's sendMessage takes, in UTF-16 code units (core.telegram.org/bots/api#sendmessage). */
const MAX_TELEGRAM_LENGTH = 4096;
/** Beyond this Slack cuts or splits by itself (docs.slack.dev, chat.postMessage). */
const MAX_SLACK_LENGTH = 4000;

export const TELEGRAM_SERVER = 'https://api.telegram.org';

/** What an event means, in the words that follow what it happened to. */
const WORDS: { readonly [event: string]: string } = {
  start: 'started',
  success: 'done',
  failure: 'FAILED, nothing had to be taken back',
  'taken-back': 'TAKEN BACK',
  'not-put-back': 'NOT PUT BACK from here: see status, then recover',
  unfinished: 'done and stays, but what was to follow FAILED',
};

/** How it ended, for programs: null while it has not. */
const OUTCOMES: { readonly [event: string]: string | null } = { start: null, message: null, success: 'done' };

/** The message in one line for people: `platform: deploy of 12ab… to jetson: TAKEN BACK (timed-out) · run … by …`. */
export function sentence({ event, text, because, system, run, who }: Message): string {
  const words = WORDS[event] === undefined ? '' : `: ${WORDS[event]}`;
  const why = because === null ? '' : ` (${because})`;
  return `${system === null ? '' : `${system}: `}${text}${words}${why} · run ${run}${who === '' ? '' : ` by ${who}`}`;
}

/** One JSON object for programs; with `sign`, what proves that it came from somebody who knows that secret. */
export function webhookPost(url: string, sign: string | null, message: Message): Post {
  const { event, system, device, release, run, who, at, because } = message;
  const outcome = OUTCOMES[event] === undefined ? 'failed' : OUTCOMES[event];
  const body = JSON.stringify({
    event,
    system,
    device,
    release,
    run,
    who,
    outcome,
    because,
    text: sentence(message),
    at,
  });
  const proof =
    sign === null ? {} : { 'x-slipway-signature': `sha256=${createHmac('sha256', sign).update(body).digest('hex')}` };
  return { url, body, headers: proof };
}

/** Slack's own marks are escaped (docs.slack.dev, "Escaping text"), so that no text becomes a link or a mention. */
export function slackPost(url: string, message: Message): Post {
  const text = cut(sentence(message), MAX_SLACK_LENGTH).replace(/[&<>]/g, (char) => SLACK_ESCAPES[char] ?? char);
  return { url, body: JSON.stringify({ text }), headers: {} };
}

const SLACK_ESCAPES: { readonly [char: string]: string } = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Plain text: without a `parse_mode` Telegram reads no marks. */
export function telegramPost(server: string, token: string, chat: string, message: Message): Post {
  const text = cut(sentence(message), MAX_TELEGRAM_LENGTH);
  const body = JSON.stringify({ chat_id: chat, text, link_preview_options: { is_disabled: true } });
  return { url: `${server.replace(/\/+$/, '')}/bot${token}/sendMessage`, body, headers: {} };
}

/** At most so many code units, no character cut in two. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const kept = text.slice(0, length - 1);
  return `${/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept}…`;
}
