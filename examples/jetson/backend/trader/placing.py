"""The one path to the exchange for orders: the trader's, the API's and the command line's."""

import logging
import uuid
from decimal import Decimal

from django.conf import settings

from orders.book import apply_report
from orders.models import Order
from platform_backend.exchange_client import ExchangeClient, ExchangeRefused, ExchangeUnavailable

from .flags import opening_an_order
from .strategy import Intent

log = logging.getLogger("trader.orders")
ATTEMPTS = 2


class DifferentOrder(Exception):
    """The client order id belongs to an order with other contents."""


def new_client_order_id() -> str:
    """An id that names an order everywhere."""
    return uuid.uuid4().hex


def place(
    exchange: ExchangeClient, intent: Intent, source: str, client_order_id: str
) -> tuple[Order, bool]:
    """Writes the order down, then sends it; tells whether it is new.

    Repeating it with the same id gives the same order, here and at the exchange. An order whose
    answer was lost stays pending until the exchange has been asked about it.
    Raises TradingPaused, DifferentOrder.
    """
    with opening_an_order(settings.ENVIRONMENT.data_dir):
        order, created = _write_down(intent, source, client_order_id)
    if order.status == Order.Status.PENDING:
        order = _send(exchange, order)
    return order, created


def _write_down(intent: Intent, source: str, client_order_id: str) -> tuple[Order, bool]:
    wanted = {
        "symbol": intent.symbol,
        "side": intent.side,
        "quantity": intent.quantity,
        "limit_price": intent.limit_price,
    }
    order, created = Order.objects.get_or_create(
        client_order_id=client_order_id, defaults={**wanted, "source": source}
    )
    if any(getattr(order, name) != value for name, value in wanted.items()):
        raise DifferentOrder(f"order {client_order_id} exists with other contents")
    return order, created


def _send(exchange: ExchangeClient, order: Order) -> Order:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            report = exchange.place(_as_request(order))
            order = apply_report(order.client_order_id, report)
            log.info("placed %s: %s", order.client_order_id, order)
            return order
        except ExchangeUnavailable as error:
            log.warning("order %s, attempt %d: %s", order.client_order_id, attempt, error)
        except ExchangeRefused as error:
            log.error("order %s refused: %s", order.client_order_id, error)
            return reject(order)
    return order


def reject(order: Order) -> Order:
    """Marks an order that the exchange does not have."""
    order.status = Order.Status.REJECTED
    order.save(update_fields=["status", "updated_at"])
    return order


def _as_request(order: Order) -> dict:
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": _text(order.quantity),
        "limit_price": _text(order.limit_price),
    }


def _text(number: Decimal) -> str:
    return f"{number:f}"
