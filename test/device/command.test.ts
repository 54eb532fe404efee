import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../lib/device/command.ts';
import { temporary } from './temporary.ts';

const environment = { PATH: process.env['PATH'] };
const sh = (script: string) => runCommand(['sh', '-c', script], environment);

test('commands that are asked for together keep their outputs and statuses apart, and are started by one shell', async () => {
  const asked = [
    sh('printf "two\\n\\nlines"; echo aside >&2'),
    sh('exit 3'),
    runCommand(['no-such-command', '-x'], environment),
    sh('printf "%s" "$PPID"'),
    sh('echo "$PPID"; kill -KILL $$'),
    runCommand(['printf', '%s|', 'with blank', "it's", '$(id)', '*'], environment),
  ];
  const [lines, failed, missing, parent, killed, words] = await Promise.all(asked);
  expect(lines).toEqual({ missing: false, exitCode: 0, stdout: 'two\n\nlines', stderr: 'aside\n' });
  expect(failed).toEqual({ missing: false, exitCode: 3, stdout: '', stderr: '' });
  expect(missing).toEqual({ missing: true });
  expect(killed).toMatchObject({ exitCode: 137 });
  expect((killed as { stdout: string }).stdout.trim()).toBe((parent as { stdout: string }).stdout);
  expect(words).toMatchObject({ stdout: "with blank|it's|$(id)|*|" });
});

test('each sees its own environment', async () => {
  const [one, other] = await Promise.all(
    ['1', '2'].map((WHICH) => runCommand(['sh', '-c', 'echo $WHICH'], { ...environment, WHICH })),
  );
  expect([one, other]).toMatchObject([{ stdout: '1\n' }, { stdout: '2\n' }]);
});

test('one that prints without end is ended, with what it started, and those before it are answered', async () => {
  const folder = temporary('command');
  onTestFinished(() => folder.remove());
  const fifo = join(folder.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const asked = [sh('echo first'), sh(`sleep 600 >'${fifo}' & yes`), sh('echo third')];
  // Its end is heard when the last that holds the other one is gone.
  const silence = readFile(fifo);
  const [first, endless, third] = await Promise.all(asked);
  expect(first).toMatchObject({ exitCode: 0, stdout: 'first\n' });
  expect([endless, third]).toMatchObject([{ exitCode: -1 }, { exitCode: -1 }]);
  expect(await silence).toHaveLength(0);
});
