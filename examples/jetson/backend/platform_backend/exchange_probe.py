"""Knows whether the exchange is up, without making a health request wait for it."""

import threading
import time

from .exchange_client import ExchangeRefused, ExchangeUnavailable, exchange_from_settings

INTERVAL_SECONDS = 1.0
VALID_SECONDS = 5.0


class ExchangeProbe:
    """Remembers the last answer; asks while being read only if nobody else keeps asking."""

    def __init__(self):
        self._lock = threading.Lock()
        self._started = False
        self._last: tuple[dict, float] = ({}, float("-inf"))

    def start(self) -> None:
        """Asks again and again in the background, for as long as the process lives."""
        self._started = True
        threading.Thread(target=self._repeat, name="exchange-probe", daemon=True).start()

    def result(self) -> dict:
        """`status` ok or degraded, and why."""
        with self._lock:  # of several readers only one asks
            result, asked_at = self._last
            if not result or not (self._started or time.monotonic() - asked_at < VALID_SECONDS):
                result = self._ask()
            return result

    def _repeat(self) -> None:
        while True:
            self._ask()  # without the lock: readers get the last answer meanwhile
            time.sleep(INTERVAL_SECONDS)

    def _ask(self) -> dict:
        result = {"status": "ok"}
        try:
            exchange_from_settings().health()
        except (ExchangeUnavailable, ExchangeRefused) as error:
            result = {"status": "degraded", "detail": str(error)}
        self._last = (result, time.monotonic())
        return result


probe = ExchangeProbe()
