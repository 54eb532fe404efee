import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** `null`: Chromium is there. */
export const NO_BROWSER = spawnSync('chromium', ['--version']).error === undefined ? null : 'chromium';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-pipe',
];

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly [name: string]: unknown };
  readonly result?: { readonly [name: string]: unknown };
  readonly error?: { readonly message: string };
}

export interface View {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
  readonly media?: 'print';
}

/** What a page did while it was open. */
export interface Deeds {
  /** Addresses that were asked for, the page's own aside. */
  readonly requests: readonly string[];
  /** What the console shows: errors, refusals by the policy, exceptions. */
  readonly complaints: readonly string[];
}

/** A real Chromium, spoken to over a pipe in the DevTools protocol. */
export class Browser {
  readonly #profile = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-chromium-')));
  readonly #child = spawn('chromium', [...FLAGS, `--user-data-dir=${this.#profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    // A group of its own: killed alone, its children would write into the profile while that is removed.
    detached: true,
  });
  readonly #ended = new Promise((resolve) => this.#child.once('exit', resolve));
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #heard: Message[] = [];
  readonly #waiting = new Map<string, () => void>();
  #session: string | undefined;
  #last = 0;

  static async open(): Promise<Browser> {
    const browser = new Browser();
    browser.#listen();
    const { targetId } = await browser.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await browser.send('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await browser.send(`${domain}.enable`);
    return browser;
  }

  /** Opens a file, and waits until it is loaded; `look` may then ask about it. */
  async visit(file: string, view: View, look: () => Promise<void>): Promise<Deeds> {
    await this.view(view);
    this.#heard.length = 0;
    const loaded = new Promise<void>((resolve) => this.#waiting.set('Page.loadEventFired', resolve));
    await this.send('Page.navigate', { url: `file://${file}` });
    await loaded;
    await look();
    const said = (method: string): readonly Message[] => this.#heard.filter((message) => message.method === method);
    const requests = said('Network.requestWillBeSent').map(
      ({ params }) => (params?.['request'] as { url: string }).url,
    );
    const complaints = ['Log.entryAdded', 'Runtime.consoleAPICalled', 'Runtime.exceptionThrown'].flatMap(said);
    return {
      requests: requests.filter((url) => url !== `file://${file}`),
      complaints: complaints.map(({ params }) => JSON.stringify(params)),
    };
  }

  async view({ width, scheme, media }: View): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false });
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.send('Emulation.setEmulatedMedia', { media: media ?? '', features });
  }

  /** The value of an expression in the page, which the page's own policy does not forbid. */
  async ask<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { readonly value: T }).value;
  }

  async press(key: string, code: number): Promise<void> {
    const about = { key, code: key, windowsVirtualKeyCode: code, ...(key === 'Enter' ? { text: '\r' } : {}) };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...about });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...about });
  }

  async close(): Promise<void> {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    await this.#ended;
    for (const stream of this.#child.stdio) stream?.destroy();
    // What is killed may still end for a moment.
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  async send(method: string, params: object = {}): Promise<NonNullable<Message['result']>> {
    const id = ++this.#last;
    const answered = new Promise<Message>((resolve) => this.#answers.set(id, resolve));
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    const { result, error } = await answered;
    if (result === undefined) throw new Error(`${method}: ${error?.message ?? 'no answer'}`);
    return result;
  }

  #listen(): void {
    let text = '';
    (this.#child.stdio[4] as Readable).setEncoding('utf8').on('data', (piece: string) => {
      const messages = (text + piece).split('\0');
      text = messages.pop() ?? '';
      for (const message of messages.map((one) => JSON.parse(one) as Message)) {
        if (message.id !== undefined) this.#answers.get(message.id)?.(message);
        if (message.method === undefined) continue;
        this.#heard.push(message);
        this.#waiting.get(message.method)?.();
      }
    });
  }
}

/** Texts whose contrast to what is behind them is below 4.5 : 1 (WCAG 2.2, 1.4.3), as an expression for `ask`. */
export const PALE_TEXTS = `(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (color) => {
    const [r, g, b] = parse(color).map((part) => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one !== null; one = one.parentElement) {
      const rect = one.matches('a.node') ? getComputedStyle(one.querySelector('rect')).fill : null;
      const color = rect ?? getComputedStyle(one).backgroundColor;
      const [, , , alpha = 1] = parse(color);
      if (alpha === 1) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set();
  let seen = 0;
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || element.closest('title') !== null) continue;
    seen++;
    const own = element instanceof SVGElement ? getComputedStyle(element).fill : getComputedStyle(element).color;
    const [a, b] = [light(own), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(element.outerHTML.slice(0, 120));
  }
  return { seen, pale: [...found] };
})()`;
