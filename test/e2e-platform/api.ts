import { setTimeout as rest } from 'node:timers/promises';
import type { Board } from './board.ts';

/** Between two orders of the traffic, in ms: a client of its own, not a wait for something. */
const PACE_MS = 150;

/** Which release the deployed API says it is; null when nothing answers. */
export async function answering(board: Board): Promise<string | null> {
  const answer = await ask(board, '/api/health/ready').catch(() => null);
  return answer?.ok === true ? ((await answer.json()) as { release: string }).release : null;
}

/** One part of `/api/status`: whether the trader opens nothing new. */
export async function isPaused(board: Board): Promise<boolean> {
  return ((await (await ask(board, '/api/status')).json()) as { quiesced: boolean }).quiesced;
}

/** The price that the exchange itself tells now. */
export async function priceOf(board: Board, symbol: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${String(board.ports()['exchange'])}/ticker?symbol=${symbol}`);
  return Number(((await answer.json()) as { price: string }).price);
}

/** Posts an order through the public API; yields the HTTP status. */
export async function postOrder(
  board: Board,
  order: { readonly id: string; readonly limit: string; readonly token?: string },
): Promise<number> {
  const { id, limit, token = board.secret('PLATFORM_API_TOKEN') } = order;
  const body = JSON.stringify({
    symbol: 'ETH-USD',
    side: 'buy',
    quantity: '0.001',
    limit_price: limit,
    client_order_id: id,
  });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(address(board, '/api/orders'), {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(5_000),
  });
  await answer.text();
  return answer.status;
}

/** Posts orders that fill at once for as long as `body` takes; yields the ids of those that the API accepted. */
export async function underTraffic<T>(
  board: Board,
  prefix: string,
  body: () => Promise<T>,
): Promise<{ readonly value: T; readonly accepted: readonly string[] }> {
  const accepted: string[] = [];
  const over = new AbortController();
  const traffic = (async () => {
    for (let count = 0; !over.signal.aborted; count += 1) {
      const id = `${prefix}-${String(count)}`;
      const status = await postOrder(board, { id, limit: '999999' }).catch(() => 0);
      if (status === 201) accepted.push(id);
      await rest(PACE_MS);
    }
  })();
  try {
    return { value: await body(), accepted };
  } finally {
    over.abort();
    await traffic;
  }
}

const address = (board: Board, path: string): string => `http://127.0.0.1:${String(board.ports()['backend'])}${path}`;

const ask = (board: Board, path: string): Promise<Response> =>
  fetch(address(board, path), { signal: AbortSignal.timeout(5_000) });
