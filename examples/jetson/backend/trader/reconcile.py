"""Brings the orders here in line with the exchange's."""

import logging
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from orders.book import adopt, apply_report, open_orders
from orders.models import Order
from platform_backend.exchange_client import ExchangeClient

from .placing import reject

log = logging.getLogger("trader.orders")
LOST_AFTER_SECONDS = 15  # longer than all attempts to send an order take together


def reconcile(exchange: ExchangeClient) -> None:
    """After a start: takes over unknown orders and everything that happened meanwhile."""
    resting = exchange.open_orders()
    ids = [report["client_order_id"] for report in resting]
    rows = Order.objects.filter(client_order_id__in=ids)
    known = set(rows.values_list("client_order_id", flat=True))
    for report in resting:
        if report["client_order_id"] not in known:
            log.warning("adopting order %s found at the exchange", report["client_order_id"])
            adopt(report)
    refresh(exchange)
    log.info("reconciled: %d orders rest at the exchange", len(resting))


def refresh(exchange: ExchangeClient) -> None:
    """Asks about every order that may still fill."""
    for order in open_orders():
        report = exchange.order(order.client_order_id)
        if report is None:
            _give_up_if_lost(order)
        elif _differs(order, report):
            order = apply_report(order.client_order_id, report)
            log.info("order %s: %s", order.client_order_id, order)


def cancel(exchange: ExchangeClient, order: Order) -> Order:
    """Cancels one order; what filled before counts."""
    if exchange.order(order.client_order_id) is None:
        return reject(order)
    order = apply_report(order.client_order_id, exchange.cancel(order.client_order_id))
    log.info("cancelled %s: %s", order.client_order_id, order)
    return order


def _give_up_if_lost(order: Order) -> None:
    """A young order may still be on its way, sent by another process."""
    if timezone.now() - order.created_at > timedelta(seconds=LOST_AFTER_SECONDS):
        log.error("order %s is unknown to the exchange", order.client_order_id)
        reject(order)


def _differs(order: Order, report: dict) -> bool:
    filled = Decimal(report["filled_quantity"])
    return order.status != report["status"] or order.filled_quantity != filled
