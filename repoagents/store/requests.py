"""What people ask for and decide: the inbox and the approvals."""

from datetime import datetime

from repoagents.ports import Approval, Request
from repoagents.store.engine import Door
from repoagents.store.open_pulls import note_anew
from repoagents.store.rows import (
    Column,
    Row,
    insert_into,
    parse_instant,
    render_instant,
    storable,
)

AT_ONCE = 1000
"""How many requests are forgotten at a time."""

NEWEST = 1000
"""So many requests stay known whatever the clock says: a comment that was followed must not be
followed again because the clock stood wrong for an hour."""

FORGET = """
DELETE FROM inbox WHERE seq IN (
    SELECT seq FROM inbox
    WHERE taken_at < :at AND outcome IS NOT NULL
    -- Counted: on PostgreSQL each request that is known already leaves a gap in the numbers.
    AND seq <= (SELECT seq FROM inbox ORDER BY seq DESC LIMIT 1 OFFSET :newest)
    ORDER BY seq LIMIT :most
) RETURNING seq
"""


class StoredInbox:
    """`ports.Inbox` in the database; the ids of taken requests stay known until forgotten."""

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
        insert = f"{insert_into('inbox', columns)} ON CONFLICT DO NOTHING RETURNING seq"
        with self._door.begin() as execute:
            return bool(execute(insert, columns))

    def pending(self) -> tuple[Request, ...]:
        """Requests not yet taken, oldest first."""
        rows = self._door.query("SELECT * FROM inbox WHERE outcome IS NULL ORDER BY seq", {})
        return tuple(_parse_request(row) for row in rows)

    def take(self, request_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it; the first outcome stands."""
        take = (
            "UPDATE inbox SET outcome = :outcome, taken_at = :at WHERE id = :id AND outcome IS NULL"
        )
        taken = {"id": request_id, "outcome": storable(outcome), "at": render_instant(at)}
        with self._door.begin() as execute:
            execute(take, taken)

    def outcome(self, request_id: str) -> str | None:
        """What came of a request; None while it is pending."""
        rows = self._door.query("SELECT outcome FROM inbox WHERE id = :id", {"id": request_id})
        return rows[0]["outcome"] if rows else None

    def forget_before(self, at: datetime) -> bool:
        """Forget what was taken before this instant, a portion at a time, but never the newest."""
        which: dict[str, Column] = {"at": render_instant(at), "newest": NEWEST, "most": AT_ONCE}
        with self._door.begin() as execute:
            gone = execute(FORGET, which)
        return len(gone) == AT_ONCE


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
        columns: dict[str, Column] = {
            "run_id": approval.run_id,
            "decision": approval.decision,
            "head_sha": approval.head_sha,
            "diff_hash": approval.diff_hash,
            "decided_by": storable(approval.by),
            "at": render_instant(approval.at),
            "note": storable(approval.note),
        }
        with self._door.begin() as execute:
            execute(insert_into("approvals", columns), columns)
            note_anew(execute, approval.run_id)

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
