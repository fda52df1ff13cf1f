"""Creating the state, checking it, and bringing an older schema forward."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from repoagents.domain.run import RunStatus
from repoagents.ports import Clock
from repoagents.store import schema
from repoagents.store.engine import Door, make_engine
from repoagents.store.faults import corrupt, fault, foreign_schema
from repoagents.store.reader import (
    SCHEMA,
    connect_readonly,
    read_schema,
    refuse_orphaned_log,
)
from repoagents.store.rows import render_instant

Step = Callable[[Connection], None]

STEPS: Mapping[int, Step] = {}
"""By the schema that each step arrives at; a step is never changed once it was released."""

INSTALLATION_LENGTH = 12


def create_file(path: Path, clock: Clock) -> None:
    """Make a new SQLite state, whole or not at all; one that appears meanwhile is left alone."""
    refuse_orphaned_log(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, clock)
    except OSError as error:
        raise fault(error, str(path)) from error


def _create(path: Path, clock: Clock) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        fresh = Path(folder) / path.name
        with closing(Door(make_engine(fresh))) as door, door.toolkit() as connection:
            _lay(connection, clock)
        # A link never replaces a file, as a rename would: the first of two processes wins.
        with suppress(FileExistsError):
            os.link(fresh, path)


def check_file(path: Path) -> None:
    """Read the whole structure of a SQLite state; raises `StateUnreadable` when it is damaged.

    Read-only: a damaged file is left as it is.
    """
    with closing(connect_readonly(path)) as connection:
        read_schema(connection, str(path))
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise fault(error, str(path)) from error
        if found != "ok":
            raise corrupt(str(path), found.replace("\n", " "))


def copy_file(path: Path, copy: Path) -> None:
    """Copy a SQLite state as it is at one instant, the write-ahead log included."""
    try:
        with closing(connect_readonly(path)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise fault(error, str(path)) from error


def migrate(
    door: Door, clock: Clock, steps: Mapping[int, Step] = STEPS, target: int = SCHEMA
) -> str:
    """Bring the state to the target schema; returns the installation's id.

    A SQLite file is copied first, to `<file>.schema-<n>.bak`. Raises `StateUnreadable` for a
    schema newer than the target.
    """
    with door.toolkit() as connection:
        noted = read_meta(connection)
    if noted.get("schema") != str(target):
        with door.toolkit() as connection:
            _lock(connection)
            noted = read_meta(connection) or _lay(connection, clock)
            _step(connection, door, int(noted["schema"]), steps, target)
    return noted["installation"]


def read_meta(connection: Connection) -> dict[str, str]:
    """What is noted about the state; empty when there are no tables of ours."""
    if not sa.inspect(connection).has_table(schema.meta.name):
        return {}
    rows = connection.execute(sa.select(schema.meta.c.key, schema.meta.c.value))
    return {row.key: row.value for row in rows}


def _step(
    connection: Connection, door: Door, found: int, steps: Mapping[int, Step], target: int
) -> None:
    if found > target:
        raise foreign_schema(door.place, found, target)
    if found == target:
        return
    _back_up(door, found)
    for version in range(found + 1, target + 1):
        steps[version](connection)
    stamp = sa.update(schema.meta).where(schema.meta.c.key == "schema")
    connection.execute(stamp.values(value=str(target)))


def _lay(connection: Connection, clock: Clock) -> dict[str, str]:
    """Make all tables in the newest schema; returns what is noted about them."""
    schema.METADATA.create_all(connection)
    noted = {
        "schema": str(SCHEMA),
        "installation": clock.token(INSTALLATION_LENGTH),
        "created_at": render_instant(clock.now()),
    }
    connection.execute(
        sa.insert(schema.meta), [{"key": key, "value": value} for key, value in noted.items()]
    )
    connection.execute(
        sa.insert(schema.tallies), [{"status": status.value, "runs": 0} for status in RunStatus]
    )
    return noted


def _lock(connection: Connection) -> None:
    """One process at a time creates or migrates."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended('repoagents schema', 0))"
        )


def _back_up(door: Door, version: int) -> None:
    """Copy a SQLite state, the write-ahead log included, before it is changed."""
    if door.engine.dialect.name != "sqlite":
        return
    path = Path(str(door.engine.url.database))
    copy = path.with_name(f"{path.name}.schema-{version}.bak")
    unfinished = copy.with_name(f"{copy.name}.part")
    unfinished.unlink(missing_ok=True)
    copy_file(path, unfinished)
    unfinished.replace(copy)
