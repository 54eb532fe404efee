import { describe, expect, test } from 'vitest';
import { makePlan } from '../../lib/engine/graph.ts';
import { StepFailed } from '../../lib/model/failure.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { text } from '../../lib/model/ref.ts';
import { task } from '../../lib/model/task.ts';
import { Scripted, ask, boom, change, hash, make, planOf, run } from './rig.ts';

const probe = (p: Recorder, name: string) => p.probe(ask, { name });

describe('a broken performer', () => {
  const steps = (p: Recorder): void => {
    change(p, 'a');
    p.within(p.scratch('s'), (p) => probe(p, 'b'));
    p.hold();
  };
  const broken = (): never => {
    throw new Error('defect');
  };

  test.each<[string, (performer: Scripted) => void]>([
    [
      'throws',
      (performer) =>
        (performer.perform = ((perform) => (step, performing) =>
          step.kind === 'probe' ? broken() : perform(step, performing))(performer.perform.bind(performer))),
    ],
    ['rejects on enter', (performer) => (performer.enter = () => Promise.reject(new Error('defect')))],
    ['throws on enter', (performer) => (performer.enter = broken)],
    ['rejects while it holds', (performer) => (performer.serviceEnded = () => Promise.reject(new Error('defect')))],
  ])('that %s fails the task, which is put back', async (_, spoil) => {
    const performer = new Scripted();
    spoil(performer);
    const { status, events } = await run(planOf(steps), performer);
    expect(status).toBe(1);
    expect(events.find((event) => event.type === 'task-finished')).toMatchObject({
      outcome: 'failed',
      failure: { reason: 'broken' },
    });
    expect(performer.did.at(-1)).toBe('not a');
  });

  test('that cannot leave a scope fails nothing', async () => {
    const performer = new Scripted();
    performer.enter = () =>
      Promise.resolve({ ok: true, entered: { value: '', leave: () => Promise.reject(new Error('defect')) } });
    expect(
      (
        await run(
          planOf((p) => p.within(p.scratch('s'), (p) => probe(p, 'b'))),
          performer,
        )
      ).status,
    ).toBe(0);
  });

  test('may throw a failure', async () => {
    const performer = new Scripted({
      a: () => {
        throw new StepFailed(boom);
      },
    });
    const { events } = await run(
      planOf((p) => probe(p, 'a')),
      performer,
    );
    expect(events.find((event) => event.type === 'step-failed')).toEqual({
      type: 'step-failed',
      id: 't/1',
      failure: boom,
    });
  });
});

test('a step sees its values, and secrets stay unresolved', async () => {
  const one = task('one', {
    summary: 's',
    params: { token: { type: 'string', summary: 't', secret: true } },
    steps: (p, { params }) => {
      const made = p.call(make, { name: 'made' });
      p.run(['echo', text`<${made as never}>`], {
        effect: 'reads',
        env: { TOKEN: params.token, BOTH: text`${made as never}:${params.token}` },
      });
    },
  });
  const performer = new Scripted({ made: 5 }, () => 'hunter2');
  const { events } = await run(makePlan([{ task: one, params: { token: 'hunter2' } }], hash).plan, performer);
  expect(performer.steps[1]?.step.args).toMatchObject({
    argv: ['echo', '<5>'],
    env: { TOKEN: { $secret: 'one.token' }, BOTH: { $text: [5, ':', { $secret: 'one.token' }] } },
  });
  expect(JSON.stringify(events)).not.toContain('hunter2');
});
