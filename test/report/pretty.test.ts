import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const REPO = fileURLToPath(new URL('../../', import.meta.url));
let servers = 0;

/** A command to a tmux server of this test alone. */
const tmux = (...args: string[]): string =>
  execFileSync('tmux', ['-L', `slipway-${String(process.pid)}-${String(servers)}`, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
const screen = (): string => tmux('capture-pane', '-p', '-S', '-').trimEnd();
const cursorShown = (): boolean => tmux('display', '-p', '#{cursor_flag}').trim() === '1';

/** Plays the fixture in a terminal of that size; the shell afterwards says the status and stays. */
function play(columns: number, rows: number, args: string): void {
  servers++;
  const command = `trap : INT; cd '${REPO}' && '${process.execPath}' --import tsx test/report/fixtures/pretty.ts ${args}; echo "STATUS $?"; read line`;
  tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), command);
}

const shows = (pattern: RegExp): Promise<void> =>
  expect.poll(screen, { timeout: 10_000, interval: 50 }).toMatch(pattern);

afterEach(() => {
  tmux('kill-server');
});

test('400 tasks take well under a second, and leave the sum and a cursor', async () => {
  play(80, 24, '400');
  await shows(/STATUS/);
  expect(screen()).toBe('400 done · 1.2 s\ntook under a second\nEND\nSTATUS 0');
  expect(cursorShown()).toBe(true);
});

test.each([
  [80, 24, ['❯ 20/60 · 40 running', / {2}› task-20 \d\.\d s red output of task-20/, '… 32 more']],
  [20, 12, ['❯ 20/60 · 40 runn…', / {2}› task-20 \d\.\d s…/, '… 32 more']],
  [20, 5, ['❯ 20/60 · 40 runn…', / {2}› task-20 \d\.\d s…/, '… 38 more']],
])(
  'in %i columns and %i rows a window shows what runs; Ctrl-C ends it with the cursor back',
  async (columns, rows, parts) => {
    play(columns, rows, '60 hang');
    await shows(/more/);
    const seen = screen();
    for (const part of parts) expect(seen).toMatch(part);
    expect(seen.split('\n').length).toBeLessThanOrEqual(rows);
    expect(cursorShown()).toBe(false);
    tmux('send-keys', 'C-c');
    await shows(/STATUS/);
    expect(screen()).toMatch(/^20 done .*1\.2 s\ntook .*\nEND\nSTATUS 130$/);
    expect(cursorShown()).toBe(true);
  },
);

test('a process that ends without closing leaves the cursor, too', async () => {
  play(80, 24, '60 exit');
  await shows(/STATUS 7/);
  expect(cursorShown()).toBe(true);
});
