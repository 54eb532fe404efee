import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { PYTHON, SOURCE } from '../agent/client.ts';

const RACE = fileURLToPath(new URL('race.py', import.meta.url));
const SEED = process.env['RACE_SEED'] ?? String(Date.now() % 1_000_000);
const RACES = 500;
/** Of either outcome, at least: fewer would say nothing. */
const FEWEST = 50;

const CONFIRMED = { kinds: ['confirmed', 'finished'], current: '1'.repeat(16), state: 'confirmed' };
const TAKEN_BACK = {
  kinds: ['taking-back', 'taken-back'],
  current: '0'.repeat(16),
  state: 'staged',
};

test(`a confirmation races the deadline ${String(RACES)} times: never confirmed and taken back (RACE_SEED=${SEED})`, async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-race-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'agent.py'), SOURCE);
  const { stdout } = await promisify(execFile)(PYTHON, [RACE, join(folder, 'agent.py'), folder, SEED, String(RACES)], {
    maxBuffer: 64 << 20,
  });
  const races = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly offsetMs: number; readonly told: string; readonly keeper: number });
  expect(races).toHaveLength(RACES);
  for (const race of races) {
    expect(race).toMatchObject(race.told === 'confirmed' ? CONFIRMED : TAKEN_BACK);
    // Once it is confirmed, nothing watches any more: a keeper that sleeps is ended.
    expect(race.told === 'confirmed' ? [0, 15] : [0]).toContain(race.keeper);
    // Put back already, the release is not even current any more.
    expect(['confirmed', 'taken-back', 'not-current']).toContain(race.told);
  }
  const confirmed = races.filter(({ told }) => told === 'confirmed').length;
  expect(Math.min(confirmed, RACES - confirmed), `${String(confirmed)} were confirmed`).toBeGreaterThan(FEWEST);
}, 120_000);
