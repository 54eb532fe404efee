import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Device, textWith, until } from './client.ts';
import { activate, webRelease } from './release.ts';

/** A device with a log of a service `web` that once was, and what was rotated away before it. */
function withLog(log: string | null, older: string | null = null): Device {
  const device = new Device();
  mkdirSync(device.at('logs'), { recursive: true });
  if (log !== null) writeFileSync(device.at('logs/web.log'), log);
  if (older !== null) writeFileSync(device.at('logs/web.log.1'), older);
  return device;
}

const numbered = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, n) => `line ${String(from + n)}\n`).join('');

test.each<[string, string, string | null, number, string]>([
  ['the last lines', numbered(1, 50), null, 3, numbered(48, 50)],
  ['all that there are', numbered(1, 3), null, 10, numbered(1, 3)],
  ['none', numbered(1, 3), null, 0, ''],
  ['a line without its end', 'a\nb\nc', null, 2, 'b\nc'],
  ['lines from before the rotation', numbered(4, 5), numbered(1, 3), 4, numbered(2, 5)],
  ['a file that was just begun', '', numbered(1, 3), 2, numbered(2, 3)],
  ['more than one block', numbered(1, 20_000), null, 15_000, numbered(5_001, 20_000)],
  ['empty lines', '\n\n\n', null, 2, '\n\n'],
  ['characters of several bytes', `${'ü'.repeat(20_000)}\n`, null, 1, `${'ü'.repeat(20_000)}\n`],
])('%s', async (_, log, older, lines, shown) => {
  const agent = withLog(log, older).session();
  await agent.ok('service.logs', { name: 'web', lines });
  expect(agent.output).toBe(shown);
});

test('followed, it goes on past a rotation until it is cancelled', async () => {
  const device = withLog('old\n');
  const agent = device.session();
  const following = agent.ask('service.logs', { name: 'web', lines: 1, follow: true });
  await until('the beginning', () => agent.output === 'old\n');
  appendFileSync(device.at('logs/web.log'), 'new\n');
  await until('what was appended', () => agent.output === 'old\nnew\n');
  appendFileSync(device.at('logs/web.log'), 'last of the first\n');
  renameSync(device.at('logs/web.log'), device.at('logs/web.log.1'));
  writeFileSync(device.at('logs/web.log'), 'first of the second\n');
  await until('the next file', () => agent.output.endsWith('last of the first\nfirst of the second\n'));
  writeFileSync(device.at('logs/web.log'), 'cut\n');
  await until('a file that was cut', () => agent.output.endsWith('second\ncut\n'));
  agent.cancel(following.id);
  expect(await following).toMatchObject({ ok: false, failure: { reason: 'cancelled' } });
  expect(await agent.ok('service.names')).toEqual({ names: ['web'] });
});

test('a log that is not there yet is waited for', async () => {
  const device = new Device();
  const agent = device.session();
  await activate(agent, webRelease());
  const following = agent.ask('service.logs', { name: 'web', lines: 5, follow: true });
  mkdirSync(device.at('logs'), { recursive: true });
  writeFileSync(device.at('logs/web.log'), 'hello\n');
  await until('it came', () => agent.output === 'hello\n');
  agent.cancel(following.id);
  await following;
});

test('services are named: what is declared, and what left a log; others are refused', async () => {
  const agent = withLog('x\n').session();
  await activate(agent, webRelease('', {}, [{ name: 'worker', argv: ['true'], memoryMb: 1 }]));
  expect(await agent.ok('service.names')).toEqual({ names: ['web', 'worker'] });
  expect(await agent.fails('service.logs', { name: 'wep', lines: 1 })).toMatchObject({
    code: 'no-such-service',
    detail: textWith('there are: web, worker'),
  });
  expect(await agent.fails('service.logs', { name: '../web', lines: 1 })).toMatchObject({ code: 'bad-request' });
});
