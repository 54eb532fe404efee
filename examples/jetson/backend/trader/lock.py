"""Only one trader may run on a data folder."""

import fcntl
import os
from pathlib import Path

EX_TEMPFAIL = 75  # sysexits.h: try again later


class AlreadyTrading(Exception):
    """Another process holds the lock; the message says which."""


def take_trader_lock(data_dir: Path, release: str) -> int:
    """Locks until this process ends, however it ends; the file is never removed.

    Returns the descriptor to keep. Raises AlreadyTrading.
    """
    descriptor = os.open(data_dir / "trader.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode(errors="replace").strip() or "unknown process"
        os.close(descriptor)
        raise AlreadyTrading(f"another trader is running ({holder}); stop that one first") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"pid {os.getpid()}, release {release}\n".encode())
    return descriptor
