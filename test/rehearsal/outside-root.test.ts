import { expect, test } from 'vitest';
import { outsideRoot } from '../../lib/rehearsal/outside-root.ts';
import { Ref, plain, text } from '../../lib/model/ref.ts';
import { stepOf } from '../device/rig.ts';

const ROOT = '/project/.slipway/rehearsal/rehearsal';
const inRun = (...argv: unknown[]): readonly string[] =>
  outsideRoot(stepOf('run', { argv: argv.map(plain), output: 'none' }), ROOT);

test('a command may name what is below the root, or relative to it, and nothing else', () => {
  expect(inRun('ls', 'data', './x', 'a/b', '-l', `${ROOT}/data`, ROOT)).toEqual([]);
  expect(inRun('ls', '/etc', '--config=/etc/x.conf', '-v/srv:/data')).toEqual(['/etc', '/etc/x.conf', '/srv', '/data']);
  expect(inRun('/usr/sbin/nginx')).toEqual(['/usr/sbin/nginx']);
  expect(inRun('ls', `${ROOT}/../../..`, `${ROOT}-other`)).toEqual([`${ROOT}/../../..`, `${ROOT}-other`]);
});

test('addresses are no paths, and /dev/null keeps nothing', () => {
  expect(inRun('curl', '-o', '/dev/null', 'http://127.0.0.1:8000/api/v1/health')).toEqual([]);
});

test('refs are judged by the text that is known', () => {
  const id = new Ref<string>({ $ref: 'deploy/1', at: [] });
  expect(inRun('ls', text`/srv/${id}`, text`releases/${id}`, id)).toEqual(['/srv/‹›']);
});

test('scripts, working folders, links, files and the commands of services', () => {
  expect(
    outsideRoot(stepOf('shell', { script: 'cat </etc/passwd >out; cd "/srv"', cwd: '/tmp', output: 'none' }), ROOT),
  ).toEqual(['/etc/passwd', '/srv', '/tmp']);
  expect(outsideRoot(stepOf('link', { path: 'current', target: '/opt/app' }), ROOT)).toEqual(['/opt/app']);
  expect(outsideRoot(stepOf('write', { path: '/etc/hosts', content: '/not/a/path', mode: 0o644 }), ROOT)).toEqual([
    '/etc/hosts',
  ]);
  const services = [{ name: 'web', argv: ['nginx', '-c', '/etc/nginx.conf'], health: { path: '/api/health' } }];
  expect(outsideRoot(stepOf('probe', { ask: 'device.room', args: { services } }), ROOT)).toEqual(['/etc/nginx.conf']);
});
