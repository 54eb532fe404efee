import type { ReactNode } from 'react';

import type { Status } from '../api/types.ts';
import { age, amount } from '../format.ts';

/** One figure of the header. */
function Figure({ label, tone, children }: { label: string; tone?: 'good' | 'bad'; children: ReactNode }) {
  return (
    <div className="figure">
      <dt>{label}</dt>
      <dd data-tone={tone}>{children}</dd>
    </div>
  );
}

function trading(status: Status): { word: string; tone: 'good' | 'bad' } {
  if (status.kill_switch) return { word: 'kill switch on', tone: 'bad' };
  return status.quiesced ? { word: 'quiesced', tone: 'bad' } : { word: 'on', tone: 'good' };
}

/** State of the platform at a glance. */
export function Header({ status, reachable }: { status: Status | null; reachable: boolean }) {
  const word = reachable ? (status?.status ?? 'loading') : 'unreachable';
  return (
    <header className="top">
      <div className="title">
        <h1>Trading platform</h1>
        <span className="pill" data-state={word} role="status">
          {word}
        </span>
        {status && (
          <span className="release">
            {status.environment} · <code>{status.release}</code>
          </span>
        )}
      </div>
      {status && (
        <dl className="figures">
          <Figure label="Equity">{amount(status.equity)}</Figure>
          <Figure label="Exchange" tone={status.exchange.status === 'ok' ? 'good' : 'bad'}>
            {status.exchange.status === 'ok' ? 'connected' : 'unavailable'}
          </Figure>
          <Figure label="Data age" tone={status.fresh ? 'good' : 'bad'}>
            {age(status.freshness_seconds)}
          </Figure>
          <Figure label="Trading" tone={trading(status).tone}>
            {trading(status).word}
          </Figure>
        </dl>
      )}
    </header>
  );
}
