"""The trader's cycle: learn what happened, tidy up, then open something new if that is allowed."""

import logging
import time
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from candles.freshness import data_age_seconds, is_fresh
from orders.book import open_orders
from orders.models import Order, Position
from platform_backend.exchange_client import ExchangeClient, exchange_from_settings
from platform_backend.loop import run_loop
from platform_backend.stopping import StopSignal

from . import flags
from .placing import new_client_order_id, place
from .reconcile import cancel, reconcile, refresh
from .strategy import next_intent

log = logging.getLogger("trader")
WATCH_SECONDS = 0.25  # between looks at an order that should fill soon
MAX_BACKOFF_SECONDS = 5.0


class Trader:
    """Trades each configured symbol, one order of a symbol at a time."""

    def __init__(self, exchange: ExchangeClient, stop: StopSignal):
        self.exchange = exchange
        self.stop = stop
        self.options = settings.CONFIG.trader
        self.reconciled = False
        self.opened_at = float("-inf")
        self.state = ""

    def step(self) -> float:
        """One cycle; returns the seconds to wait."""
        if not self.reconciled:
            reconcile(self.exchange)
            self.reconciled = True
        refresh(self.exchange)
        self._tidy_up()
        if self._may_open() and time.monotonic() - self.opened_at >= self.options.interval_seconds:
            self._open_orders()
        watched = open_orders().filter(source=Order.Source.STRATEGY).exists()
        return WATCH_SECONDS if watched else self.options.interval_seconds

    def finish(self) -> None:
        """Before the end: writes down what the exchange did meanwhile."""
        refresh(self.exchange)

    def _tidy_up(self) -> None:
        """Cancels all orders under the kill switch, otherwise own ones that rest too long."""
        doomed = open_orders()
        if not flags.is_set(settings.ENVIRONMENT.data_dir, flags.KILL_SWITCH):
            oldest = timezone.now() - timedelta(seconds=self.options.order_timeout_seconds)
            doomed = doomed.filter(source=Order.Source.STRATEGY, created_at__lt=oldest)
        for order in doomed:
            cancel(self.exchange, order)

    def _may_open(self) -> bool:
        state = self._hindrance() or "trading"
        if state != self.state:
            log.info("now %s", state)
            self.state = state
        return state == "trading"

    def _hindrance(self) -> str | None:
        data_dir = settings.ENVIRONMENT.data_dir
        if flags.is_set(data_dir, flags.KILL_SWITCH):
            return "halted by the kill switch"
        if flags.is_set(data_dir, flags.QUIESCED):
            return "quiesced"
        return None if is_fresh(data_age_seconds()) else "waiting for fresh market data"

    def _open_orders(self) -> None:
        self.opened_at = time.monotonic()
        for symbol in settings.CONFIG.market.symbols:
            own = Order.objects.filter(symbol=symbol, source=Order.Source.STRATEGY)
            if self.stop.requested or open_orders().filter(pk__in=own).exists():
                continue
            self._open_order(symbol, own.order_by("-id").first())

    def _open_order(self, symbol: str, last: Order | None) -> None:
        price = Decimal(self.exchange.ticker(symbol)["price"])
        position = Position.objects.filter(symbol=symbol).first()
        intent = next_intent(
            symbol,
            price,
            position.quantity if position else Decimal(0),
            last.side if last else "buy",
            Decimal(str(self.options.notional)),
            self.options.max_orders_held,
        )
        try:
            place(self.exchange, intent, Order.Source.STRATEGY, new_client_order_id())
        except flags.TradingPaused as pause:
            log.info("not opened: %s", pause)


def run(stop: StopSignal) -> None:
    """Trades until asked to stop."""
    trader = Trader(exchange_from_settings(), stop)
    run_loop("trader", trader.step, stop, MAX_BACKOFF_SECONDS)
    try:
        trader.finish()
    except Exception as error:
        log.warning("could not record the last state, the next start reconciles: %s", error)
    log.info("stopped")
