"""A loop that outlives whatever its step meets, and ends when asked."""

import logging
from collections.abc import Callable

from django.db import DatabaseError

from .exchange_client import ExchangeRefused, ExchangeUnavailable
from .logs import correlated, new_correlation_id
from .stopping import StopSignal

FIRST_BACKOFF_SECONDS = 0.5


def run_loop(
    name: str, step: Callable[[], float], stop: StopSignal, max_backoff_seconds: float
) -> None:
    """Repeats `step`, which returns the seconds to wait; after a failure waits longer each time.

    A step must be safe to repeat: a locked database or a lost answer leads to the same step again.
    """
    log = logging.getLogger(name)
    backoff = FIRST_BACKOFF_SECONDS
    log.info("started")
    while not stop.requested:
        with correlated(new_correlation_id()):
            try:
                pause = step()
                backoff = FIRST_BACKOFF_SECONDS
            except Exception as error:
                _report(log, error)
                pause, backoff = backoff, min(backoff * 2, max_backoff_seconds)
        stop.wait(pause)
    log.info("stopping")


def _report(log: logging.Logger, error: Exception) -> None:
    """Expected trouble in a line, a defect with its traceback."""
    if isinstance(error, (ExchangeUnavailable, ExchangeRefused)):
        log.warning("exchange: %s; trying again", error)
    elif isinstance(error, DatabaseError):
        log.warning("database: %s; trying again", error)
    else:
        log.error("unexpected failure; trying again", exc_info=error)
