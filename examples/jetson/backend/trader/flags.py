"""Switches that outlive a restart: files, so that they work while the database does not."""

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path

QUIESCED = "trader.quiesced"
KILL_SWITCH = "kill-switch"
GATE = "trader.gate"
DRAIN_SECONDS = 6.0  # longer than a statement waits for the database


class TradingPaused(Exception):
    """A switch forbids opening orders."""


def is_set(data_dir: Path, flag: str) -> bool:
    """Whether a switch is on."""
    return (data_dir / flag).exists()


def set_flag(data_dir: Path, flag: str) -> bool:
    """Turns a switch on for good; when this returns, no order passes that had not passed before.

    Returns False if one was still passing after DRAIN_SECONDS.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / flag, os.O_WRONLY | os.O_CREAT, 0o600)
    os.fsync(descriptor)
    os.close(descriptor)
    _sync_folder(data_dir)
    return _drain(data_dir)


def clear_flag(data_dir: Path, flag: str) -> None:
    """Turns a switch off."""
    if data_dir.is_dir():
        (data_dir / flag).unlink(missing_ok=True)
        _sync_folder(data_dir)


@contextmanager
def opening_an_order(data_dir: Path):
    """Held from reading the switches until the order is written down. Raises TradingPaused."""
    with _gate(data_dir) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if is_set(data_dir, KILL_SWITCH):
            raise TradingPaused("the kill switch is on; turn it off with: run.py kill-switch off")
        if is_set(data_dir, QUIESCED):
            raise TradingPaused("trading is quiesced; resume it with: run.py trade-resume")
        yield


def _drain(data_dir: Path) -> bool:
    deadline = time.monotonic() + DRAIN_SECONDS
    with _gate(data_dir) as descriptor:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(0.02)
    return False


@contextmanager
def _gate(data_dir: Path):
    descriptor = os.open(data_dir / GATE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # frees the lock


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
