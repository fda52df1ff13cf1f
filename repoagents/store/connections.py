"""Connections to the SQLite file for our own tables: standard library only.

What a run asks the state is so small that a toolkit's share of it would be nine tenths.
"""

import sqlite3
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from repoagents.store.rows import Column, Execute, Row

PRAGMAS = (
    "busy_timeout=30000",
    "foreign_keys=ON",
    "journal_mode=WAL",
    "synchronous=FULL",
    # In bytes: a log that a long reader, such as a backup, let grow is cut to this afterwards.
    "journal_size_limit=16777216",
)
IDLE = 8
"""How many connections are kept for the next use; more are opened while more are in use."""


def prepare(connection: sqlite3.Connection) -> None:
    """Set a connection up for safety: a log, a sync per commit, writers wait up to 30 s."""
    if sqlite3.sqlite_version_info < (3, 42) and sys.version_info >= (3, 12):
        add_subsecond_clock(connection)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def add_subsecond_clock(connection: sqlite3.Connection) -> None:
    """Teach SQLite before 3.42 `unixepoch('subsec')`.

    The durable engine relies on it wherever Python is 3.12 or newer, whatever SQLite is there.
    """

    def unixepoch(*modifiers: object) -> float:
        now = time.time()
        return now if modifiers and modifiers[-1] == "subsec" else int(now)

    connection.create_function("unixepoch", -1, unixepoch)


def connect(path: Path) -> sqlite3.Connection:
    """Open a state that is there, for whichever thread; each statement commits by itself."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


class FileConnections:
    """The connections of one process, each lent to one thread at a time.

    After `close` they can still be used, but none is kept.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet; `path` is absolute."""
        self._path = path
        self._kept = IDLE
        self._idle: deque[sqlite3.Connection] = deque()

    @contextmanager
    def read(self) -> Iterator[Execute]:
        """For one reading statement."""
        with self._lend() as connection:
            yield _executor(connection)

    @contextmanager
    def begin(self) -> Iterator[Execute]:
        """A transaction, which waits for its turn to write before its first statement."""
        with self._lend() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield _executor(connection)
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection; one in use is closed when its use ends."""
        self._kept = 0
        self._shed()

    @contextmanager
    def _lend(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path)
        try:
            yield connection
        except BaseException:
            # Closing rolls back, and what failed in a way that lasts is not met again.
            connection.close()
            raise
        self._idle.append(connection)
        self._shed()

    def _shed(self) -> None:
        # Without a lock: whoever comes last, a user or `close`, sees what the other left.
        with suppress(IndexError):
            while len(self._idle) > self._kept:
                self._idle.popleft().close()


def _executor(connection: sqlite3.Connection) -> Execute:
    def execute(sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
        return connection.execute(sql, values).fetchall()

    return execute
