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
  const command = `trap : INT; cd '${REPO}' && echo BEGIN && '${process.execPath}' --import tsx test/report/fixtures/pretty.ts ${args}; echo "STATUS $?"; read line`;
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
  expect(screen()).toBe('BEGIN\n400 done · 1.2 s\ntook under a second\nEND\nSTATUS 0');
  expect(cursorShown()).toBe(true);
});

test.each([
  [80, 24, 'hang', ['❯ 20/60 · 40 running', / {2}› task-20 \d\.\d s red output of task-20/, '… 32 more']],
  [20, 12, 'hang', ['❯ 20/60 · 40 ru…', / {2}› task-20 \d\.\d s/, '… 32 more']],
  [20, 5, 'hang', ['❯ 20/60 · 40 ru…', / {2}› task-20 \d\.\d s/, '… 38 more']],
  [80, 24, 'odd', ['❯ 20/60 · 40 running', / {4}task-24 \d\.\d s 日本語の\S+…$/m, '… 32 more']],
  [30, 5, 'odd', ['❯ 20/60 · 40 running', / {2}› task-20 \d\.\d s \S+…$/m, '… 38 more']],
])(
  'in %i columns and %i rows (%s) a window shows what runs; Ctrl-C ends it with the cursor back',
  async (columns, rows, mode, parts) => {
    play(columns, rows, `60 ${mode}`);
    await shows(/more/);
    const seen = screen();
    for (const part of parts) expect(seen).toMatch(part);
    expect(seen.split('\n').length).toBeLessThanOrEqual(rows);
    expect(cursorShown()).toBe(false);
    tmux('send-keys', 'C-c');
    await shows(/STATUS/);
    expect(screen()).toMatch(/^BEGIN\n20 done .*1\.2 s\ntook .*\nEND\nSTATUS 130$/);
    expect(cursorShown()).toBe(true);
  },
);

test('a window that is resized in the middle is drawn anew: nothing is left of the old one', async () => {
  play(100, 24, '60 long');
  await shows(/more/);
  const visible = (): string => tmux('capture-pane', '-p').trimEnd();
  const whole = /^(?:BEGIN\n)?❯ 20\/60 · 40 running\n(?: {2,}.*\n){8} {4}… 32 more$/;
  for (const columns of [60, 45, 80, 50, 100]) {
    tmux('resize-window', '-x', String(columns), '-y', '24');
    const width = (): number | undefined => /^ {4}task-21 .*$/m.exec(visible())?.[0].length;
    await expect.poll(width, { timeout: 10_000, interval: 50 }).toBe(columns - 2);
    expect(visible()).toMatch(whole);
  }
  tmux('resize-window', '-x', '20', '-y', '5');
  await expect
    .poll(visible, { timeout: 10_000, interval: 50 })
    .toMatch(/^❯ .*\n {2}› .*\n {4}task-21.*\n {4}… 38 more$/);
  tmux('send-keys', 'C-c');
  await shows(/STATUS 130/);
  expect(cursorShown()).toBe(true);
});

test('a window that began narrow and became wide has rows that are as wide', async () => {
  play(40, 24, '60 long');
  await shows(/more/);
  tmux('resize-window', '-x', '110', '-y', '24');
  const visible = (): string => tmux('capture-pane', '-p').trimEnd();
  const width = (): number | undefined => /^ {4}task-21 .*$/m.exec(visible())?.[0].length;
  await expect.poll(width, { timeout: 10_000, interval: 50 }).toBe(108);
  expect(visible()).toMatch(/❯ 20\/60 · 40 running\n(?: {2,}.*task-\d+.*\n){8} {4}… 32 more$/);
  tmux('send-keys', 'C-c');
  await shows(/STATUS 130/);
});

test('a process that ends without closing leaves the cursor, too', async () => {
  play(80, 24, '60 exit');
  await shows(/STATUS 7/);
  expect(cursorShown()).toBe(true);
});
