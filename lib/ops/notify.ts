import type { Notice } from '../model/notice.ts';
import type { Recorder } from '../model/recorder.ts';

/** The same steps, told about where there is somebody to tell; without, the plan is what it would be. */
export function toldTo(
  notice: Omit<Notice, 'to'> & { readonly to: Notice['to'] | undefined },
  steps: (p: Recorder) => void,
): (p: Recorder) => void {
  const { to = [], ...about } = notice;
  if ([to].flat().length === 0) return steps;
  return (p) => void p.notifying({ ...about, to }, steps);
}
