import { useCallback, useState } from 'react';

import { loadSnapshot } from './api/snapshot.ts';
import { usePolling } from './api/usePolling.ts';
import { Header } from './components/Header.tsx';
import { OrdersTable } from './components/OrdersTable.tsx';
import { PositionsTable } from './components/PositionsTable.tsx';
import { PriceChart } from './components/PriceChart.tsx';

const PAUSE_MS = 2_000;

/** The dashboard: the last answer stays on the page while the API cannot be reached. */
export function App() {
  const [chosen, setChosen] = useState<string | null>(null);
  const load = useCallback((signal: AbortSignal) => loadSnapshot(chosen, signal), [chosen]);
  const { data, error } = usePolling(load, PAUSE_MS);

  return (
    <>
      <Header status={data?.status ?? null} reachable={error === null} />
      {error && (
        <p className="alert" role="alert">
          Cannot reach the API: retrying. <span>{error.message}</span>
        </p>
      )}
      {data && (
        <main>
          <PriceChart symbols={data.status.symbols} symbol={data.symbol} candles={data.candles} onChoose={setChosen} />
          <PositionsTable positions={data.positions} />
          <OrdersTable orders={data.orders} />
        </main>
      )}
    </>
  );
}
