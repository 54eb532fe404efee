/** An amount with separators and a fixed number of digits after the point. */
export function amount(value: string | number, digits = 2): string {
  return Number(value).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A quantity without needless zeros. */
export function quantity(value: string): string {
  return Number(value).toLocaleString('en-US', { maximumFractionDigits: 8 });
}

/** An amount with its sign. */
export function signed(value: string): string {
  return `${Number(value) < 0 ? '−' : '+'}${amount(Math.abs(Number(value)))}`;
}

/** An age in the largest unit that fits. */
export function age(seconds: number | null): string {
  if (seconds === null) return 'none yet';
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

/** The time of day of an ISO time, as the viewer's clock shows it. */
export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString('en-GB');
}
