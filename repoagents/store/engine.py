"""How the database is opened, and the one way our tables use it."""

import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from repoagents.errors import ConfigError
from repoagents.store.faults import fault
from repoagents.store.rows import Column, Row

PRAGMAS = ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL")


def parse_place(url_or_path: str | Path | URL) -> URL:
    """The database's URL; a text without a scheme is the path of a SQLite file.

    Raises `ConfigError` for anything but SQLite and PostgreSQL.
    """
    if not isinstance(url_or_path, URL) and "://" not in str(url_or_path):
        return URL.create("sqlite", database=str(Path(url_or_path).absolute()))
    try:
        url = sa.make_url(url_or_path if isinstance(url_or_path, URL) else str(url_or_path))
    except (ArgumentError, ValueError):
        url = URL.create("unreadable")
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return URL.create("sqlite", database=str(Path(url.database).absolute()))
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"state.database_url cannot be used: its scheme is {backend}",
        next_step="Use postgresql://USER@HOST/DATABASE, or leave it empty for SQLite.",
    )


def name_place(url: URL) -> str:
    """What messages call the database: a path, or host and database without the credentials."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL at {url.host or 'the default host'}{port}/{url.database or ''}"


def make_engine(url_or_path: str | Path | URL) -> Engine:
    """The engine for a SQLite file or a PostgreSQL URL; nothing is opened yet.

    SQLite: write-ahead log, a sync per commit, writers wait for each other up to 30 s.
    """
    url = parse_place(url_or_path)
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(
            url,
            pool_size=20,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": 10},
        )
    engine = sa.create_engine(
        url, pool_size=20, max_overflow=0, pool_timeout=30, hide_parameters=True
    )
    sa.event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    if sqlite3.sqlite_version_info < (3, 42) and sys.version_info >= (3, 12):
        add_subsecond_clock(connection)
    connection.isolation_level = "IMMEDIATE"
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


class Door:
    """The engine as our tables use it: transactions whose errors speak to the operator."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.place = name_place(engine.url)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back by an exception."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise fault(error.orig or error, self.place) from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise fault(error, self.place) from error

    def query(self, sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
        """The rows of one reading statement; most of what a run asks the state is this."""
        if self.engine.dialect.name == "sqlite":
            return self._query_file(sql, values)
        with self.begin() as connection:
            return connection.execute(sa.text(sql), dict(values)).mappings().all()

    def _query_file(self, sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
        # Past the toolkit, whose share of such a question is nine tenths of its time.
        try:
            with closing(self.engine.raw_connection()) as connection:
                cursor = sqlite3.Cursor(cast(sqlite3.Connection, connection.dbapi_connection))
                cursor.row_factory = sqlite3.Row
                return cursor.execute(sql, values).fetchall()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise fault(error, self.place) from error

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An insert that can say what happens on a conflict."""
        if self.engine.dialect.name == "sqlite":
            return sqlite.insert(table)
        return postgresql.insert(table)

    def insert_new(
        self, table: sa.Table, columns: Mapping[str, Column]
    ) -> sa.sql.dml.ReturningInsert[tuple[int]]:
        """An insert that returns the row's `seq`, or nothing where a unique key is taken.

        Not its row count, which PostgreSQL's driver does not know beside an implicit RETURNING.
        """
        insert = self.insert(table).values(dict(columns)).on_conflict_do_nothing()
        return insert.returning(table.c.seq)
