import type { Position } from '../api/types.ts';
import { amount, quantity, signed } from '../format.ts';

/** What is held, and what it has earned so far. */
export function PositionsTable({ positions }: { positions: readonly Position[] }) {
  return (
    <section className="card">
      <h2>Positions</h2>
      {positions.length === 0 ? (
        <p className="empty">Nothing is held.</p>
      ) : (
        <div className="scroll">
          <table>
            <thead>
              <tr>
                <th>Symbol</th>
                <th className="number">Quantity</th>
                <th className="number">Average</th>
                <th className="number">Realised</th>
              </tr>
            </thead>
            <tbody>
              {positions.map((position) => (
                <tr key={position.symbol}>
                  <td>{position.symbol}</td>
                  <td className="number">{quantity(position.quantity)}</td>
                  <td className="number">{amount(position.average_price)}</td>
                  <td className="number" data-tone={Number(position.realized_pnl) < 0 ? 'bad' : 'good'}>
                    {signed(position.realized_pnl)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
