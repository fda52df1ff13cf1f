"""What people ask for and decide: the inbox and the approvals."""

from datetime import datetime

import sqlalchemy as sa

from repoagents.ports import Approval, Request
from repoagents.store import schema
from repoagents.store.engine import Door
from repoagents.store.rows import Column, Row, parse_instant, render_instant, storable


class StoredInbox:
    """`ports.Inbox` in the database; the ids of requests that were taken stay known."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def put(self, request: Request) -> bool:
        """Keep a request; False when one with this id was seen before."""
        columns: dict[str, Column] = {
            "id": request.id,
            "kind": request.kind,
            "issue_number": request.issue_number,
            "at": render_instant(request.at),
            "note": storable(request.note),
            "fresh": int(request.fresh),
            "force": int(request.force),
            "asked_by": storable(request.by),
        }
        with self._door.begin() as connection:
            return connection.scalar(self._door.insert_new(schema.inbox, columns)) is not None

    def pending(self) -> tuple[Request, ...]:
        """Requests not yet taken, oldest first."""
        rows = self._door.query("SELECT * FROM inbox WHERE outcome IS NULL ORDER BY seq", {})
        return tuple(_parse_request(row) for row in rows)

    def take(self, request_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it; the first outcome stands."""
        table = schema.inbox
        update = (
            sa.update(table)
            .where(table.c.id == request_id, table.c.outcome.is_(None))
            .values(outcome=storable(outcome), taken_at=render_instant(at))
        )
        with self._door.begin() as connection:
            connection.execute(update)

    def outcome(self, request_id: str) -> str | None:
        """What came of a request; None while it is pending."""
        table = schema.inbox
        with self._door.begin() as connection:
            return connection.scalar(sa.select(table.c.outcome).where(table.c.id == request_id))


def _parse_request(row: Row) -> Request:
    return Request(
        id=row["id"],
        kind=row["kind"],
        issue_number=row["issue_number"],
        at=parse_instant(row["at"]),
        note=row["note"],
        fresh=bool(row["fresh"]),
        force=bool(row["force"]),
        by=row["asked_by"],
    )


class StoredApprovals:
    """`ports.Approvals` in the database."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def add(self, approval: Approval) -> None:
        """Record a decision."""
        insert = sa.insert(schema.approvals).values(
            run_id=approval.run_id,
            decision=approval.decision,
            head_sha=approval.head_sha,
            diff_hash=approval.diff_hash,
            decided_by=storable(approval.by),
            at=render_instant(approval.at),
            note=storable(approval.note),
        )
        with self._door.begin() as connection:
            connection.execute(insert)

    def select(self, run_id: str) -> tuple[Approval, ...]:
        """Decisions on a run, oldest first."""
        rows = self._door.query(
            "SELECT * FROM approvals WHERE run_id = :id ORDER BY seq", {"id": run_id}
        )
        plain = ("run_id", "decision", "head_sha", "diff_hash", "note")
        return tuple(
            Approval(
                **{name: row[name] for name in plain},
                by=row["decided_by"],
                at=parse_instant(row["at"]),
            )
            for row in rows
        )
