"""How the database is opened, and the one way our tables use it."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from repoagents.errors import ConfigError
from repoagents.store.connections import FileConnections, prepare
from repoagents.store.faults import fault
from repoagents.store.rows import Column, Execute, Row


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
    connection.isolation_level = "IMMEDIATE"
    prepare(connection)


class ServerConnections:
    """The engine's connections to PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def begin(self) -> Iterator[Execute]:
        """A transaction."""
        with self._engine.begin() as connection:

            def execute(sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
                result = connection.execute(sa.text(sql), dict(values))
                return result.mappings().all() if result.returns_rows else ()

            yield execute

    read = begin

    def close(self) -> None:
        """Nothing of its own: they are the engine's."""


class Door:
    """The database as our tables use it; errors speak to the operator.

    Every statement is text that SQLite 3.35 and PostgreSQL take alike.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.place = name_place(engine.url)
        self._connections = (
            FileConnections(Path(self.place))
            if engine.dialect.name == "sqlite"
            else ServerConnections(engine)
        )

    @contextmanager
    def begin(self) -> Iterator[Execute]:
        """A transaction: committed at the end, rolled back by an exception.

        Raises `Conflict` where a unique key is taken.
        """
        with self._translated(), self._connections.begin() as execute:
            yield execute

    def query(self, sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
        """The rows of one reading statement; most of what a run asks the state is this."""
        with self._translated(), self._connections.read() as execute:
            return execute(sql, values)

    @contextmanager
    def toolkit(self) -> Iterator[Connection]:
        """A transaction of the toolkit, which knows how tables are made."""
        with self._translated(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection, the engine's too."""
        self._connections.close()
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise fault(error.orig or error, self.place) from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise fault(error, self.place) from error
