"""Runs and the frozen text of their issues."""

from collections.abc import Sequence
from datetime import datetime

from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.errors import StoreError
from repoagents.store.codec import decode, encode
from repoagents.store.engine import Door
from repoagents.store.faults import Conflict
from repoagents.store.open_pulls import newest_query
from repoagents.store.reader import Reader
from repoagents.store.rows import (
    EVERY,
    Execute,
    insert_into,
    parse_run,
    render_instant,
    run_columns,
    storable,
)

EVENT_LENGTH = 500

PROGRESS = """
UPDATE runs SET stage = :stage, last_event = :event,
    stage_started_at = CASE WHEN stage = :stage THEN stage_started_at ELSE :at END
WHERE id = :id
"""


class StoredRuns:
    """`ports.Runs` in the database."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def add(self, run: Run, issue: Issue) -> bool:
        """Insert with the issue's frozen text; False when the issue already has an active run."""
        columns = run_columns(run)
        insert = f"{insert_into('runs', columns)} ON CONFLICT DO NOTHING RETURNING seq"
        frozen = {"run_id": run.id, "issue": encode(issue)}
        with self._door.begin() as execute:
            if not execute(insert, columns):
                return False
            execute(insert_into("issues", frozen), frozen)
            _tally(execute, {run.status: 1})
            return True

    def replace(self, before: Run, after: Run) -> bool:
        """Store what `after` changes where `before` still stands; False when it does not.

        Only changed columns are written, so that progress noted in between stays. Raises
        `StoreError` when the issue already has another active run.
        """
        old, new = run_columns(before), run_columns(after)
        changed = {name: value for name, value in new.items() if old[name] != value}
        changed["status"] = new["status"]
        update = (
            f"UPDATE runs SET {', '.join(f'{name} = :{name}' for name in changed)} "  # noqa: S608
            "WHERE id = :was_id AND status = :was_status AND updated_at = :was_updated_at "
            "RETURNING seq"
        )
        seen = {f"was_{name}": old[name] for name in ("id", "status", "updated_at")}
        try:
            with self._door.begin() as execute:
                done = bool(execute(update, changed | seen))
                if done and before.status is not after.status:
                    _tally(execute, {before.status: -1, after.status: 1})
        except Conflict as error:
            raise StoreError(
                f"issue {after.issue_number} already has another active run",
                next_step=f"See `repoagents status --issue {after.issue_number}`.",
            ) from error
        return done

    def progress(self, run_id: str, stage: Stage, event: str, at: datetime) -> None:
        """Note what the run is doing; `stage_started_at` moves when the stage does."""
        noted = {
            "id": run_id,
            "stage": stage.value,
            "event": storable(event)[:EVENT_LENGTH],
            "at": render_instant(at),
        }
        with self._door.begin() as execute:
            execute(PROGRESS, noted)

    def find(self, run_id: str) -> Run | None:
        """One run."""
        return self._reader.run(run_id)

    def latest(self, issue_number: int) -> Run | None:
        """The newest run of an issue."""
        return next(iter(self._reader.runs(limit=1, issue=issue_number)), None)

    def of_issue(self, issue_number: int) -> tuple[Run, ...]:
        """Every run of an issue, newest first."""
        return self._reader.runs(limit=EVERY, issue=issue_number)

    def select(self, statuses: Sequence[RunStatus] = (), limit: int = 500) -> tuple[Run, ...]:
        """Runs, newest first; of these statuses when any is named."""
        return self._reader.runs(statuses, limit)

    def counts(self) -> dict[RunStatus, int]:
        """How many runs have each status; statuses without a run are left out."""
        return self._reader.counts()

    def with_open_pull_request(self, statuses: Sequence[RunStatus]) -> tuple[Run, ...]:
        """The newest run of each issue, of these statuses and its pull request open, newest first.

        However many runs there are, one query reads those with an open pull request alone.
        """
        if not statuses:  # PostgreSQL takes no empty list
            return ()
        query, names = newest_query(tuple(statuses))
        return tuple(parse_run(row) for row in self._door.query(query, names))

    def issue(self, run_id: str) -> Issue:
        """The issue's text as it was frozen; raises `StoreError` for an unknown run."""
        rows = self._door.query("SELECT issue FROM issues WHERE run_id = :id", {"id": run_id})
        if not rows:
            raise StoreError(f"the state in {self._door.place} has no run {run_id}")
        return decode(rows[0]["issue"], Issue)


def _tally(execute: Execute, changes: dict[RunStatus, int]) -> None:
    # Always in the same order: two writers on PostgreSQL would wait for each other otherwise.
    for status, change in sorted(changes.items()):
        execute(
            "UPDATE tallies SET runs = runs + :change WHERE status = :status",
            {"change": change, "status": status.value},
        )
