"""The state: one SQLite file, or a PostgreSQL database."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Engine

from repoagents.errors import StoreError
from repoagents.ports import Clock
from repoagents.store.brakes import StoredBrakes
from repoagents.store.deliveries import StoredDeliveries
from repoagents.store.engine import Door, make_engine, parse_place
from repoagents.store.history import StoredHistory
from repoagents.store.ledger import StoredLedger
from repoagents.store.migrations import check_file, create_file, migrate, read_meta
from repoagents.store.pulses import StoredPulses
from repoagents.store.reader import Reader, refuse_foreign
from repoagents.store.requests import StoredApprovals, StoredInbox
from repoagents.store.rows import Column, Row
from repoagents.store.runs import StoredRuns
from repoagents.store.spend import StoredSpend
from repoagents.store.stages import StoredStages


@dataclass(frozen=True)
class Database:
    """The books of one installation; `reader` serves `status` where the state is PostgreSQL."""

    door: Door
    installation: str
    reader: Reader
    runs: StoredRuns
    stages: StoredStages
    spend: StoredSpend
    ledger: StoredLedger
    inbox: StoredInbox
    deliveries: StoredDeliveries
    approvals: StoredApprovals
    pulses: StoredPulses
    history: StoredHistory
    brakes: StoredBrakes

    @property
    def engine(self) -> Engine:
        """What the durable engine keeps its own tables with."""
        return self.door.engine

    def close(self) -> None:
        """Close every connection."""
        self.door.close()


def open_database(url_or_path: str | Path, *, clock: Clock) -> Database:
    """Open the state for writing: create it when absent, check it, migrate it.

    Raises `StateUnreadable` for a file that is damaged, not ours, or of a newer schema, and leaves
    it as it is; `StoreError` when it cannot be reached or written.
    """
    url = parse_place(url_or_path)
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        if not path.exists():
            create_file(path, clock)
        check_file(path)
    door = Door(make_engine(url))
    reader = Reader(door.query)
    try:
        installation = migrate(door, clock)
    except StoreError:
        door.close()
        raise
    return Database(
        door=door,
        installation=installation,
        reader=reader,
        runs=StoredRuns(door, reader),
        stages=StoredStages(door, reader),
        spend=StoredSpend(door),
        ledger=StoredLedger(door, reader),
        inbox=StoredInbox(door),
        deliveries=StoredDeliveries(door),
        approvals=StoredApprovals(door),
        pulses=StoredPulses(door, reader),
        history=StoredHistory(door),
        brakes=StoredBrakes(door, reader),
    )


def open_server_reader(url: str) -> Reader:
    """A reader of the state in PostgreSQL; it finds nothing while there is none, and makes none.

    Raises `StateUnreadable` for another schema, `StoreError` when the server cannot be reached.
    """
    door = Door(make_engine(url))

    def query(sql: str, values: Mapping[str, Column]) -> Sequence[Row]:
        # A connection for each query, as for a file: a command holds none while it waits.
        with closing(door):
            return door.query(sql, values)

    with closing(door), door.toolkit() as connection:
        found = read_meta(connection).get("schema")
    if found is None:
        return Reader(lambda _sql, _values: ())
    refuse_foreign(int(found), door.place)
    return Reader(query)
