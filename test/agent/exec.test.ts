import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Device, textWith, type Agent } from './client.ts';
import { activate, pack, webRelease } from './release.ts';

interface Line {
  readonly run: string;
  readonly client: string;
  readonly op: string;
  readonly args: object;
  readonly outcome: unknown;
}

const linesOf = (text: string): readonly Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

const journal = (device: Device): readonly Line[] => linesOf(device.read('state/journal.jsonl'));

const SERVICES = [
  { name: 'web', argv: ['true'], memoryMb: 1, env: { MODE: 'web', SECRETS: { path: 'secrets' } } },
  { name: 'worker', argv: ['true'], memoryMb: 1, env: { MODE: 'worker', SECRETS: { path: 'secrets' } } },
];

const sh = (script: string): { readonly argv: readonly string[] } => ({ argv: ['sh', '-c', script] });

test('a command runs in the current release with what its services share', async () => {
  const device = new Device();
  const agent = device.session();
  const release = await activate(agent, pack({ 'hello.txt': 'hello\n' }, { services: SERVICES }));
  await agent.ok('release.exec', sh('cat hello.txt; echo $RELEASE_ID $SECRETS ${MODE-none}'));
  expect(agent.output).toContain(`hello\n${release} ${device.at('shared/secrets.env')} none\n`);
  expect(agent.output).toContain('services differ on MODE, so it is not set; --service NAME says whose is meant\n');
  await agent.ok('release.exec', { ...sh('echo mode=$MODE'), service: 'worker' });
  expect(agent.output).toContain('mode=worker\n');
  expect(await agent.fails('release.exec', { ...sh('true'), service: 'wep' })).toMatchObject({
    code: 'no-such-service',
  });
});

test('its status comes back, and the journal has it as the client told it', async () => {
  const device = new Device();
  const agent = device.session({ client: 'eve@laptop' });
  await activate(agent, pack({ a: 'a' }));
  const failure = await agent.fails('release.exec', { ...sh('echo hunter2; exit 7'), told: ['sh', '-c', 'echo ***'] });
  expect(failure).toMatchObject({ reason: 'exit-non-zero', exitCode: 7 });
  const line = journal(device).at(-1);
  expect(line).toMatchObject({
    client: 'eve@laptop',
    op: 'release.exec',
    args: { argv: ['sh', '-c', 'echo ***'] },
    outcome: { reason: 'exit-non-zero', exitCode: 7 },
  });
  expect(device.read('state/journal.jsonl')).not.toContain('hunter2');
});

test('without a release there is nothing to work in', async () => {
  const agent = new Device().session();
  expect(await agent.fails('release.exec', sh('true'))).toMatchObject({ code: 'no-such-release' });
  expect(await agent.fails('shell.begin')).toMatchObject({ code: 'no-such-release' });
  expect(await agent.fails('release.exec', { argv: [] })).toMatchObject({ code: 'bad-request' });
});

test('a shell is told where it begins, and the journal that it began and ended', async () => {
  const device = new Device();
  const agent = device.session();
  const release = await activate(agent, pack({ a: 'a' }, { services: [SERVICES[0]] }));
  expect(await agent.ok('shell.begin')).toMatchObject({
    cwd: device.at('releases', release),
    env: { MODE: 'web', RELEASE_ID: release },
  });
  await agent.ok('shell.end', { status: 0 });
  expect(journal(device).slice(-2)).toMatchObject([{ op: 'shell.begin' }, { op: 'shell.end', args: { status: 0 } }]);
});

/** Reads the journal as the agent tells it. */
async function told(
  agent: Agent,
  args: object = {},
): Promise<{ readonly answer: object; readonly lines: readonly Line[] }> {
  agent.output = '';
  const answer = await agent.ok('device.journal', args);
  return { answer, lines: linesOf(agent.output) };
}

test('the journal names each client, and is told from the rotated file on', async () => {
  const device = new Device();
  const [one, two] = [device.session({ run: 'r1', client: 'ann@a' }), device.session({ run: 'r2', client: 'bob@b' })];
  await one.ok('write', { path: 'x', content: '1', step: 's' });
  await one.ok('restore', { path: 'x', saved: 's' });
  renameSync(device.at('state/journal.jsonl'), device.at('state/journal.jsonl.1'));
  await two.ok('write', { path: 'y', content: '2', step: 's' });
  const { answer, lines } = await told(two);
  expect(lines.map(({ run, client, op }) => [run, client, op])).toEqual([
    ['r1', 'ann@a', 'write'],
    ['r1', 'ann@a', 'restore'],
    ['r2', 'bob@b', 'write'],
  ]);
  expect(answer).toEqual({ lines: 3, older: 0, damaged: 0, cutShort: false });
  expect((await told(two, { lines: 1 })).answer).toEqual({ lines: 1, older: 2, damaged: 0, cutShort: false });
});

test('a journal cut short in the middle of a line is told, and hides nothing else', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'x', content: '1', step: 's1' });
  await agent.ok('write', { path: 'x', content: '2', step: 's2' });
  const whole = readFileSync(device.at('state/journal.jsonl'), 'utf8');
  writeFileSync(device.at('state/journal.jsonl'), whole.slice(0, -20));
  expect((await told(agent)).answer).toEqual({ lines: 1, older: 0, damaged: 0, cutShort: true });
  await agent.ok('write', { path: 'x', content: '3', step: 's3' });
  appendFileSync(device.at('state/journal.jsonl'), '\0\0\0\n[1]\n');
  const { answer, lines } = await told(agent);
  expect(answer).toEqual({ lines: 2, older: 0, damaged: 3, cutShort: false });
  expect(lines.map(({ args }) => args)).toMatchObject([{ step: 's1' }, { step: 's3' }]);
});

test('a device that never changed has an empty journal', async () => {
  expect(await told(new Device().session())).toEqual({
    answer: { lines: 0, older: 0, damaged: 0, cutShort: false },
    lines: [],
  });
});

test('a service that fails tells its exec what there is', async () => {
  const agent = new Device().session();
  await activate(agent, webRelease());
  expect(await agent.fails('shell.begin', { service: 'wep' })).toMatchObject({ detail: textWith('there are: web') });
});
