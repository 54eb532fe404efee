import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './sshd.ts';

/** The cable to a device, as a proxy on loopback: cut, unplugged, or gone silent whenever a test says so. */
export class Cable {
  readonly port: number;
  readonly #to: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server | null = null;
  #connections = 0;
  #onSent: (bytes: number) => void = () => undefined;

  private constructor(port: number, to: number) {
    this.port = port;
    this.#to = to;
  }

  /** A cable to a port of this machine, plugged in. */
  static async to(port: number): Promise<Cable> {
    const cable = new Cable(await freePort(), port);
    await cable.plug();
    return cable;
  }

  /** How many connections went through it so far. */
  get connections(): number {
    return this.#connections;
  }

  plug(): Promise<void> {
    const server = createServer((near) => this.#join(near));
    this.#server = server;
    return new Promise((resolve) => server.listen(this.port, '127.0.0.1', resolve));
  }

  /** Breaks every connection and lets no new one through. */
  async unplug(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.cut();
    await closed;
  }

  /** Breaks every connection; new ones go through. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Swallows whatever is sent on the connections that there are, and closes none; new ones go through. */
  stall(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  /** Does something as soon as this many bytes went to the device from now on. */
  after(bytes: number, act: () => void): void {
    let left = bytes;
    this.#onSent = (sent) => {
      left -= sent;
      if (left > 0) return;
      this.#onSent = () => undefined;
      act();
    };
  }

  #join(near: Socket): void {
    const far = connect(this.#to, '127.0.0.1');
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    this.#connections++;
    for (const socket of pair)
      socket
        .on('error', () => undefined)
        .on('close', () => {
          near.destroy();
          far.destroy();
          this.#pairs.delete(pair);
        });
    near.on('data', (bytes: Buffer) => this.#onSent(bytes.length));
    near.pipe(far);
    far.pipe(near);
  }
}
