"""Webhook deliveries: recorded when they come, taken when they were looked at."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import compress

from repoagents.domain.delivery import Delivery
from repoagents.store.codec import decode, encode
from repoagents.store.engine import Door
from repoagents.store.rows import Column, Execute, render_instant

AT_ONCE = 1000
"""How many deliveries are read, asked for by id, or forgotten at a time."""

SETTLED = timedelta(seconds=60)
"""GitHub's times are whole seconds, by its own clock. A look that long after a change has surely
seen all that happened in the same second."""

COLUMNS = ("id", "twin", "settled_at", "received_at", "says")
PENDING = "SELECT says FROM deliveries WHERE outcome IS NULL ORDER BY seq LIMIT :limit"
TAKE = "UPDATE deliveries SET outcome = :outcome, taken_at = :at WHERE id = :id AND outcome IS NULL"
FORGET = """
DELETE FROM deliveries WHERE seq IN (
    SELECT seq FROM deliveries WHERE received_at < :at AND outcome IS NOT NULL
    ORDER BY seq LIMIT :most
) RETURNING seq
"""
PROBE = (
    "INSERT INTO deliveries (id, received_at, says) VALUES (' probe', '', '') "
    "ON CONFLICT DO NOTHING",
    "DELETE FROM deliveries WHERE id = ' probe'",
)
"""A delivery like any other, which nobody sees and GitHub could not send: on a full disk, only
whoever really writes finds out."""


class StoredDeliveries:
    """`ports.Deliveries` in the database."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def put(self, delivery: Delivery) -> bool:
        """Keep a delivery durably; False when it is known."""
        return self.put_all((delivery,))[0]

    def put_all(self, deliveries: Sequence[Delivery]) -> tuple[bool, ...]:
        """The same for several in one transaction, with one question and one insert for all."""
        if not deliveries:
            return ()
        rows = [_columns(delivery) for delivery in deliveries]
        with self._door.begin() as execute:
            known = _find_known(execute, rows)
            news = []
            for row in rows:
                names = {row["id"], row["twin"]} - {None}
                news.append(known.isdisjoint(names))
                if news[-1]:  # the id of one that was refused is still free
                    known |= names
            _insert(execute, list(compress(rows, news)))
        return tuple(news)

    def knows(self, delivery_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids under which a delivery is kept, pending or taken."""
        known: set[Column] = set()
        for start in range(0, len(delivery_ids), AT_ONCE):
            ids = delivery_ids[start : start + AT_ONCE]
            names = {f"id{n}": delivery_id for n, delivery_id in enumerate(ids)}
            known |= {row["id"] for row in self._door.query(_ids_query(len(ids)), names)}
        return frozenset(map(str, known))

    def pending(self) -> tuple[Delivery, ...]:
        """Deliveries not yet taken, the oldest thousand, oldest first."""
        rows = self._door.query(PENDING, {"limit": AT_ONCE})
        return tuple(decode(row["says"], Delivery) for row in rows)

    def take(self, delivery_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it; the first outcome stands."""
        taken = {"id": delivery_id, "outcome": outcome, "at": render_instant(at)}
        with self._door.begin() as execute:
            execute(TAKE, taken)

    def forget_before(self, at: datetime) -> bool:
        """Forget what was received before this instant and has been taken, a thousand at most."""
        with self._door.begin() as execute:
            gone = execute(FORGET, {"at": render_instant(at), "most": AT_ONCE})
        return len(gone) == AT_ONCE

    def probe(self) -> None:
        """Raises `StoreError` unless a delivery could be kept now."""
        with self._door.begin() as execute:
            for statement in PROBE:
                execute(statement, {})


def _columns(delivery: Delivery) -> dict[str, Column]:
    columns: dict[str, Column] = {
        "id": delivery.id,
        "twin": None,
        "settled_at": None,
        "received_at": render_instant(delivery.received_at),
        "says": encode(delivery),
    }
    if delivery.updated_at is not None and delivery.object_key:
        at = render_instant(delivery.updated_at)
        columns["twin"] = f"{delivery.event} {delivery.action} {delivery.object_key} {at}"
        columns["settled_at"] = render_instant(delivery.updated_at + SETTLED)
    return columns


def _find_known(execute: Execute, rows: Sequence[Mapping[str, Column]]) -> set[Column]:
    """Which of their ids and twins need no further look.

    An id that is stored; a twin of one that is pending, or was looked at late enough for both.
    """
    values = {f"{name}{n}": row[name] for n, row in enumerate(rows) for name in ("id", "twin")}
    return {row["known"] for row in execute(_known_query(len(rows)), values)}


@cache
def _known_query(count: int) -> str:
    ids, twins = (", ".join(f":{name}{n}" for n in range(count)) for name in ("id", "twin"))
    return (
        f"SELECT id AS known FROM deliveries WHERE id IN ({ids}) "  # noqa: S608 - names only
        f"UNION ALL SELECT twin FROM deliveries WHERE twin IN ({twins}) "
        "AND (outcome IS NULL OR taken_at > settled_at)"
    )


def _ids_query(count: int) -> str:
    ids = ", ".join(f":id{n}" for n in range(count))
    return f"SELECT id FROM deliveries WHERE id IN ({ids})"  # noqa: S608 - names only


def _insert(execute: Execute, rows: Sequence[Mapping[str, Column]]) -> None:
    if rows:
        values = {f"{name}{n}": row[name] for n, row in enumerate(rows) for name in COLUMNS}
        execute(_insert_query(len(rows)), values)


@cache
def _insert_query(count: int) -> str:
    lines = (", ".join(f":{name}{n}" for name in COLUMNS) for n in range(count))
    # On a server another host may have been faster; its row is as good as ours.
    return (
        f"INSERT INTO deliveries ({', '.join(COLUMNS)}) "  # noqa: S608 - names only
        f"VALUES ({'), ('.join(lines)}) ON CONFLICT DO NOTHING"
    )
