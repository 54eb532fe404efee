import { describe, expect, test } from 'vitest';
import { makePlan } from '../../lib/engine/graph.ts';
import { UsageError } from '../../lib/model/failure.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import type { ServiceHere } from '../../lib/model/service-here.ts';
import { itemsIn, type Item } from '../../lib/model/step.ts';
import { task } from '../../lib/model/task.ts';
import { hash, planOf } from '../engine/rig.ts';

const web: ServiceHere = { name: 'web', argv: ['serve'], ready: 'http://127.0.0.1/' };

describe('a timeout of 0', () => {
  const declared: readonly (readonly [string, (p: Recorder) => unknown])[] = [
    ['t/1', (p) => p.run(['x'], { effect: 'reads', timeoutMs: 0 })],
    ['t/1', (p) => p.waitUntil('w', () => ({ until: true, value: 1 }), { timeoutMs: 0 })],
    ['the service web', (p) => p.serve([{ ...web, readyTimeoutMs: 0 }])],
    ['t/1', (p) => p.run(['x'], { effect: 'reads', timeoutMs: NaN })],
  ];
  test.each(declared)('is refused where it is declared: %s', (what, steps) => {
    expect(() => planOf(steps)).toThrow(UsageError);
    expect(() => planOf(steps)).toThrow(
      new RegExp(`^${what} declares a timeout of (0|NaN) ms, which (would be over|is no time)`),
    );
  });

  test('is refused for a whole task, with where it stands', () => {
    expect(() => makePlan([task('slow', { summary: 's', timeoutMs: 0 })()], hash)).toThrow(
      /^slow \(.*service-here\.test\.ts:\d+\) declares a timeout of 0 ms/,
    );
  });
});

test('a field that no task has, and an effect that no step has, are refused: nobody would read them', () => {
  expect(() => task('t', { summary: 's', timeOutMs: 1 } as never)).toThrow(
    expect.objectContaining({
      message: 'a task has no field timeOutMs, which t has',
      hint: 'did you mean timeoutMs?',
    }) as Error,
  );
  expect(() => task('t', { summary: 's', zest: 1 } as never)).toThrow(/no field zest/);
  expect(() => planOf((p) => p.run(['x'], { effect: 'derive' as never }))).toThrow(
    'the effect of a step is one of reads, derives, changes, collects, tells, irreversible, not derive',
  );
});

test('retries that would never end are refused, of a task and of a step', () => {
  for (const retries of [2, { times: -1, backoffMs: 1 }, { times: 1.5, backoffMs: 1 }, { times: 1 }] as never[]) {
    const declared = /^(t\/1|flaky \(.*\)) declares retries that cannot be kept to: /;
    expect(() => planOf((p) => p.run(['x'], { effect: 'reads', retries }))).toThrow(declared);
    expect(() => makePlan([task('flaky', { summary: 's', retries })()], hash)).toThrow(declared);
  }
});

test.each([
  [{ ...web, ready: { log: '(' } }, 'the service web is ready by a pattern that is no regular expression: ('],
  [{ ...web, restart: { times: 0, backoffMs: 1 } }, 'declares a restart that cannot be kept to'],
  [{ ...web, restart: { times: 101, backoffMs: 1 } }, 'declares a restart that cannot be kept to'],
  [{ ...web, restart: { times: 1, backoffMs: 0 } }, 'declares a restart that cannot be kept to'],
  [{ ...web, restart: { times: 1, backoffMs: 1, resetAfterMs: 0 } }, 'declares a restart that cannot be kept to'],
  [{ ...web, argv: [] }, 'the service web has no command'],
  [{ ...web, port: 0 }, 'the service web names the port 0'],
  [{ ...web, port: 99_999 }, 'the service web names the port 99999'],
  [{ ...web, ready: { tcp: 80.5 } }, 'the service web names the port 80.5'],
  [{ ...web, ready: { command: [] } }, 'the service web is ready by a command that is empty'],
  [{ ...web, ready: 'localhost:80' }, 'the service web is ready by a URL that is none: localhost:80'],
  [{ ...web, ready: 'http://' }, 'the service web is ready by a URL that is none: http://'],
  [{ ...web, after: ['db'] }, 'web starts after db, which is no service'],
  [{ ...web, after: ['web'] }, 'services start in a circle: web → web'],
] as const)('what cannot be kept to is refused: %j', (service, message) => {
  expect(() => planOf((p) => p.serve([service]))).toThrow(message);
});

test('services that are none are refused', () => {
  expect(() => planOf((p) => p.serve([]))).toThrow('serve starts services, and was given none');
});

test('services with an order are started together, by serve alone', () => {
  expect(() =>
    planOf((p) => p.change({ touches: [], do: (p) => p.start({ ...web, after: [] }), undo: (p) => p.stop(web) })),
  ).toThrow('start them together, with p.serve');
  expect(() => planOf((p) => p.serve([web, web]))).toThrow('two services are named web');
  const { body } =
    planOf((p) =>
      p.serve([
        { ...web, after: ['db'] },
        { name: 'db', argv: ['db'] },
      ]),
    ).nodes[0] ?? {};
  const items = [...itemsIn(body as never)].map((item: Item) =>
    item.type === 'step' && item.kind === 'service' ? `${item.id} ${item.args.name as string}` : item.type,
  );
  expect(items).toEqual(['parallel', 'change', 't/1.db.1.1 db', 'change', 't/1.web.1.1 web', 'hold']);
});
