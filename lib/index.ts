export {
  and,
  atLeast,
  equals,
  flagged,
  isEmpty,
  isNull,
  not,
  oneOf,
  or,
  otherwise,
  prefix,
  without,
} from './model/choice.ts';
export { slack, telegram, webhook, type Channel } from './model/channel.ts';
export { choice, device, deviceName, flag, number, string, type DeviceName, type Param } from './model/param.ts';
export type { Notice } from './model/notice.ts';
export type { Recorder } from './model/recorder.ts';
export type { Ready, Restart, ServiceHere } from './model/service-here.ts';
export type { Operation } from './model/site.ts';
export { Ref, secret, text, type Value } from './model/ref.ts';
export { s, type Infer, type Schema } from './model/schema.ts';
export { system, type Service, type Supervisor, type System } from './model/service.ts';
export type { StaticFiles, Web } from './model/web.ts';
export { task, type Need, type Task } from './model/task.ts';
export { PATIENCE, deployRelease, inspectDevice, packRelease, rollbackRelease, type Patience } from './ops/release.ts';
export { main, type Project } from './cli/main.ts';
