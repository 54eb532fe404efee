import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lookupFor, type Sources } from '../../lib/config/lookup.ts';
import { configReport } from '../../lib/config/report.ts';
import { secretsFor, type Secrets } from '../../lib/config/secrets.ts';
import { sourcesOf } from './project.ts';

const NAMES = ['DJANGO_SECRET_KEY', 'TOKEN'];
const secrets = (sources: Sources, target: string, names = NAMES): Secrets =>
  secretsFor(names, lookupFor(sources, target), join(sources.projectDir, '.slipway'));
const values = (found: Secrets): unknown => (found.ok ? Object.fromEntries(found.values) : found.failure);

test('a real device: from its file, .env or the environment; a missing one says where to put it', async () => {
  const sources = await sourcesOf(
    { '.env': 'TOKEN=shared', '.env.jetson': 'DJANGO_SECRET_KEY=own' },
    { environment: { TOKEN: 'env' } },
  );
  expect(values(secrets(sources, 'jetson'))).toEqual({ DJANGO_SECRET_KEY: 'own', TOKEN: 'env' });
  expect(values(secrets(sources, 'lab'))).toEqual({
    reason: 'missing-secret',
    names: ['DJANGO_SECRET_KEY'],
    where: '.env.lab (or the environment)',
  });
});

test('all that are missing are named, and what there is is there all the same', async () => {
  const found = secrets(await sourcesOf({ '.env': 'B=set' }), 'lab', ['A', 'B', 'C']);
  expect(values(found)).toMatchObject({ names: ['A', 'C'] });
  expect([...found.values]).toEqual([['B', 'set']]);
});

test('the rehearsal device: never from the shell or .env', async () => {
  const real = { '.env': 'TOKEN=real\nDJANGO_SECRET_KEY=real', '.env.jetson': 'TOKEN=real' };
  const sources = await sourcesOf(real, { environment: { TOKEN: 'real', DJANGO_SECRET_KEY: 'real' } });
  const found = secrets(sources, 'rehearsal');
  expect(values(found)).toEqual({
    TOKEN: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    DJANGO_SECRET_KEY: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  });
  const own = await sourcesOf(
    { ...real, '.env.rehearsal': 'TOKEN=sandbox' },
    { environment: { DJANGO_SECRET_KEY: 'real' } },
  );
  expect(values(secrets(own, 'rehearsal', ['TOKEN']))).toEqual({ TOKEN: 'sandbox' });
  expect(values(secrets(own, 'rehearsal'))).toEqual({
    reason: 'missing-secret',
    names: ['DJANGO_SECRET_KEY'],
    where: '.env.rehearsal',
  });
});

test('generated ones are kept, closed to others, and a new name is added', async () => {
  const sources = await sourcesOf({});
  const first = values(secrets(sources, 'rehearsal'));
  expect(values(secrets(sources, 'rehearsal'))).toEqual(first);
  expect(values(secrets(sources, 'rehearsal', [...NAMES, 'NEW']))).toMatchObject(first as object);
  const folder = join(sources.projectDir, '.slipway', 'rehearsal');
  expect(readdirSync(folder)).toEqual(['secrets.json']);
  expect(statSync(join(folder, 'secrets.json')).mode & 0o777).toBe(0o600);
  expect(Object.keys(JSON.parse(readFileSync(join(folder, 'secrets.json'), 'utf8')) as object)).toEqual([
    ...NAMES,
    'NEW',
  ]);
});

test('the report shows values and sources, and no secret', async () => {
  const sources = await sourcesOf(
    {
      '.env': 'TOKEN=hunter2\nLOG_LEVEL=debug',
      '.env.jetson': 'JETSON_HOST=j\nJETSON_PORT=22\nJETSON_SUDO=yes\nJETSON_SUDO_PASSWORD=open sesame',
    },
    { flags: { DEPLOY_TO: { flag: '--to', value: 'jetson' } } },
  );
  const report = configReport(sources, { devices: ['jetson'], secrets: NAMES, variables: ['LOG_LEVEL'] });
  expect(report).toEqual([
    { name: 'DEPLOY_TO', value: 'jetson', source: '--to' },
    { name: 'JETSON_HOST', value: 'j', source: '.env.jetson' },
    { name: 'JETSON_PORT', value: '22', source: '.env.jetson' },
    { name: 'JETSON_ROOT', value: '~/slipway', source: 'default' },
    { name: 'JETSON_SUDO', value: 'yes', source: '.env.jetson' },
    { name: 'JETSON_SUDO_PASSWORD', value: '***', source: '.env.jetson' },
    { name: 'LOG_LEVEL', value: 'debug', source: '.env' },
    { name: 'DJANGO_SECRET_KEY', value: '', source: 'not set' },
    { name: 'TOKEN', value: '***', source: '.env' },
  ]);
  const rehearsal = await sourcesOf({ '.env': 'TOKEN=real' });
  expect(configReport(rehearsal, { devices: [], secrets: ['TOKEN'] })).toEqual([
    { name: 'DEPLOY_TO', value: 'rehearsal', source: 'default' },
    { name: 'TOKEN', value: '***', source: 'generated' },
  ]);
});
