import type { Candle, Order, Position, Snapshot, Status } from './types.ts';

/** The API answered, but not with success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
}

async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  const response = await fetch(path, { signal, headers: { Accept: 'application/json' } });
  if (!response.ok) throw new ApiError(`${path.split('?')[0] ?? path} answered ${response.status}`);
  return (await response.json()) as T;
}

/** Everything that the page shows, asked for at once so that it belongs together. */
export async function loadSnapshot(chosen: string | null, signal: AbortSignal): Promise<Snapshot> {
  const query = chosen === null ? '' : `?symbol=${encodeURIComponent(chosen)}`;
  const [status, prices, orders, positions] = await Promise.all([
    get<Status>('/api/status', signal),
    get<{ symbol: string; candles: Candle[] }>(`/api/candles${query}`, signal),
    get<{ orders: Order[] }>('/api/orders?limit=12', signal),
    get<{ positions: Position[] }>('/api/positions', signal),
  ]);
  return { status, symbol: prices.symbol, candles: prices.candles, ...orders, ...positions };
}
