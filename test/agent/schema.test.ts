import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Agent, Device, given, textWith, type Verdict } from './client.ts';
import { activate, pack, stage } from './release.ts';

/** Says what is written beside the database; without that it breaks. */
const ACCEPTS = `
import json, os, sys
print("some noise")
said = json.load(open(os.path.join(sys.argv[1], "said.json")))[os.environ["NOTE"]]
print(said if isinstance(said, str) else json.dumps(said))
sys.exit(0 if isinstance(said, dict) and said.get("accepts") else int(os.environ["STATUS"]))
`;

const release = (note: string, status = 1, more: object = {}): ReturnType<typeof pack> =>
  pack(
    { 'accepts.py': ACCEPTS, 'note.txt': note },
    {
      database: {
        path: 'app.db',
        migrate: ['python3', '-c', 'pass'],
        accepts: ['python3', 'accepts.py', { path: 'data' }],
        env: { NOTE: note, STATUS: String(status) },
        ...more,
      },
    },
  );

const KNOWS = { accepts: true, head: 'app.0007', missing: [], detail: '' };
const OLD = {
  accepts: false,
  head: 'app.0007',
  against: ['app.0007'],
  missing: [],
  detail: 'app.0007 took a column away',
};

/** A device with a database, and what its releases are to say of it. */
async function device(said: {
  readonly [note: string]: unknown;
}): Promise<{ device: Device; agent: Agent; ask: (id: string, migrates?: boolean) => Promise<Verdict> }> {
  const device = new Device();
  const agent = device.session();
  await agent.hello;
  mkdirSync(device.at('shared/data'), { recursive: true });
  writeFileSync(device.at('shared/data/app.db'), '');
  writeFileSync(device.at('shared/data/said.json'), JSON.stringify(said));
  const ask = (id: string, migrates = false): Promise<Verdict> =>
    agent.ok('release.accepts', { release: id, migrates });
  return { device, agent, ask };
}

test('a release that can run on the schema is accepted; one that cannot is not, and names who can', async () => {
  const { agent, ask } = await device({ a: OLD, b: KNOWS, c: OLD, d: KNOWS });
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((note) => release(note));
  for (const one of [a, b, c]) await activate(agent, given(one));
  // Staged, and never confirmed: no rollback goes there.
  await stage(agent, given(d));
  expect(await ask(given(b).id)).toEqual({ accepts: true, detail: '', help: '' });
  expect(await ask(given(a).id)).toEqual({
    accepts: false,
    detail: 'app.0007 took a column away',
    help: `releases here that can: ${given(b).id}`,
  });
  expect(await agent.fails('release.accepts', { release: 'e'.repeat(16) })).toMatchObject({ code: 'no-such-release' });
});

test('where no release can, what must come is named', async () => {
  const { agent, ask } = await device({ a: OLD, b: { accepts: false } });
  const [a, b] = [release('a'), release('b')];
  for (const one of [a, b]) await activate(agent, one);
  expect((await ask(a.id)).help).toBe('no other confirmed release here can; deploy one that knows app.0007');
  expect(await ask(b.id)).toEqual({
    accepts: false,
    detail: 'the schema has gone on',
    help: 'no other confirmed release here can; deploy one that can',
  });
});

test('what is missing stands against a rollback, and not against a deploy, which applies it', async () => {
  const { agent, ask } = await device({ a: { ...KNOWS, missing: ['app.0008', 'app.0009'] } });
  const id = await stage(agent, release('a'));
  expect(await ask(id, true)).toMatchObject({ accepts: true });
  expect(await ask(id)).toEqual({
    accepts: false,
    detail: 'the database lacks app.0008, app.0009',
    help: 'a deploy of it applies what is missing',
  });
});

test.each([
  ['ends with another status', { a: OLD }, 3, 'cannot say (exit-non-zero)'],
  ['prints no JSON', { a: 'well, maybe' }, 0, 'gave no answer'],
  ['prints no object', { a: '[true]' }, 0, 'gave no answer'],
  ['says neither yes nor no', { a: { accepts: 'yes' } }, 0, 'it gave no answer'],
  ['breaks', {}, 1, 'gave no answer'],
])('a command that %s counts as a no', async (_, said, status, detail) => {
  const { agent, ask } = await device(said);
  expect(await ask(await stage(agent, release('a', status)))).toMatchObject({ accepts: false, detail });
});

test('without a database, or a command to ask, nothing stands against a release', async () => {
  const { device: one, agent, ask } = await device({ a: OLD });
  const silent = await stage(agent, release('b', 0, { accepts: undefined }));
  expect(await ask(silent)).toMatchObject({ accepts: true, detail: textWith('declares nothing') });
  expect(await ask(await stage(agent, pack({ file: 'x' })))).toMatchObject({ accepts: true });
  const asked = await stage(agent, release('a'));
  expect(await ask(asked)).toMatchObject({ accepts: false });
  rmSync(one.at('shared/data/app.db'));
  expect(await ask(asked)).toEqual({ accepts: true, detail: 'there is no database yet', help: '' });
});
