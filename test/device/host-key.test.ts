import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BARE, failureIn, performerFor, rigEnded } from './rig.ts';
import { keyPair, missingTools, startSshd, transports, type Sshd } from './sshd.ts';

const needs = missingTools === null ? '' : ` (needs ${missingTools})`;

describe.skipIf(missingTools !== null).each(transports)(`host keys by $transport${needs}`, ({ transport }) => {
  let sshd: Sshd;
  let files = 0;
  beforeAll(async () => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519', 'rsa'], transport });
  });
  afterAll(async () => {
    await rigEnded();
    await sshd.stop();
  });

  const key = (type: string): string => sshd.hostKeys[type] ?? '';
  const bare = (): string => sshd.address.replace(/^\[(.*)\].*$/, '$1');

  /** Connects with a known_hosts file of these lines; the failure, or null. */
  async function attempt(
    lines: readonly string[],
    prepare: (file: string) => void = () => undefined,
  ): Promise<unknown> {
    const knownHosts = join(sshd.folder, `known-${String(++files)}`);
    writeFileSync(knownHosts, lines.map((line) => `${line}\n`).join(''));
    prepare(knownHosts);
    const performer = performerFor({ ...sshd.device, knownHosts });
    const answer = await performer.ask('device.facts');
    await performer.close();
    return answer.ok ? null : answer.failure;
  }

  const refusal = (state: string): object => ({
    reason: 'host-key',
    place: 'board',
    address: sshd.address.replace(/[[\]]/g, ''),
    state,
    fingerprint: expect.stringMatching(/^SHA256:[\w+/]{43}$/) as string,
  });

  test('a host that nobody has seen is unknown, with the fingerprint that ssh-keygen prints', async () => {
    const failure = await attempt([]);
    expect(failure).toEqual(refusal('unknown'));
    const printed = execFileSync('ssh-keygen', ['-lf', join(sshd.folder, 'host_ed25519.pub')], { encoding: 'utf8' });
    expect(printed).toContain((failure as { fingerprint: string }).fingerprint);
  });

  test('the key under [host]:port is trusted, and so is one under the bare name', async () => {
    expect(await attempt([`${sshd.address} ${key('ed25519')}`])).toBeNull();
    expect(await attempt([`${bare()} ${key('ed25519')}`])).toBeNull();
  });

  test('another key is a changed host, whatever the bare name says', async () => {
    const other = keyPair(join(sshd.folder, `other-${String(++files)}`), 'ed25519');
    expect(await attempt([`${sshd.address} ${other}`])).toEqual(refusal('changed'));
    expect(await attempt([`${sshd.address} ${other}`, `${bare()} ${key('ed25519')}`])).toEqual(refusal('changed'));
    expect(await attempt([`${bare()} ${other}`])).toEqual(refusal('unknown'));
  });

  test('a revoked key is refused even where it is also listed as good', async () => {
    expect(await attempt([`${sshd.address} ${key('ed25519')}`, `@revoked ${bare()} ${key('ed25519')}`])).toEqual(
      refusal('revoked'),
    );
    expect(await attempt([`@revoked * ${key('ed25519')}`])).toEqual(refusal('revoked'));
  });

  test('hashed names are found', async () => {
    const hash = (file: string): void => {
      execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
      expect(readFileSync(file, 'utf8')).toMatch(/^\|1\|/);
    };
    expect(await attempt([`${sshd.address} ${key('ed25519')}`], hash)).toBeNull();
  });

  test('a host known by one type of key shows that one, also when it prefers another', async () => {
    expect(await attempt([`${sshd.address} ${key('rsa')}`])).toBeNull();
  });

  test('a certificate authority is no host key', async () => {
    expect(await attempt([`@cert-authority ${sshd.address} ${key('ed25519')}`])).toEqual(refusal('unknown'));
  });

  test('without ssh-keygen nothing is trusted', async () => {
    const performer = performerFor(sshd.device, { environment: { ...BARE, PATH: join(sshd.folder, 'nothing-here') } });
    expect(failureIn(await performer.ask('device.facts'))).toEqual({
      reason: 'command-not-found',
      command: 'ssh-keygen',
    });
    await performer.close();
  });

  test('each question about its keys is asked once', async () => {
    const folder = mkdtempSync(join(sshd.folder, 'path-'));
    const [asked, real] = [
      join(folder, 'asked'),
      execFileSync('sh', ['-c', 'command -v ssh-keygen'], { encoding: 'utf8' }),
    ];
    writeFileSync(join(folder, 'ssh-keygen'), `#!/bin/sh\necho "$*" >>'${asked}'\nexec ${real.trim()} "$@"\n`, {
      mode: 0o755,
    });
    const performer = performerFor(sshd.device, { environment: { ...BARE, PATH: `${folder}:${String(BARE.PATH)}` } });
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    await performer.close();
    const questions = readFileSync(asked, 'utf8').trim().split('\n');
    expect(questions.length).toBeGreaterThan(0);
    expect(questions).toEqual([...new Set(questions)]);
  });

  test('a known_hosts file that cannot be understood as one is not a trusted host', async () => {
    const file = join(sshd.folder, 'odd');
    appendFileSync(file, '\0\u0001 not a known_hosts file\n');
    const performer = performerFor({ ...sshd.device, knownHosts: file });
    expect(failureIn(await performer.ask('device.facts'))).toEqual(refusal('unknown'));
    await performer.close();
    rmSync(file);
  });
});
