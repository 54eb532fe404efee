import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deadUrl, listen, type Listener } from '../listener.ts';
import { dying } from './crash.ts';
import { inProject, type Project } from './project.ts';

const EXAMPLE = readFileSync(join(import.meta.dirname, '../../examples/hello/tasks.ts'), 'utf8');

/** The example, with somebody to tell. */
function telling(channel: string): string {
  return EXAMPLE.replace('import { ', 'import { PATIENCE, secret, slack, telegram, webhook, ')
    .replace('const hello =', `const channels = [${channel}];\n\nconst hello =`)
    .replace(
      'release: needs.build.release }',
      'release: needs.build.release, notify: channels, patience: { ...PATIENCE, healthyTimes: 1 } }',
    )
    .replace('release: params.release })', 'release: params.release, notify: channels, system: hello })')
    .replace('system: hello });\n', 'system: hello, channels });\n');
}

interface Body {
  readonly event: string;
  readonly because: string | null;
  readonly release: string;
  readonly run: string;
  readonly who: string;
  readonly text: string;
}

const bodies = ({ heard }: Listener): readonly Body[] => heard.map(({ body }) => JSON.parse(body) as Body);
const told = (listener: Listener): readonly string[] => bodies(listener).map(({ event }) => event);

/** Everything that Slipway keeps or printed, and the secret in none of it. */
async function holdsNo(project: Project, secret: string, ...printed: readonly string[]): Promise<void> {
  expect(printed.join('')).not.toContain(secret);
  expect((await project.spawn(['grep', '-rl', secret, '.slipway']).ended).stdout).toBe('');
}

test('a deploy tells that it begins and what became of it, and the address is nowhere', () =>
  inProject({ tasks: telling("webhook({ url: secret('NOTIFY_URL') })") }, async (project) => {
    const listener = await listen();
    project.write('.env.rehearsal', `NOTIFY_URL=${listener.url}/hooks/very-secret-path\n`);
    // What the shell says is not for the rehearsal device.
    const env = { NOTIFY_URL: await deadUrl() };
    const first = await project.run(['deploy'], { env });
    expect(first).toMatchObject({ status: 0 });
    expect(told(listener)).toEqual(['start', 'success']);
    const release = project.current() ?? '';
    expect(bodies(listener)[1]).toMatchObject({ release, run: project.runs()[0], who: 'tester', because: null });
    expect(bodies(listener)[1]?.text).toContain(`hello: deploy of ${release} to rehearsal: done`);

    const unchanged = await project.run(['deploy', '--json'], { env });
    expect(unchanged.stdout).toContain('"outcome":"fresh"');
    expect(told(listener)).toHaveLength(2);

    const good = project.read('server.py');
    project.write('server.py', `raise SystemExit('no way')\n${good}`);
    const failed = await project.run(['deploy', '--json'], { env });
    expect(failed).toMatchObject({ status: 1 });
    expect(bodies(listener).slice(2)).toMatchObject([
      { event: 'start' },
      { event: 'taken-back', because: 'device-refused' },
    ]);
    expect(project.current()).toBe(release);

    const config = await project.run(['config'], { env });
    expect(config.stdout).toMatch(/^NOTIFY_URL +\*\*\* +\.env\.rehearsal$/m);
    const shown = await project.run(['deploy', '--dry-run']);
    expect(shown.stdout).toMatch(/tells +here +tell webhook \(secret NOTIFY_URL\) of start/);
    const all = [first, unchanged, failed, config, shown].flatMap(({ stdout, stderr }) => [stdout, stderr]);
    await holdsNo(project, 'very-secret-path', ...all);
  }));

test('whoever cannot be told fails nothing, and that is said; a rehearsal tells nobody of whom only the shell says', () =>
  inProject(
    {
      tasks: telling(
        "slack({ webhook: secret('HOOK') }), webhook({ url: secret('OFF'), optional: true }), webhook({ url: secret('TYPO') })",
      ),
    },
    async (project) => {
      project.write('.env.rehearsal', `HOOK=${await deadUrl()}very-secret-path\nTYPO=hooks.example/very-secret-path\n`);
      const real = await listen();
      project.write('.env', `OFF=${real.url}\n`);
      const deployed = await project.run(['deploy'], { env: { OFF: real.url } });
      expect(deployed).toMatchObject({ status: 0 });
      expect(real.heard).toEqual([]);
      expect(deployed.stderr).toContain('webhook: its address is no http(s) URL; nobody will be told there\n');
      expect(deployed.stdout).toContain('not sent to slack: ECONNREFUSED');
      // The start and the end are told; that nobody is to hear of them here, once.
      expect(deployed.stdout.match(/not sent to webhook, which is off: .*/g)).toEqual([
        'not sent to webhook, which is off: rehearsal, and .env.rehearsal does not set OFF',
      ]);
      expect(deployed.stdout).toContain('not everybody was told: slack: ECONNREFUSED\n');
      expect(await project.answering()).toBe(project.current());
      await holdsNo(project, 'very-secret-path', deployed.stdout, deployed.stderr);
    },
  ));

test('who heard that a deploy begins hears from "recover" that it was taken back', () =>
  inProject({ tasks: telling("webhook({ url: secret('NOTIFY_URL') })") }, async (project) => {
    const listener = await listen();
    project.write('.env.rehearsal', `NOTIFY_URL=${listener.url}/in\n`);
    const killed = await project.run(['deploy'], dying(1, 'before', { like: '"line":"changes rehearsal: start' }));
    expect([killed.signal, told(listener)]).toEqual(['SIGKILL', ['start']]);
    expect(await project.run(['recover'])).toMatchObject({ status: 0 });
    expect(bodies(listener).slice(1)).toMatchObject([{ event: 'taken-back', run: project.runs()[0] }]);
  }));
