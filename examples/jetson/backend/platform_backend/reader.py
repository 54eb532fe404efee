"""Reads the database without Django, and leaves no trace."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def reading(database: Path, timeout_seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection that refuses to write. Raises sqlite3.Error, also when there is no file.

    Opened for writing all the same: a read-only connection could not remove the -wal and -shm
    files that it has to make when nobody else has the database open.
    """
    address = f"{database.as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=timeout_seconds)) as link:
        link.execute("PRAGMA query_only = ON")
        yield link
