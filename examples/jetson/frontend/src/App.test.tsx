import { act, cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { App } from './App.tsx';
import { answerFor, snapshot } from './test-data.ts';
import type { Snapshot } from './api/types.ts';

let api: (url: string) => Response;
let asked: string[];

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

const working = (of: Snapshot) => (url: string) => Response.json(answerFor(url, of));

beforeEach(() => {
  asked = [];
  api = working(snapshot);
  vi.stubGlobal('fetch', (url: string) => {
    asked.push(url);
    return Promise.resolve().then(() => api(url));
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('shows state, prices, orders and positions', async () => {
  render(<App />);
  expect(screen.getByRole('status').textContent).toBe('loading');
  expect(await screen.findByText('r-42')).toBeTruthy();
  expect(screen.getByRole('status').textContent).toBe('ok');
  expect(screen.getByText('10,000.50')).toBeTruthy();
  expect(screen.getByRole('img', { name: 'BTC-USD closing prices' })).toBeTruthy();
  expect(screen.getByText('60,000.00')).toBeTruthy();
  expect(screen.getByText('−1.50')).toBeTruthy();
  expect(screen.queryByRole('alert')).toBeNull();
});

test('asks again after two seconds, keeps the page while the API is away, and recovers', async () => {
  vi.useFakeTimers();
  render(<App />);
  await pass(10);
  expect(asked.length).toBe(4);
  api = () => {
    throw new TypeError('network is down');
  };
  await pass(2_000);
  expect(screen.getByRole('alert').textContent).toContain('Cannot reach the API: retrying. network is down');
  expect(screen.getByRole('status').textContent).toBe('unreachable');
  expect(screen.getByText('60,000.00')).toBeTruthy();
  api = working({ ...snapshot, status: { ...snapshot.status, status: 'degraded' } });
  await pass(2_000);
  expect(screen.queryByRole('alert')).toBeNull();
  expect(screen.getByRole('status').textContent).toBe('degraded');
});

test('an answer that is no success counts as unreachable', async () => {
  api = () => Response.json({}, { status: 503 });
  render(<App />);
  expect((await screen.findByRole('alert')).textContent).toContain('answered 503');
});

test('another symbol is asked for at once', async () => {
  render(<App />);
  fireEvent.click(await screen.findByRole('button', { name: 'ETH-USD' }));
  expect(await screen.findByRole('img', { name: 'ETH-USD closing prices' })).toBeTruthy();
  expect(asked).toContain('/api/candles?symbol=ETH-USD');
});

test('says what is missing on a fresh platform', async () => {
  const status = { ...snapshot.status, freshness_seconds: null, fresh: false, kill_switch: true };
  api = working({ ...snapshot, status, candles: [], orders: [], positions: [] });
  render(<App />);
  expect(await screen.findByText('No orders yet.')).toBeTruthy();
  expect(screen.getByText('Nothing is held.')).toBeTruthy();
  expect(screen.getByText('kill switch on')).toBeTruthy();
  expect(screen.getByText('none yet')).toBeTruthy();
});
