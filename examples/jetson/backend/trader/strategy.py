"""What to do next: builds a position order by order, then takes it down again."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

LOT = Decimal("0.00001")
TICK = Decimal("0.01")
MARKETABLE = Decimal("0.002")  # how far past the last price a limit goes, so that it fills soon


@dataclass(frozen=True)
class Intent:
    """An order that the strategy wants."""

    symbol: str
    side: str
    quantity: Decimal
    limit_price: Decimal


def next_intent(
    symbol: str, price: Decimal, held: Decimal, last_side: str, notional: Decimal, max_orders: int
) -> Intent:
    """The next order of a symbol, from its price, what is held and the side of the last order."""
    lot = max((notional / price).quantize(LOT, ROUND_DOWN), LOT)
    if _grows(held / lot, last_side, max_orders):
        return Intent(symbol, "buy", lot, _cents(price * (1 + MARKETABLE)))
    return Intent(symbol, "sell", min(lot, held), _cents(price * (1 - MARKETABLE)))


def _grows(orders_held: Decimal, last_side: str, max_orders: int) -> bool:
    """Goes on in the last direction until it meets an end; half a lot allows for price changes."""
    if orders_held < Decimal("0.5"):
        return True
    if orders_held > max_orders - Decimal("0.5"):
        return False
    return last_side == "buy"


def _cents(price: Decimal) -> Decimal:
    return price.quantize(TICK, ROUND_HALF_EVEN)
