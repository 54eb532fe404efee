import { createServer, type AddressInfo, type Server } from 'node:net';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { lives, nodeEval, pidIn, rig, step, until, type Rig } from './rig.ts';

function listen(port: number, host?: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer().listen(port, host, () => resolve(server));
    onTestFinished(() => void server.close());
  });
}

async function freePort(): Promise<number> {
  const server = await listen(0);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Serves once `go` is there; writes its pid, ends with status 9 once `end` is there. */
const SERVE = `
const fs = require('fs'), port = Number(process.env.PORT);
fs.writeFileSync('pid', process.pid + '\\n');
console.log('up, with hunter22');
let asked = 0;
const server = require('http').createServer((q, a) => { a.statusCode = q.url === '/redirect' ? 302 : ++asked > 2 ? 204 : 503; a.end(); });
setInterval(() => { if (fs.existsSync('go') && !server.listening) server.listen(port); if (fs.existsSync('end')) process.exit(9) }, 10);
`;

async function service(
  r: Rig,
  more: object = {},
  source = SERVE,
): Promise<{ start(): Promise<unknown>; stop(): Promise<unknown>; port: number }> {
  const port = await freePort();
  const spec = {
    argv: nodeEval(source),
    env: { PORT: String(port) },
    port,
    ready: `http://127.0.0.1:${String(port)}/`,
    ...more,
  };
  const act = async (operation: string): Promise<unknown> => {
    const performed = await r.host.perform(step('service', { operation, name: 'web', spec }), r.performing);
    return performed.ok ? null : performed.failure;
  };
  return { port, start: () => act('start'), stop: () => act('stop') };
}

test('a service starts, is ready when its URL answers, and stops', async () => {
  const r = rig({ secrets: { A: 'hunter22' } });
  const web = await service(r);
  fs.writeFileSync(r.path('go'), '');
  expect(await web.start()).toBe(null);
  expect(await web.start()).toBe(null);
  const pid = await pidIn(r.path('pid'));
  expect(lives(pid)).toBe(true);
  expect(r.shown()).toBe('up, with ***\n');
  expect(await web.stop()).toBe(null);
  expect(lives(pid)).toBe(false);
  expect(await web.stop()).toBe(null);
});

test('a port in use is said before anything starts', async () => {
  for (const host of [undefined, '127.0.0.1']) {
    const r = rig();
    const web = await service(r);
    await listen(web.port, host);
    expect(await web.start()).toEqual({ reason: 'port-in-use', port: web.port, service: 'web' });
    expect(fs.existsSync(r.path('pid'))).toBe(false);
  }
});

test('one with a certificate of its own is ready when it answers', async () => {
  const r = rig();
  const [key, cert] = [r.path('key'), r.path('cert')];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '1'];
  execFileSync('openssl', [...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const port = String(await freePort());
  const serve = `const fs = require('fs'), options = { key: fs.readFileSync(${JSON.stringify(key)}), cert: fs.readFileSync(${JSON.stringify(cert)}) };
require('https').createServer(options, (q, a) => a.end()).listen(process.env.PORT);`;
  const web = await service(r, { env: { PORT: port }, port: Number(port), ready: `HTTPS://localhost:${port}/` }, serve);
  expect(await web.start()).toBe(null);
  expect(await web.stop()).toBe(null);
});

test('one that is not ready in time leaves no process', async () => {
  const r = rig();
  const web = await service(r, { readyTimeoutMs: 600 });
  expect(await web.start()).toMatchObject({ reason: 'not-in-time', timeoutMs: 600, last: 'ECONNREFUSED' });
  expect(lives(await pidIn(r.path('pid')))).toBe(false);
});

/** Serves what has no end: headers at `/headers`, otherwise a body; `hung up` is there once a client of that is gone. */
const ENDLESS = `
const fs = require('fs');
require('net').createServer((socket) => {
  const send = (text) => socket.write(text);
  let again;
  socket.on('error', () => undefined).on('close', () => (clearInterval(again), fs.writeFileSync('hung up', '')));
  socket.once('data', (asked) => {
    send('HTTP/1.1 200 OK\\r\\n');
    const more = String(asked).startsWith('GET /headers') ? 'X-More: more\\r\\n' : 'data: more\\n\\n';
    if (more.startsWith('data')) send('Content-Type: text/event-stream\\r\\n\\r\\n');
    again = setInterval(() => send(more), 20);
  });
}).listen(process.env.PORT);`;

test('one whose headers have no end is not ready in time', async () => {
  const r = rig();
  const port = String(await freePort());
  const web = await service(
    r,
    { env: { PORT: port }, port: Number(port), ready: `http://127.0.0.1:${port}/headers`, readyTimeoutMs: 600 },
    ENDLESS,
  );
  expect(await web.start()).toMatchObject({ reason: 'not-in-time', timeoutMs: 600 });
});

test('one whose answer has no end is ready, and is not listened to for ever', async () => {
  const r = rig();
  const web = await service(r, {}, ENDLESS);
  expect(await web.start()).toBe(null);
  await until('the connection is closed', () => fs.existsSync(r.path('hung up')));
  expect(await web.stop()).toBe(null);
});

test('one that dies while it starts says so, with its last words', async () => {
  const r = rig();
  const web = await service(r, {}, "console.error('no database'); process.exit(4)");
  expect(await web.start()).toEqual({ reason: 'service-ended', service: 'web', exitCode: 4, tail: ['no database'] });
  const missing = await service(r, { argv: ['no-such-command'] });
  expect(await missing.start()).toEqual({ reason: 'command-not-found', command: 'no-such-command' });
});

test('a cancel while it starts ends it; afterwards only its stop does', async () => {
  const r = rig();
  const web = await service(r);
  const started = web.start();
  const pid = await pidIn(r.path('pid'));
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGHUP' });
  expect(await started).toEqual({ reason: 'cancelled', signal: 'SIGHUP' });
  expect(lives(pid)).toBe(false);
});

test('the end of a service is told, to those who ask before and after; its stop is not', async () => {
  const r = rig();
  const web = await service(r);
  fs.writeFileSync(r.path('go'), '');
  await web.start();
  let told = false;
  const waiting = r.host.serviceEnded('t', r.performing).then((failure) => ((told = true), failure));
  await web.stop();
  await web.start();
  expect(told).toBe(false);
  fs.writeFileSync(r.path('end'), '');
  const failure = { reason: 'service-ended', service: 'web', exitCode: 9, tail: ['up, with hunter22'] };
  expect(await waiting).toEqual(failure);
  expect(await r.host.serviceEnded('t', r.performing)).toEqual(failure);
});

test('one that ended before it was stopped has not ended once it is started again', async () => {
  const r = rig();
  const web = await service(r);
  fs.writeFileSync(r.path('go'), '');
  await web.start();
  fs.writeFileSync(r.path('end'), '');
  expect(await r.host.serviceEnded('t', r.performing)).toMatchObject({ reason: 'service-ended', exitCode: 9 });
  await web.stop();
  fs.rmSync(r.path('end'));
  expect(await web.start()).toBe(null);
  const waiting = r.host.serviceEnded('t', r.performing);
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' });
  expect(await waiting).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
});

test('closing the performer stops what runs; a cancel ends the wait', async () => {
  const r = rig();
  const port = await freePort();
  fs.writeFileSync(r.path('go'), '');
  const spec = {
    argv: nodeEval(SERVE),
    env: { PORT: String(port) },
    port,
    ready: `http://localhost:${String(port)}/redirect`,
  };
  expect(await r.host.perform(step('service', { operation: 'start', name: 'x', spec }), r.performing)).toMatchObject({
    ok: true,
  });
  const pid = await pidIn(r.path('pid'));
  const waiting = r.host.serviceEnded('t', r.performing);
  r.cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' });
  expect(await waiting).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
  expect(lives(pid)).toBe(true);
  await r.host.close();
  expect(lives(pid)).toBe(false);
});
