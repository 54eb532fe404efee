import { expect, test } from 'vitest';
import { budgetLines, memoryBudget } from '../../lib/ops/budget.ts';
import { judge, type Check, type PreflightFacts } from '../../lib/ops/checks.ts';
import { examinedLines } from '../../lib/report/doctor.ts';

const FACTS: PreflightFacts = {
  python: '3.11.2',
  sqlite: '3.40.1',
  supervisor: 'systemd',
  root: { path: '/srv/x', readOnly: false, problem: null },
  boot: { systemd: true, init: 'systemd' },
  sudo: 'root',
  temperature: { celsius: 45.5, zone: 'cpu-thermal', skipped: [] },
  nginx: '/usr/sbin/nginx',
};
const MINUTE = 60_000;

const judged = (facts: Partial<PreflightFacts>, skewMs = 0): readonly Check[] =>
  judge({ ...FACTS, ...facts }, skewMs, { database: true, web: true });
const found = (
  check: string,
  facts: Partial<PreflightFacts>,
  skewMs = 0,
): readonly [string | undefined, string | undefined] => {
  const one = judged(facts, skewMs).find((each) => each.check === check);
  return [one?.state, one?.says];
};

test('a board that has everything is fine, its old SQLite aside', () => {
  expect(
    judged({})
      .filter(({ state }) => state !== 'ok')
      .map(({ check, state }) => [check, state]),
  ).toEqual([['sqlite', 'warning']]);
});

test.each([
  [0, 'ok', "within 1 s of this machine's"],
  [-29_000, 'ok', "within 29 s of this machine's"],
  [31_000, 'warning', "31 s ahead of this machine's"],
  [-5 * MINUTE, 'warning', "5 min 0 s behind this machine's"],
  [-60 * MINUTE, 'problem', "1 h 0 min behind this machine's: TLS and signed orders fail"],
  [56 * 365 * 24 * 60 * MINUTE, 'problem', "20440 days ahead of this machine's: TLS and signed orders fail"],
])('a clock that is %i ms off', (skewMs, state, says) => {
  expect(found('clock', {}, skewMs)).toEqual([state, says]);
});

test.each([
  [79.9, 'ok'],
  [80, 'warning'],
  [95, 'problem'],
])('%f °C', (celsius, state) => {
  expect(found('temperature', { temperature: { celsius, zone: 'cpu', skipped: [] } })[0]).toBe(state);
});

test.each([
  ['3.6.23', 'ok'],
  ['3.7.0', 'warning'],
  ['3.51.2', 'warning'],
  ['3.51.3', 'ok'],
  ['3.52.0', 'ok'],
])('SQLite %s', (sqlite, state) => {
  expect(found('sqlite', { sqlite })[0]).toBe(state);
});

test('a root that takes no writes is a problem', () => {
  expect(found('root', { root: { path: '/x', readOnly: true, problem: null } })).toEqual([
    'problem',
    '/x is on a read-only file system',
  ]);
  expect(found('root', { root: { path: '/x', readOnly: false, problem: 'ENOSPC' } })[0]).toBe('problem');
});

test('what systemd needs is a problem where systemd is declared, and no matter where it is not', () => {
  const bare = { sudo: 'asks', boot: { systemd: false, init: 'init' } } as const;
  const states = (supervisor: string): unknown =>
    ['sudo', 'boot'].map((check) => found(check, { ...bare, supervisor })[0]);
  expect(states('systemd')).toEqual(['problem', 'problem']);
  expect(states('plain')).toEqual(['ok', 'warning']);
});

test('what a system does not use is not judged', () => {
  const checks = judge({ ...FACTS, sudo: null }, 0, { database: false, web: false }).map(({ check }) => check);
  expect(checks).toEqual(['clock', 'root', 'temperature', 'python', 'boot']);
});

test('the memory budget says who takes what, and what is left or missing', () => {
  const services = [
    { name: 'web', memoryMb: 64 },
    { name: 'trader', memoryMb: 1024 },
  ];
  expect(budgetLines(memoryBudget(services, 1500, 7475))).toEqual([
    'web                 64 MB',
    'trader            1024 MB',
    'operating system  1500 MB',
    'sum               2588 MB',
    'board             7475 MB',
    'headroom          4887 MB',
  ]);
  expect(budgetLines(memoryBudget(services, 1500, 2048)).at(-1)).toBe('missing            540 MB');
});

test('the table of a device says what to do, and what a deploy would say', () => {
  const checks = judged({}, 60 * MINUTE).filter(({ check }) => ['clock', 'python'].includes(check));
  expect(examinedLines({ name: 'jetson', checks, budget: null }, false)).toEqual([
    'jetson',
    "  problem  clock   1 h 0 min ahead of this machine's: TLS and signed orders fail",
    '                   → see which of the two is wrong (date -u), and set it: timedatectl set-ntp true, or date -s as root',
    '  ok       python  3.11.2',
    '  a deploy would be refused: clock',
  ]);
});
