import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { inProject } from './project.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('another public port is no unchanged release: it moves there', () =>
  inProject({}, async (project) => {
    for (const port of [await freePort(), await freePort()]) {
      const deployed = await project.run(['deploy'], { env: { REHEARSAL_HTTP_PORT: String(port) } });
      expect(deployed).toMatchObject({ status: 0 });
      expect(deployed.stdout).toContain('start service web');
      expect((await fetch(`http://127.0.0.1:${String(port)}/`)).status).toBe(200);
    }
  }));

const TELLTALE = `
import { main, s, string, task } from 'slipway';
const tell = task('tell', {
  summary: 'Prints what it should keep.',
  params: { token: string({ summary: 'a secret', secret: true }) },
  steps: (p, { params }) => ({
    said: p.run(['sh', '-c', 'echo got $TOKEN; echo again $TOKEN >&2'], { effect: 'reads', env: { TOKEN: params.token }, yields: s.string }),
  }),
});
await main(import.meta, { tasks: [tell] });
`;

test('a secret is masked in output, and never becomes a value', () =>
  inProject({ tasks: TELLTALE }, async (project) => {
    const told = await project.run(['tell', '--token', 'correct-horse-battery']);
    expect(told).toMatchObject({ status: 1 });
    expect(told.stdout).toContain('a value without a secret in it');
    const { stdout } = await project.spawn(['grep', '-rl', 'correct-horse-battery', '.']).ended;
    expect([told.stdout, told.stderr, stdout].join('')).not.toContain('correct-horse');
    expect(stdout).toBe('');
  }));
