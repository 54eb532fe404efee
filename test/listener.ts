import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What somebody sent. */
export interface Heard {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Listener {
  readonly url: string;
  readonly heard: readonly Heard[];
}

/** An HTTP server that answers by the first part of the path: `/500/…` with that status, `/hang` never, `/flaky` well from the second time on. */
export async function listen(): Promise<Listener> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      const before = heard.filter((one) => one.path === path).length;
      heard.push({ path, headers: request.headers, body: Buffer.concat(chunks).toString() });
      const first = path.split('/')[1] ?? '';
      if (first === 'hang') return;
      if (first === 'redirect') response.setHeader('location', '/elsewhere');
      const status = first === 'redirect' ? 307 : first === 'flaky' ? (before === 0 ? 503 : 200) : Number(first) || 200;
      response.writeHead(status).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, heard };
}

/** An address at which nobody listens. */
export async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${String(port)}/`;
}
