/** Mistakes that do not compile: `tsc` fails on a line below that is no error. Nothing here is run. */
import { slack, telegram } from '../../lib/model/channel.ts';
import { choice, device, deviceName, number, string } from '../../lib/model/param.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import type { Operation } from '../../lib/model/site.ts';
import { secret, type Ref } from '../../lib/model/ref.ts';
import { s } from '../../lib/model/schema.ts';
import { task } from '../../lib/model/task.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(...holds: Same<A, B> extends true ? [] : ['these types differ']): void => void holds;

declare const p: Recorder;
declare const ref: Ref<string>;
declare const changes: Operation<typeof s.null, 'changes'>;
declare const reads: Operation<typeof s.string, 'reads'>;

const params = {
  to: device({ summary: 'd' }),
  size: number({ summary: 'n', default: 1 }),
  kind: choice({ summary: 'c', choices: ['a', 'b'] }),
  token: string({ summary: 't', secret: true }),
};
const build = task('build', {
  summary: 's',
  params: { to: device({ summary: 'd' }) },
  steps: (p) => ({ id: p.probe(reads), path: 'out' }),
});

/** Params. */
task('params', {
  summary: 's',
  params,
  steps(_, { params }) {
    same<typeof params.size, number>();
    same<typeof params.kind, 'a' | 'b'>();
    same<typeof params.token, Ref<string>>();
    // @ts-expect-error a misspelt param
    params.szie;
    // @ts-expect-error a secret param is a ref, no string
    params.token.toUpperCase();
    // @ts-expect-error a choice is one of those declared
    if (params.kind === 'c') return;
  },
});

const to = deviceName('board');
build({ to });
// @ts-expect-error a param that must be there
build();
// @ts-expect-error a misspelt param
build({ to, too: 1 });
// @ts-expect-error a device is no text
build({ to: 'board' });
// @ts-expect-error a ref has no value yet
task('one', { summary: 's', params: { name: string({ summary: 'n' }) } })({ name: ref });

/** Needs and outputs, in both orders of `needs` and `steps`. */
task('needs-first', {
  summary: 's',
  params,
  needs: ({ params }) => ({ build: build({ to: params.to }) }),
  steps(_, { needs }) {
    same<typeof needs.build.id, Ref<string>>();
    same<typeof needs.build.path, string>();
    // @ts-expect-error a misspelt output
    needs.build.idd;
    // @ts-expect-error a misspelt need
    needs.biuld;
  },
});
task('steps-first', {
  summary: 's',
  steps(_, { needs }) {
    same<typeof needs.build.id, Ref<string>>();
    // @ts-expect-error a misspelt output
    needs.build.idd;
    // @ts-expect-error a misspelt need
    needs.biuld;
  },
  needs: { build: build({ to }) },
  params,
});
task('no-needs', {
  summary: 's',
  steps(_, { needs, params }) {
    // @ts-expect-error nothing is needed
    needs.build;
    // @ts-expect-error there are no params
    params.to;
  },
});
// @ts-expect-error a misspelt field of a task
task('field', { summary: 's', step: () => null });
// @ts-expect-error a need is a task, not its name
task('by-name', { summary: 's', needs: { build: 'build' } });

/** Steps. */
// @ts-expect-error a change without its undo
p.change({ touches: [], do: (p) => p.call(changes) });
// @ts-expect-error a change without what it touches
p.change({ do: (p) => p.call(changes), undo: (p) => p.call(changes) });
// @ts-expect-error only what reads can be asked
p.probe(changes);
// @ts-expect-error a command says what it does to the world
p.run(['true'], {});
// @ts-expect-error a command is argv, no text
p.run('true', { effect: 'reads' });
// @ts-expect-error a number is no argument
p.run(['true', 1], { effect: 'reads' });
// @ts-expect-error a mode is no ref
p.write('x', 'y', { mode: ref });
// @ts-expect-error a device is named by a device
p.on('board');
// @ts-expect-error a lock is on a device
p.lock('deploy');
// @ts-expect-error a list of numbers is no argv
p.run(['true', p.run(['x'], { effect: 'reads', yields: s.list(s.number) })], { effect: 'reads' });
// @ts-expect-error what runs without `yields` has no value
p.run(['true'], { effect: 'reads' }).get('x');

/** Values. */
same<ReturnType<typeof p.when<string>>, Ref<string | null>>();
const found = p.probe({
  name: 'q',
  effect: 'reads',
  yields: s.object({ id: s.nullable(s.string), all: s.list(s.string) }),
});
same<typeof found.id, Ref<string | null>>();
// @ts-expect-error a misspelt field of an answer
found.idd;
// @ts-expect-error null must be ruled out first
p.run(['true', found.id], { effect: 'reads' });
p.run(['true', p.require(found.id, 'none'), found.all], { effect: 'reads' });
const each = p.each(found.all, (_, item) => ({ item }));
same<typeof each, Ref<readonly { readonly item: string }[]>>();
// @ts-expect-error a condition is a yes or no
p.when(ref, () => null);
// @ts-expect-error only a list can be gone through
p.each(ref, () => null);

/** Channels. */
p.notify({ to: slack({ webhook: secret('HOOK') }), text: ref });
// @ts-expect-error an address that anybody who has it can use is a secret
slack({ webhook: 'https://hooks.example/T/B/x' });
// @ts-expect-error a chat belongs to it
telegram({ token: secret('TOKEN') });
const told = p.notifying({ to: [], text: 'it' }, () => ref);
same<typeof told, Ref<string>>();
