"""The order book: what was placed, when it fills, and a file from which it is read again."""

import json
import logging
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from .prices import BASES, money, price_at

log = logging.getLogger("exchange")
KEPT_DONE_MAX = 1_000
ID_MAX_CHARS = 64


class Refused(Exception):
    """An order or a request that cannot be accepted."""


class OrderBook:
    """Orders by client order id; placing the same id again gives the same order."""

    def __init__(self, state_file: Path, fill_delay: float, clock: Callable[[], float] = time.time):
        self.state_file = state_file
        self.fill_delay = fill_delay
        self.clock = clock
        self.orders: dict[str, dict] = self._load()

    def place(self, wanted: dict) -> tuple[dict, bool]:
        """The order and whether it is new. Raises Refused."""
        order = _checked(wanted)
        known = self.orders.get(order["client_order_id"])
        if known:
            return known, False
        order |= {"id": f"X{len(self.orders) + 1}-{int(self.clock() * 1000)}", "status": "open"}
        order |= {"filled_quantity": "0", "average_price": "0", "placed_at": self.clock()}
        self.orders[order["client_order_id"]] = order
        self._save()
        return order, True

    def cancel(self, client_order_id: str) -> dict | None:
        """The order afterwards; done ones stay as they are."""
        order = self.orders.get(client_order_id)
        if order and order["status"] == "open":
            order["status"] = "cancelled"
            self._save()
        return order

    def resting(self) -> list[dict]:
        """Orders that may still fill."""
        return [order for order in self.orders.values() if order["status"] == "open"]

    def match(self) -> None:
        """Fills every order whose limit the price has reached."""
        now = self.clock()
        ripe = [order for order in self.resting() if now - order["placed_at"] >= self.fill_delay]
        filled = [order for order in ripe if _reached(order, price_at(order["symbol"], now))]
        for order in filled:
            price = money(price_at(order["symbol"], now))
            order |= {"status": "filled", "filled_quantity": order["quantity"]}
            order["average_price"] = price
            log.info("filled %s at %s", order["client_order_id"], price)
        if filled:
            self._save()

    def _load(self) -> dict[str, dict]:
        try:
            return json.loads(self.state_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.error("starting empty, the state cannot be read: %s", error)
            return {}

    def _save(self) -> None:
        """Renames a whole new file over the old one; a full disk costs the file only."""
        done = [key for key, order in self.orders.items() if order["status"] != "open"]
        for key in done[: max(0, len(done) - KEPT_DONE_MAX)]:
            del self.orders[key]
        draft = self.state_file.with_suffix(".new")
        try:
            draft.write_text(json.dumps(self.orders), encoding="utf-8")
            draft.replace(self.state_file)
        except OSError as error:
            log.error("the state cannot be written: %s", error)


def _checked(wanted: dict) -> dict:
    try:
        identifier, symbol, side = wanted["client_order_id"], wanted["symbol"], wanted["side"]
        quantity, limit = Decimal(wanted["quantity"]), Decimal(wanted["limit_price"])
    except (KeyError, TypeError, ValueError, InvalidOperation):
        fields = "client_order_id, symbol, side, quantity and limit_price"
        raise Refused(f"an order has {fields}") from None
    if not isinstance(identifier, str) or not 0 < len(identifier) <= ID_MAX_CHARS:
        raise Refused(f"client_order_id must have 1 to {ID_MAX_CHARS} characters")
    if symbol not in BASES:
        raise Refused(f"unknown symbol; there are {', '.join(BASES)}")
    if side not in ("buy", "sell"):
        raise Refused("side must be buy or sell")
    if not (quantity.is_finite() and limit.is_finite() and quantity > 0 and limit > 0):
        raise Refused("quantity and limit_price must be more than 0")
    order = {"client_order_id": identifier, "symbol": symbol, "side": side}
    return order | {"quantity": f"{quantity:f}", "limit_price": f"{limit:f}"}


def _reached(order: dict, price: float) -> bool:
    limit = float(order["limit_price"])
    return price <= limit if order["side"] == "buy" else price >= limit
