import type { StepProgress } from '../model/ports.ts';

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
const time = (s: number): string => (s < 90 ? `${String(s)} s` : `${String(Math.round(s / 60))} min`);

/** How far a step has come, in words: `12.3 of 200.0 MB (6 %), 5.1 MB/s, 37 s left`. */
export function progressWords(progress: StepProgress): string {
  const { done, total, ratePerS, leftS } = progress;
  const left = leftS === null ? '' : `, ${time(leftS)} left`;
  return `${megabytes(done)} of ${megabytes(total)} MB (${shareWords(progress)}), ${megabytes(ratePerS)} MB/s${left}`;
}

/** `6 %`. */
export const shareWords = ({ done, total }: StepProgress): string =>
  `${String(total === 0 ? 100 : Math.floor((done / total) * 100))} %`;
