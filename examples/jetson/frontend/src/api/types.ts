/** What the API answers. Amounts are decimal text, as JSON numbers would round them. */
export interface Candle {
  opened_at: string;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: string;
}

export interface Order {
  id: number;
  symbol: string;
  side: 'buy' | 'sell';
  quantity: string;
  limit_price: string;
  status: 'pending' | 'open' | 'filled' | 'cancelled' | 'rejected';
  source: string;
  created_at: string;
}

export interface Position {
  symbol: string;
  quantity: string;
  average_price: string;
  realized_pnl: string;
}

export interface Status {
  release: string;
  environment: string;
  status: 'ok' | 'degraded';
  symbols: string[];
  exchange: { status: 'ok' | 'degraded'; detail?: string };
  freshness_seconds: number | null;
  fresh: boolean;
  kill_switch: boolean;
  quiesced: boolean;
  equity: string;
}

export interface Snapshot {
  status: Status;
  symbol: string;
  candles: Candle[];
  orders: Order[];
  positions: Position[];
}
