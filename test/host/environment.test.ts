import { expect, onTestFinished, test, vi } from 'vitest';
import { baseEnvironment, inBase, strictEnvironment } from '../../lib/host/environment.ts';
import { s } from '../../lib/model/schema.ts';
import { nodeEval, rig, run } from './rig.ts';

const PASS = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LC_ALL',
  'TZ',
  'TERM',
  'TMPDIR',
  'COLORTERM',
  'NO_COLOR',
  'FORCE_COLOR',
  'CI',
];
const NETWORK = [
  'HTTPS_PROXY',
  'no_proxy',
  'all_proxy',
  'PIP_INDEX_URL',
  'SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
  'PYENV_ROOT',
];
const NPM = [
  'npm_config_registry',
  'npm_config_cache',
  'NPM_CONFIG_STRICT_SSL',
  'npm_config_strict-ssl',
  'npm_config_@a:registry',
  'npm_config_//r.org/:_authToken',
  'npm_config_userconfig',
  'npm_config_fetch_retries',
];
const NOT = [
  'AWS_SECRET',
  'VIRTUAL_ENV',
  'NODE_OPTIONS',
  'MAKEFLAGS',
  'npm_lifecycle_event',
  'npm_package_name',
  'npm_execpath',
  'INIT_CWD',
  'LC_',
  'PROXY',
];
const NPM_NOT = [
  'dry_run',
  'json',
  'yes',
  'color',
  'prefix',
  'local_prefix',
  'global',
  'workspace',
  'omit',
  'token_description',
  'force',
  'user_agent',
].map((name) => `npm_config_${name}`);

test('the base list, and nothing else', () => {
  expect([...PASS, ...NETWORK, ...NPM].filter((name) => !inBase(name))).toEqual([]);
  expect([...NOT, ...NPM_NOT].filter(inBase)).toEqual([]);
});

test('declared names come from the lookup and win over the base, the step itself wins over both', () => {
  const outer = { PATH: '/bin', CI: '1', SECRET: 'x', TZ: undefined };
  const lookup = (name: string): string | undefined => ({ A: 'a', B: 'b', CI: 'looked up', SECRET: 'y' })[name];
  expect(strictEnvironment(['A', 'B', 'CI', 'NOWHERE'], { B: 'step' }, lookup, baseEnvironment(outer))).toEqual({
    PATH: '/bin',
    CI: 'looked up',
    A: 'a',
    B: 'step',
  });
});

test('a command sees only that, and the marker of its run, within which outer ones it is', async () => {
  vi.stubEnv('SLIPWAY_TEST_LEAK', '1');
  vi.stubEnv('SLIPWAY_RUN', 'outermost outer');
  onTestFinished(() => void vi.unstubAllEnvs());
  const r = rig({ env: { DECLARED: 'd' } });
  const performed = await r.host.perform(
    run(
      nodeEval('console.log(JSON.stringify(process.env))'),
      { output: 'json', env: { OWN: 'o' } },
      { yields: s.table(s.string) },
    ),
    r.performing,
  );
  const seen = performed.ok ? (performed.fact.value as Record<string, string>) : {};
  expect(seen).toMatchObject({
    DECLARED: 'd',
    OWN: 'o',
    SLIPWAY_RUN: 'outermost outer r1',
    SLIPWAY_SPAWN: expect.stringMatching(/^[0-9a-f]{16}\.1$/) as unknown,
    PATH: process.env['PATH'],
  });
  expect(
    Object.keys(seen)
      .filter((name) => !inBase(name))
      .sort(),
  ).toEqual(['DECLARED', 'OWN', 'SLIPWAY_RUN', 'SLIPWAY_SPAWN']);
});
