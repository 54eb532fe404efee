import type { Order } from '../api/types.ts';
import { amount, clock, quantity } from '../format.ts';

/** The newest orders. */
export function OrdersTable({ orders }: { orders: readonly Order[] }) {
  return (
    <section className="card">
      <h2>Orders</h2>
      {orders.length === 0 ? (
        <p className="empty">No orders yet.</p>
      ) : (
        <div className="scroll">
          <table>
            <thead>
              <tr>
                <th>Time</th>
                <th>Symbol</th>
                <th>Side</th>
                <th className="number">Quantity</th>
                <th className="number">Limit</th>
                <th>Status</th>
              </tr>
            </thead>
            <tbody>
              {orders.map((order) => (
                <tr key={order.id}>
                  <td>{clock(order.created_at)}</td>
                  <td>{order.symbol}</td>
                  <td data-side={order.side}>{order.side}</td>
                  <td className="number">{quantity(order.quantity)}</td>
                  <td className="number">{amount(order.limit_price)}</td>
                  <td>
                    <span className="tag" data-status={order.status}>
                      {order.status}
                    </span>
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
