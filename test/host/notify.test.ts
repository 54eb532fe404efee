import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { slackPost, telegramPost, type Message } from '../../lib/host/message.ts';
import { notifyAll, reachChannel, type ChannelData, type ChannelSecret, type Told } from '../../lib/host/notify.ts';
import { slack, telegram, webhook, type Channel } from '../../lib/model/channel.ts';
import { plain, secret } from '../../lib/model/ref.ts';
import { interrupted } from '../engine/rig.ts';
import { deadUrl, listen } from '../listener.ts';

const message: Message = {
  event: 'taken-back',
  text: 'deploy of 12ab to jetson',
  because: 'timed-out',
  system: 'platform',
  device: 'jetson',
  release: '12ab',
  run: 'r-1',
  who: 'ada',
  at: '2026-01-02T03:04:05.000Z',
};
const SENTENCE = 'platform: deploy of 12ab to jetson: TAKEN BACK (timed-out) · run r-1 by ada';
const limits = { attemptMs: 300, betweenMs: 1 };
const TOKEN = '123456:AAH-very_secret';

const data = (channel: Channel): ChannelData => plain(channel) as unknown as ChannelData;
const from =
  (secrets: { readonly [name: string]: string }) =>
  (name: string): ChannelSecret => {
    const value = secrets[name];
    return value === undefined ? { ok: false, why: `${name} is not set` } : { ok: true, value };
  };

const tell = (
  channels: readonly Channel[],
  secrets: { readonly [name: string]: string },
  cancel = new CancelSource(),
): Promise<Told> => notifyAll(channels.map(data), message, { resolve: from(secrets), cancel, limits });

describe('what is sent', () => {
  test('to a webhook: one JSON object, signed', async () => {
    const { url, heard } = await listen();
    const told = await tell([webhook({ url: secret('URL'), sign: secret('KEY') })], { URL: `${url}/in?x=1`, KEY: 'k' });
    expect(told).toEqual({ sent: ['webhook'], unsent: [], off: [] });
    const [{ path, headers, body } = { path: '', headers: {}, body: '' }] = heard;
    expect(path).toBe('/in?x=1');
    expect(JSON.parse(body)).toEqual({
      event: 'taken-back',
      system: 'platform',
      device: 'jetson',
      release: '12ab',
      run: 'r-1',
      who: 'ada',
      outcome: 'failed',
      because: 'timed-out',
      text: SENTENCE,
      at: message.at,
    });
    expect(headers['content-type']).toBe('application/json');
    expect(headers['x-slipway-signature']).toBe(`sha256=${createHmac('sha256', 'k').update(body).digest('hex')}`);
  });

  test('to Slack: text in which nothing becomes a link or a mention', () => {
    const { body } = slackPost('http://x', { ...message, event: 'message', because: null, text: '<!channel> a & b' });
    expect(JSON.parse(body)).toEqual({ text: 'platform: &lt;!channel&gt; a &amp; b · run r-1 by ada' });
  });

  test('to Telegram: plain text of at most 4096 code units, to the bot of the token', async () => {
    const { url, heard } = await listen();
    const channel = telegram({ token: secret('TOKEN'), chat: '-100', server: `${url}/` });
    expect((await tell([channel], { TOKEN })).sent).toEqual(['telegram']);
    expect(heard[0]?.path).toBe(`/bot${TOKEN}/sendMessage`);
    expect(JSON.parse(heard[0]?.body ?? '')).toMatchObject({ chat_id: '-100', text: SENTENCE });
    const long = telegramPost('http://x', TOKEN, '1', { ...message, system: null, text: `${'a'.repeat(4094)}😀😀` });
    const { text } = JSON.parse(long.body) as { text: string };
    expect(text).toBe(`${'a'.repeat(4094)}…`);
  });
});

describe('what does not get through', () => {
  test.each([
    ['/500/x', 'it answered 500', 2],
    ['/404/x', 'it answered 404', 1],
    ['/redirect', 'it answered 307', 1],
    ['/hang', 'no answer within 0.3 s', 2],
  ])('%s: %s, after %i attempts', async (path, why, attempts) => {
    const { url, heard } = await listen();
    const told = await tell([slack({ webhook: secret('HOOK') })], { HOOK: `${url}${path}` });
    expect(told).toEqual({ sent: [], unsent: [{ channel: 'slack', why }], off: [] });
    expect(heard.map((one) => one.path)).toEqual(Array(attempts).fill(path));
  });

  test('is tried a second time, and may get through then', async () => {
    const { url, heard } = await listen();
    expect((await tell([slack({ webhook: secret('HOOK') })], { HOOK: `${url}/flaky` })).sent).toEqual(['slack']);
    expect(heard).toHaveLength(2);
  });

  test('keeps no other channel from being told, and they all hear at the same time', async () => {
    const { url } = await listen();
    const channels = [
      slack({ webhook: secret('HANG') }),
      webhook({ url: secret('DOWN') }),
      webhook({ url: secret('UP') }),
    ];
    const begunMs = performance.now();
    const told = await tell(channels, { HANG: `${url}/hang`, DOWN: await deadUrl(), UP: url });
    expect(told.sent).toEqual(['webhook']);
    expect(new Set(told.unsent)).toEqual(
      new Set([
        { channel: 'slack', why: 'no answer within 0.3 s' },
        { channel: 'webhook', why: 'ECONNREFUSED' },
      ]),
    );
    expect(performance.now() - begunMs).toBeLessThan(5_000);
  });

  test('is not waited for once the run is cancelled', async () => {
    const { url, heard } = await listen();
    const cancel = new CancelSource();
    const telling = notifyAll([data(slack({ webhook: secret('HOOK') }))], message, {
      resolve: from({ HOOK: `${url}/hang` }),
      cancel,
      limits: { attemptMs: 60_000, betweenMs: 60_000 },
    });
    while (heard.length === 0) await new Promise((resolve) => setImmediate(resolve));
    cancel.cancel(interrupted);
    expect(await telling).toEqual({ sent: [], unsent: [{ channel: 'slack', why: 'cancelled' }], off: [] });
  });
});

describe('a channel', () => {
  test.each([
    [webhook({ url: secret('URL') }), {}, 'wrong', 'URL is not set'],
    [webhook({ url: secret('URL'), optional: true }), {}, 'off', 'URL is not set'],
    [webhook({ url: secret('URL') }), { URL: 'ftp://x/secret' }, 'wrong', 'its address is no http(s) URL'],
    [webhook({ url: secret('URL') }), { URL: 'hooks.example/secret' }, 'wrong', 'its address is no http(s) URL'],
    [
      slack({ webhook: secret('URL') }),
      { URL: 'https://me:secret@x/' },
      'wrong',
      'its address holds a login, which is not sent',
    ],
    [telegram({ token: secret('T'), chat: secret('C'), optional: true }), { T: TOKEN }, 'wrong', 'C is not set'],
    [telegram({ token: secret('T'), chat: '1' }), { T: 'secret/../x' }, 'wrong', 'its token does not look like one'],
  ] as const)('%#: %s, because %s', (channel, secrets, state, why) => {
    expect(reachChannel(data(channel), from(secrets))).toEqual({ state, why });
  });

  test('takes its address and token only as secrets', () => {
    const plainly = { $text: ['https://hooks.example/T/B/x'] } as never;
    expect(() => slack({ webhook: plainly })).toThrow("the webhook of a slack is a secret: give secret('NAME')");
    expect(JSON.stringify(data(telegram({ token: secret('T'), chat: '1' })))).toBe(
      '{"kind":"telegram","token":{"$secret":"T"},"chat":"1"}',
    );
  });
});
