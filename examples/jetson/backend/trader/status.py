"""Whether the trader may be stopped: read from files alone, so that the answer is quick."""

import sqlite3
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

from platform_backend.reader import reading

from . import flags

TIMEOUT_SECONDS = 0.3
OPEN_ORDERS = """
    SELECT id, side, quantity, symbol, limit_price, created_at FROM orders_order
    WHERE status NOT IN ('filled', 'cancelled', 'rejected') ORDER BY id
"""


def trade_status(data_dir: Path) -> dict:
    """Open orders make stopping unsafe, and so does not knowing; positions do not."""
    try:
        opened, positions = _read(data_dir / "db.sqlite3")
    except sqlite3.Error as error:
        opened, positions = [f"unknown: the database cannot be read ({error})"], 0
    return {
        "safeToStop": not opened,
        "open": opened,
        "openPositions": positions,
        "quiesced": flags.is_set(data_dir, flags.QUIESCED),
        "killSwitch": flags.is_set(data_dir, flags.KILL_SWITCH),
    }


def _read(database: Path) -> tuple[list[str], int]:
    if not database.exists():
        return [], 0
    with reading(database, TIMEOUT_SECONDS) as link:
        tables = {name for (name,) in link.execute("SELECT name FROM sqlite_master")}
        opened = link.execute(OPEN_ORDERS).fetchall() if "orders_order" in tables else []
        count = "SELECT count(*) FROM orders_position WHERE quantity != 0"
        positions = link.execute(count).fetchone()[0] if "orders_position" in tables else 0
    return [_describe(*row) for row in opened], positions


def _describe(identifier, side, quantity, symbol, limit, created_at) -> str:
    created = datetime.fromisoformat(created_at).replace(tzinfo=timezone.utc)
    age = max(0, int((datetime.now(timezone.utc) - created).total_seconds()))
    amount = f"{side.upper()} {_plain(quantity)} {symbol} limit {_plain(limit)}"
    return f"order {identifier} {amount} (age {age} s)"


def _plain(number) -> str:
    """A decimal without needless zeros, but always with a point."""
    text = f"{Decimal(str(number)).normalize():f}"
    return text if "." in text else f"{text}.0"
