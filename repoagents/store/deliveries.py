"""Webhook deliveries: recorded when they come, taken when they were looked at."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from repoagents.domain.delivery import Delivery
from repoagents.store.engine import Door
from repoagents.store.rows import (
    Column,
    Execute,
    Row,
    insert_into,
    parse_instant,
    render_instant,
)

AT_ONCE = 1000
"""How many pending deliveries are read at a time."""

SETTLED = timedelta(seconds=60)
"""GitHub's times are whole seconds, by its own clock. A look that long after a change has surely
seen all that happened in the same second."""

TEXTS = ("id", "event", "action", "repo", "object_key", "sender", "label", "head_sha")
NUMBERS = ("issue_number", "installation", "comment_id")

TWIN = """
SELECT 1 FROM deliveries
WHERE object_key = :object_key AND updated_at = :updated_at AND event = :event AND action = :action
AND (outcome IS NULL OR taken_at > :settled) LIMIT 1
"""
TAKE = "UPDATE deliveries SET outcome = :outcome, taken_at = :at WHERE id = :id AND outcome IS NULL"


class StoredDeliveries:
    """`ports.Deliveries` in the database."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def put(self, delivery: Delivery) -> bool:
        """Keep a delivery; False when what it says is known."""
        return self.put_all((delivery,))[0]

    def put_all(self, deliveries: Sequence[Delivery]) -> tuple[bool, ...]:
        """The same for several in one transaction: all are durable, or none is."""
        with self._door.begin() as execute:
            return tuple(_put(execute, delivery) for delivery in deliveries)

    def pending(self) -> tuple[Delivery, ...]:
        """Deliveries not yet taken, the oldest thousand, oldest first."""
        rows = self._door.query(
            "SELECT * FROM deliveries WHERE outcome IS NULL ORDER BY seq LIMIT :limit",
            {"limit": AT_ONCE},
        )
        return tuple(_parse(row) for row in rows)

    def take(self, delivery_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it; the first outcome stands."""
        taken = {"id": delivery_id, "outcome": outcome, "at": render_instant(at)}
        with self._door.begin() as execute:
            execute(TAKE, taken)

    def forget_before(self, at: datetime) -> None:
        """Forget what was received before this instant and has been taken."""
        forget = "DELETE FROM deliveries WHERE received_at < :at AND outcome IS NOT NULL"
        with self._door.begin() as execute:
            execute(forget, {"at": render_instant(at)})

    def probe(self) -> None:
        """Raises `StoreError` unless the state can be read and locked for writing."""
        with self._door.begin() as execute:
            execute("UPDATE deliveries SET outcome = outcome WHERE seq = 0", {})


def _put(execute: Execute, delivery: Delivery) -> bool:
    columns = _columns(delivery)
    if delivery.updated_at is not None and delivery.object_key:
        settled = render_instant(delivery.updated_at + SETTLED)
        named = ("object_key", "updated_at", "event", "action")
        if execute(TWIN, {name: columns[name] for name in named} | {"settled": settled}):
            return False
    insert = f"{insert_into('deliveries', columns)} ON CONFLICT DO NOTHING RETURNING seq"
    return bool(execute(insert, columns))


def _columns(delivery: Delivery) -> dict[str, Column]:
    columns: dict[str, Column] = {name: getattr(delivery, name) for name in (*TEXTS, *NUMBERS)}
    updated_at = delivery.updated_at
    columns["updated_at"] = None if updated_at is None else render_instant(updated_at)
    columns["received_at"] = render_instant(delivery.received_at)
    return columns


def _parse(row: Row) -> Delivery:
    updated_at = row["updated_at"]
    return Delivery(
        **{name: row[name] for name in (*TEXTS, *NUMBERS)},
        updated_at=None if updated_at is None else parse_instant(updated_at),
        received_at=parse_instant(row["received_at"]),
    )
