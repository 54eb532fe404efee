"""Commands that place and cancel orders by hand."""

import sys

from .preparation import prepare_django


def place_order(arguments) -> int:
    """Places an order; 0 when the exchange has it, 1 when not, 2 for unusable values."""
    prepare_django(log_stream=sys.stderr)
    from orders.models import Order
    from orders.serializers import NewOrderSerializer
    from platform_backend.exchange_client import exchange_from_settings
    from trader.flags import TradingPaused
    from trader.placing import DifferentOrder, new_client_order_id, place
    from trader.strategy import Intent

    values = {
        "symbol": arguments.symbol,
        "side": arguments.side,
        "quantity": arguments.quantity,
        "limit_price": arguments.limit,
    }
    wanted = NewOrderSerializer(data=values)
    if not wanted.is_valid():
        return _complain(_first_error(wanted.errors), 2)
    identifier = arguments.client_order_id or new_client_order_id()
    try:
        intent = Intent(**wanted.validated_data)
        order, _ = place(exchange_from_settings(), intent, Order.Source.MANUAL, identifier)
    except (TradingPaused, DifferentOrder) as refusal:
        return _complain(str(refusal), 1)
    print(f"order {order.pk} {order}")
    return 0 if order.status in (Order.Status.OPEN, Order.Status.FILLED) else 1


def cancel_order(arguments) -> int:
    """Cancels one or all open orders; 0 when none of them is open any more."""
    prepare_django(log_stream=sys.stderr)
    from orders.book import open_orders
    from platform_backend.exchange_client import (
        ExchangeRefused,
        ExchangeUnavailable,
        exchange_from_settings,
    )
    from trader.reconcile import cancel

    chosen = [order for order in open_orders() if arguments.all or _is(order, arguments.id)]
    if not chosen and not arguments.all:
        return _complain(f"no open order {arguments.id}", 1)
    try:
        for order in chosen:
            print(f"order {order.pk} {cancel(exchange_from_settings(), order)}")
    except (ExchangeUnavailable, ExchangeRefused) as error:
        return _complain(f"exchange: {error}", 1)
    return 0


def _is(order, identifier: str) -> bool:
    return identifier in (str(order.pk), order.client_order_id)


def _first_error(errors: dict) -> str:
    name, messages = next(iter(errors.items()))
    return f"{name}: {messages[0]}"


def _complain(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status
