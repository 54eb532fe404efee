import type { Candle, Snapshot } from './api/types.ts';

/** A candle with a closing price. */
export function candle(close: string): Candle {
  return { opened_at: '2026-01-01T00:00:00Z', open: close, high: close, low: close, close, volume: '1' };
}

/** A platform that works. */
export const snapshot: Snapshot = {
  status: {
    release: 'r-42',
    environment: 'production',
    status: 'ok',
    symbols: ['BTC-USD', 'ETH-USD'],
    exchange: { status: 'ok' },
    freshness_seconds: 3.2,
    fresh: true,
    kill_switch: false,
    quiesced: false,
    equity: '10000.50',
  },
  symbol: 'BTC-USD',
  candles: [candle('10'), candle('20')],
  orders: [
    {
      id: 1,
      symbol: 'BTC-USD',
      side: 'buy',
      quantity: '0.01000000',
      limit_price: '60000.00000000',
      status: 'filled',
      source: 'strategy',
      created_at: '2026-01-01T00:00:00Z',
    },
  ],
  positions: [{ symbol: 'ETH-USD', quantity: '2.00000000', average_price: '3000', realized_pnl: '-1.50' }],
};

/** Answers of a working API, by path. */
export function answerFor(url: string, of: Snapshot = snapshot): unknown {
  if (url.startsWith('/api/status')) return of.status;
  if (url.startsWith('/api/candles')) {
    const symbol = new URLSearchParams(url.split('?')[1]).get('symbol') ?? of.symbol;
    return { symbol, candles: of.candles };
  }
  return url.startsWith('/api/orders') ? { orders: of.orders } : { positions: of.positions };
}
