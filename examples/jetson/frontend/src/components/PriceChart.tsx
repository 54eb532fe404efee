import type { Candle } from '../api/types.ts';
import { chartShape } from '../chart.ts';
import { amount, clock } from '../format.ts';

const WIDTH = 720;
const HEIGHT = 200;

interface Props {
  symbols: readonly string[];
  symbol: string;
  candles: readonly Candle[];
  onChoose: (symbol: string) => void;
}

/** Closing prices as a line; the symbol is chosen above it. */
export function PriceChart({ symbols, symbol, candles, onChoose }: Props) {
  const shape = chartShape(candles, WIDTH, HEIGHT);
  const last = candles.at(-1);
  const first = candles[0];
  return (
    <section className="card chart">
      <div className="card-head">
        <div className="tabs">
          {symbols.map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === symbol}
              onClick={() => {
                onChoose(name);
              }}
            >
              {name}
            </button>
          ))}
        </div>
        {last && <strong className="price">{amount(last.close)}</strong>}
      </div>
      {shape && first && last ? (
        <>
          <div className="plot">
            <svg
              viewBox={`0 -4 ${WIDTH} ${HEIGHT + 8}`}
              preserveAspectRatio="none"
              role="img"
              aria-label={`${symbol} closing prices`}
            >
              <path className="area" d={shape.area} />
              <path className="line" d={shape.line} />
            </svg>
            <div className="bounds">
              <span>{amount(shape.high)}</span>
              <span>{amount(shape.low)}</span>
            </div>
          </div>
          <div className="axis">
            <span>{clock(first.opened_at)}</span>
            <span>{clock(last.opened_at)}</span>
          </div>
        </>
      ) : (
        <p className="empty">No prices yet: is the fetcher running?</p>
      )}
    </section>
  );
}
