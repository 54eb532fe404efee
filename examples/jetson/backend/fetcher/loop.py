"""Asks the exchange for candles again and again, and keeps a bounded history."""

import logging
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from django.conf import settings

from candles.models import Candle
from platform_backend.exchange_client import ExchangeClient, exchange_from_settings
from platform_backend.loop import run_loop
from platform_backend.stopping import StopSignal

log = logging.getLogger("fetcher")
OVERLAP_CANDLES = 3  # the growing one, and those before it in case the clock turned meanwhile
PRUNE_INTERVAL_SECONDS = 300
PRICES = ("open", "high", "low", "close", "volume", "quote_volume")


class Fetcher:
    """One pass fetches each symbol; the first pass, or one after a gap, fetches the history."""

    def __init__(self, exchange: ExchangeClient):
        self.exchange = exchange
        self.market = settings.CONFIG.market
        self.options = settings.CONFIG.fetcher
        self.pruned_at = float("-inf")

    def step(self) -> float:
        """Fetches every symbol; returns the seconds to wait."""
        for symbol in self.market.symbols:
            interval = self.market.candle_seconds
            reports = self.exchange.candles(symbol, interval, self._candles_needed(symbol))
            store(symbol, interval, reports)
            log.debug("%s: %d candles", symbol, len(reports))
        self._prune()
        return self.options.interval_seconds

    def _candles_needed(self, symbol: str) -> int:
        """Enough to close the gap since the newest candle, within the configured history."""
        rows = Candle.objects.filter(symbol=symbol, interval_seconds=self.market.candle_seconds)
        newest = rows.order_by("-opened_at").values_list("opened_at", flat=True).first()
        if newest is None:
            return self.options.backfill_candles
        gap = (datetime.now(timezone.utc) - newest).total_seconds() / self.market.candle_seconds
        return max(1, min(int(gap) + OVERLAP_CANDLES, self.options.backfill_candles))

    def _prune(self) -> None:
        if time.monotonic() - self.pruned_at < PRUNE_INTERVAL_SECONDS:
            return
        self.pruned_at = time.monotonic()
        oldest = datetime.now(timezone.utc) - timedelta(hours=self.options.retention_hours)
        removed, _ = Candle.objects.filter(opened_at__lt=oldest).delete()
        log.info("kept %s hours of candles, removed %d", self.options.retention_hours, removed)


def store(symbol: str, interval_seconds: int, reports: list[dict]) -> None:
    """Inserts candles or updates those that are there: one statement, safe to repeat."""
    Candle.objects.bulk_create(
        [_candle(symbol, interval_seconds, report) for report in reports],
        update_conflicts=True,
        unique_fields=["symbol", "interval_seconds", "opened_at"],
        update_fields=[*PRICES, "fetched_at"],
    )


def _candle(symbol: str, interval_seconds: int, report: dict) -> Candle:
    opened_at = datetime.fromtimestamp(report["opened_at"], timezone.utc)
    values = {name: Decimal(report[name]) for name in PRICES[:-1]}
    turnover = values["close"] * values["volume"]
    return Candle(
        symbol=symbol,
        interval_seconds=interval_seconds,
        opened_at=opened_at,
        quote_volume=turnover.quantize(Decimal("1e-8")),
        **values,
    )


def run(stop: StopSignal) -> None:
    """Fetches until asked to stop."""
    fetcher = Fetcher(exchange_from_settings())
    run_loop("fetcher", fetcher.step, stop, settings.CONFIG.fetcher.max_backoff_seconds)
