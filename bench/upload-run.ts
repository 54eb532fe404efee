/** One upload over a connection of its own; prints what it took as JSON. Its argument is a JSON object of `UploadRun`. */
import { createDevicePerformer } from '../lib/device/performer.ts';
import type { DeviceTarget } from '../lib/model/device.ts';
import { s } from '../lib/model/schema.ts';
import type { Step } from '../lib/model/step.ts';

/** What is to be uploaded where. */
export interface UploadRun {
  readonly device: DeviceTarget;
  readonly from: string;
  readonly release: string;
}

/** `totalMs` from before the connection to after its end; `maxRssMb` of the whole process. */
export interface UploadTook {
  readonly totalMs: number;
  readonly maxRssMb: number;
}

const { device, from, release } = JSON.parse(process.argv[2] ?? '') as UploadRun;
const startMs = performance.now();
const performer = createDevicePerformer({
  device,
  run: `bench-${String(process.pid)}`,
  secrets: new Map(),
  projectDir: '/',
  environment: { PATH: process.env['PATH'], HOME: '/nonexistent', USER: 'bench' },
});
const step = {
  type: 'step',
  id: 'bench/1',
  kind: 'upload',
  place: 'board',
  effect: 'changes',
  args: { from, release },
  yields: s.object({ path: s.string, sentFiles: s.number, sentBytes: s.number }),
} as unknown as Step;
const performed = await performer.perform(step, {
  run: 'bench',
  env: [],
  cancel: { cancelled: null, onCancel: () => () => undefined },
  undoing: false,
  iteration: '',
  output: () => undefined,
});
if (!performed.ok) throw new Error(JSON.stringify(performed.failure));
await performer.close();
const took: UploadTook = {
  totalMs: performance.now() - startMs,
  maxRssMb: process.resourceUsage().maxRSS / 1024,
};
console.log(JSON.stringify(took));
