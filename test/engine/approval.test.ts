import { expect, test } from 'vitest';
import { changedCircumstance, firstDifference, type Circumstances } from '../../lib/engine/approval.ts';
import type { Plan } from '../../lib/model/plan.ts';

const plan = (digest: string, node: object = {}): Plan => ({
  version: 1,
  goals: ['build'],
  digest,
  nodes: [
    {
      id: 'build',
      task: 'build',
      params: {},
      needs: [],
      inputs: ['src/**'],
      outputs: ['out/**'],
      env: [],
      resources: {},
      timeoutMs: null,
      retries: null,
      body: { items: [] },
      ...node,
    } as unknown as Plan['nodes'][number],
  ],
});

test('a plan whose steps are the same may differ in a field of a task, or in the agent', () => {
  expect(firstDifference(plan('a'), plan('b', { outputs: ['dist/**'] }))).toEqual({
    at: 'outputs of build',
    approved: '["out/**"]',
    now: '["dist/**"]',
  });
  expect(firstDifference(plan('a'), plan('b', { cache: false }))).toEqual({
    at: 'cache of build',
    approved: '(nothing)',
    now: 'false',
  });
  expect(firstDifference(plan('a'), plan('b'))).toEqual({ at: 'the device agent', approved: 'a', now: 'b' });
  expect(firstDifference(plan('a'), plan('a'))).toBeNull();
});

test('the first input that is another one is named, otherwise the device', () => {
  const now: Circumstances = {
    inputs: { build: [['a', 'file', 0, '1'.repeat(64)]] },
    devices: { jetson: { host: 'one' } },
  };
  expect(changedCircumstance(now, now)).toBeNull();
  expect(changedCircumstance({ ...now, inputs: { build: [] } }, now)).toEqual({
    at: 'input a of build',
    approved: '(nothing)',
    now: 'file, sha256 111111111111',
  });
  expect(changedCircumstance({ ...now, inputs: { build: [['a', 'file', 1, '1'.repeat(64)]] } }, now)).toMatchObject({
    approved: 'executable file, sha256 111111111111',
  });
  expect(changedCircumstance({ ...now, devices: { jetson: { host: 'two' } } }, now)).toEqual({
    at: 'device jetson',
    approved: '{"host":"two"}',
    now: '{"host":"one"}',
  });
});
