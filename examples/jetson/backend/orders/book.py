"""Keeps rows in step with what the exchange reports; every fill counts exactly once."""

from decimal import Decimal

from django.db import transaction

from .models import DONE, Order, Position

FINAL = (Order.Status.FILLED, Order.Status.CANCELLED)  # said by the exchange; rejected may be ours


def open_orders():
    """Orders that may still fill, oldest first."""
    return Order.objects.exclude(status__in=DONE).order_by("id")


def apply_report(client_order_id: str, report: dict) -> Order:
    """Takes over an exchange's report on an order, and moves the position by what is newly filled.

    One transaction, with the earlier fill read inside it: repeating a report changes nothing.
    """
    with transaction.atomic():
        order = Order.objects.get(client_order_id=client_order_id)
        filled = max(order.filled_quantity, Decimal(report["filled_quantity"]))
        if filled > order.filled_quantity:
            _move_position(order, filled - order.filled_quantity, Decimal(report["average_price"]))
        order.exchange_order_id = report["id"]
        order.filled_quantity = filled
        if order.status not in FINAL:  # an answer that was overtaken may still say open
            order.status = report["status"]
        order.save()
    return order


def adopt(report: dict) -> Order:
    """Writes down an order that rests at the exchange but is unknown here."""
    order, _ = Order.objects.get_or_create(
        client_order_id=report["client_order_id"],
        defaults={
            "symbol": report["symbol"],
            "side": report["side"],
            "quantity": Decimal(report["quantity"]),
            "limit_price": Decimal(report["limit_price"]),
            "source": Order.Source.ADOPTED,
        },
    )
    return apply_report(order.client_order_id, report)


def _move_position(order: Order, quantity: Decimal, price: Decimal) -> None:
    position, _ = Position.objects.get_or_create(symbol=order.symbol)
    change = quantity if order.side == Order.Side.BUY else -quantity
    closed = (
        min(abs(change), abs(position.quantity)) if position.quantity * change < 0 else Decimal(0)
    )
    gain = price - position.average_price
    position.realized_pnl += closed * (gain if position.quantity > 0 else -gain)
    position.average_price = _average(position, change, price)
    position.quantity += change
    position.save()


def _average(position: Position, change: Decimal, price: Decimal) -> Decimal:
    """The entry price after a change: blended when growing, kept when shrinking."""
    after = position.quantity + change
    if after == 0:
        return Decimal(0)
    if position.quantity * change >= 0:
        return (position.quantity * position.average_price + change * price) / after
    return position.average_price if after * position.quantity > 0 else price
