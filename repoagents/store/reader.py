"""What `status` reads: standard library only, read-only, whether or not a worker is writing.

The same queries serve SQLite through `sqlite3` and PostgreSQL through the database toolkit.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from repoagents.domain.places import DATABASE, LOCATION
from repoagents.domain.pulse import Part, Pause, Pulse, Quota
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.errors import StateUnreadable, StoreError
from repoagents.store.faults import corrupt, fault, foreign_schema
from repoagents.store.rows import Column, Execute, Row, parse_instant, parse_run

if TYPE_CHECKING:
    # The ports bring the settings with them, which would double the time of a plain `status`.
    from repoagents.ports import LedgerRow

SCHEMA = 1
"""The schema of our tables; a change takes a new number and a migration."""

BRAKE = "brake"
"""The key of the note that holds the bot to a phase."""


class StateOnServer(StoreError):
    """The state is in PostgreSQL: read it with `store.database.open_server_reader`."""


class Reader:
    """Runs, effects, timings and pulses as they stand; every method is one query."""

    def __init__(self, query: Execute) -> None:
        self._query = query

    def run(self, run_id: str) -> Run | None:
        """One run."""
        rows = self._query("SELECT * FROM runs WHERE id = :id", {"id": run_id})
        return parse_run(rows[0]) if rows else None

    def runs(
        self, statuses: Sequence[RunStatus] = (), limit: int = 50, issue: int | None = None
    ) -> tuple[Run, ...]:
        """Runs, newest first; of these statuses and of this issue when named."""
        known = {f"status{n}": status.value for n, status in enumerate(dict.fromkeys(statuses))}
        wanted: dict[str, Column] = {"limit": limit, **known}
        if issue is not None:
            wanted["issue"] = issue
        rows = self._query(_newest(tuple(known), by_issue=issue is not None), wanted)
        return tuple(parse_run(row) for row in rows)

    def counts(self) -> dict[RunStatus, int]:
        """How many runs have each status; statuses without a run are left out."""
        rows = self._query("SELECT status, runs FROM tallies WHERE runs > 0 ORDER BY status", {})
        return {RunStatus(row["status"]): row["runs"] for row in rows}

    def pulses(self) -> tuple[Pulse, ...]:
        """What each part of the bot told last of itself."""
        return tuple(map(_parse_pulse, self._query("SELECT * FROM pulses ORDER BY part", {})))

    def brake(self) -> Brake | None:
        """What holds the bot to an earlier phase than its flags name."""
        rows = self._query("SELECT value FROM meta WHERE key = :key", {"key": BRAKE})
        if not rows:
            return None
        row = json.loads(rows[0]["value"])
        phase, at = Phase(row["phase"]), parse_instant(row["at"])
        return Brake(phase, row["reason"], row["run"], row["issue"], at)

    def effects(self, run_id: str) -> "tuple[LedgerRow, ...]":
        """All effects of a run, in the order first intended."""
        rows = self._query("SELECT * FROM effects WHERE run_id = :id ORDER BY seq", {"id": run_id})
        return tuple(map(parse_effect, rows))

    def timings(self, run_id: str) -> tuple[tuple[Stage, int, float], ...]:
        """Stage, round and seconds of a run, in the order recorded."""
        rows = self._query(
            "SELECT stage, round, seconds FROM stages WHERE run_id = :id ORDER BY seq",
            {"id": run_id},
        )
        return tuple((Stage(row["stage"]), row["round"], row["seconds"]) for row in rows)


def parse_effect(row: Row) -> "LedgerRow":
    """An effect as the ledger tells it."""
    from repoagents.ports import LedgerRow

    plain = ("run_id", "name", "key", "state", "flag", "reason", "location")
    return LedgerRow(**{name: row[name] for name in plain}, at=parse_instant(row["at"]))


def _parse_pulse(row: Row) -> Pulse:
    def at(name: str) -> datetime | None:
        return parse_instant(row[name]) if row[name] else None

    reset_at, until = at("quota_reset_at"), at("paused_until")
    return Pulse(
        part=Part(row["part"]),
        since=parse_instant(row["since"]),
        beat_at=parse_instant(row["beat_at"]),
        tried_at=at("tried_at"),
        heard_at=at("heard_at"),
        problem=row["problem"],
        quota=Quota(row["quota_limit"], row["quota_left"], reset_at) if reset_at else None,
        pause=Pause(until, row["pause_reason"]) if until else None,
    )


def _newest(statuses: tuple[str, ...], *, by_issue: bool) -> str:
    """The query for runs, newest first.

    One bounded part per status: a single `status IN (…)` would sort every finished run there is.
    """
    conditions = [f"status = :{name}" for name in statuses] or [""]
    if by_issue:
        conditions = [f"{c} AND issue_number = :issue".removeprefix(" AND ") for c in conditions]
    order = "ORDER BY seq DESC LIMIT :limit"
    where = [f"WHERE {condition}" if condition else "" for condition in conditions]
    if len(where) == 1:
        return f"SELECT * FROM runs {where[0]} {order}"  # noqa: S608 - names of parameters only
    parts = [
        f"SELECT * FROM (SELECT * FROM runs {one} {order}) AS part{n}"  # noqa: S608 - as above
        for n, one in enumerate(where)
    ]
    return f"{' UNION ALL '.join(parts)} {order}"


def open_reader(control: Path) -> Reader:
    """A reader of the state below a control folder; it finds nothing while there is no state.

    Raises `StateUnreadable` for a file that is damaged, not ours, or of another schema, and
    `StateOnServer` for PostgreSQL.
    """
    path = locate(control)
    if path is None:
        raise StateOnServer("the state is in PostgreSQL, not in a file")
    try:
        is_there = path.exists()
    except OSError as error:
        raise fault(error, str(path)) from error
    if not is_there:
        refuse_orphaned_log(path)
        return Reader(lambda _sql, _values: ())
    with closing(connect_readonly(path)) as connection:
        refuse_foreign(read_schema(connection, str(path)), str(path))

    def query(sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
        # A connection for each query: one that stayed open would keep SQLite from taking up what
        # a killed writer left in its log.
        try:
            with closing(connect_readonly(path)) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise fault(error, str(path)) from error

    return Reader(query)


def locate(control: Path) -> Path | None:
    """The SQLite file that `state/location.json` names; None when it names PostgreSQL."""
    note = control / LOCATION
    try:
        # A pipe in its place would be waited for.
        noted = json.loads(note.read_bytes()) if note.is_file() else {}
        database = noted["database"]
    except (OSError, ValueError, TypeError, KeyError):
        # The note is rewritten whenever the configuration is loaded; the default is a good guess.
        database = DATABASE
    return None if database is None else control / str(database)


def refuse_orphaned_log(path: Path) -> None:
    """Raise `StateUnreadable` when the database is gone but its write-ahead log is not."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise corrupt(str(path), f"the file is missing, but its log {log.name} is there")


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A read-only connection; raises `StateUnreadable` when the file is not a database.

    The file is never opened but by SQLite: closing a descriptor of our own would drop the locks
    of this process's other connections. https://sqlite.org/howtocorrupt.html (2.2)
    """
    try:
        if not path.stat().st_size:
            raise corrupt(str(path), "it is empty")
        return _connect(path)
    except (sqlite3.Error, OSError) as error:
        raise fault(error, str(path)) from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _try_connecting(path, "mode=ro")
    except sqlite3.OperationalError:
        # In a folder that cannot be written, SQLite cannot make the index of its log. Without a
        # log the file alone is the whole state. https://sqlite.org/wal.html#read_only_databases
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        return _try_connecting(path, "immutable=1")


def _try_connecting(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=30, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def refuse_foreign(found: int, place: str) -> None:
    """Raise `StateUnreadable` for any schema but this program's."""
    if found != SCHEMA:
        raise foreign_schema(place, found, SCHEMA)


def read_schema(connection: sqlite3.Connection, place: str) -> int:
    """The schema that a file has; raises `StateUnreadable` when it is not ours or damaged."""
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        return int(row["value"])
    except (sqlite3.OperationalError, TypeError, ValueError) as error:
        why = f"it is not a state of repoagents ({error})"
        raise StateUnreadable(
            f"the state in {place} cannot be used: {why}",
            next_step="Name another file in state.database_url, or move this one away.",
        ) from error
    except sqlite3.Error as error:
        raise fault(error, place) from error
