import type { Cancel } from '../model/ports.ts';
import { boundCancel } from './cancel.ts';

/** Time for one question to a service, in ms. */
const ASK_MS = 2_000;

/**
 * Whether a port of this machine is free. Both ways are asked: one that listens on 127.0.0.1 alone does not keep
 * another from listening on all addresses (macOS), and one in another state answers no connection but keeps the port.
 */
export async function portIsFree(port: number): Promise<boolean> {
  const answers = await Promise.all([answersOn('127.0.0.1', port), answersOn('::1', port)]);
  return !answers.includes(true) && (await canListen(port));
}

/** Whether somebody takes connections there. */
export async function answersOn(host: string, port: number): Promise<boolean> {
  const { connect } = await import('node:net');
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ASK_MS });
    const say = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => say(true));
    socket.once('error', () => say(false));
    socket.once('timeout', () => say(false));
  });
}

async function canListen(port: number): Promise<boolean> {
  const { createServer } = await import('node:net');
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

const THIS_MACHINE = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * What a URL answers now: an HTTP status, or the code of what went wrong. On this machine a certificate may be anybody's,
 * as those of development servers are: nothing is told to who answers.
 */
export async function ask(url: string, cancel: Cancel): Promise<number | string> {
  const { protocol, hostname } = new URL(url);
  const { get } = protocol === 'https:' ? await import('node:https') : await import('node:http');
  return new Promise((resolve) => {
    const options = { agent: false, rejectUnauthorized: !THIS_MACHINE.test(hostname) } as const;
    const request = get(url, options, (response) => {
      // Read on, since many servers complain of who hangs up on them; but an answer may have no end.
      response.resume();
      response.on('error', () => undefined);
      resolve(response.statusCode ?? 0);
    });
    request.on('error', (error) => resolve('code' in error ? String(error.code) : 'UNKNOWN'));
    // Not the socket's own timeout, which begins anew with every byte.
    const limit = boundCancel(cancel, url, ASK_MS);
    limit.onCancel(() => request.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
    request.once('close', () => limit.release());
  });
}
