"""The database file (SQLite) of objects and rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A killed process loses nothing; if the machine fails, the last writes may be lost.
PRAGMAS = ("journal_mode = WAL", "synchronous = OFF")


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database file in autocommit mode; create it if it is not there."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for each in PRAGMAS:
        database.execute(f"PRAGMA {each}")
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Keep all writes inside, or none if an exception leaves the block."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
