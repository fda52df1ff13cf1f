"""Runs and the frozen text of their issues."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.errors import StoreError
from repoagents.store import schema
from repoagents.store.codec import decode, encode
from repoagents.store.engine import Door
from repoagents.store.reader import Reader
from repoagents.store.rows import render_instant, run_columns, storable

EVENT_LENGTH = 500
EVERY = 1_000_000


class StoredRuns:
    """`ports.Runs` in the database."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def add(self, run: Run, issue: Issue) -> bool:
        """Insert with the issue's frozen text; False when the issue already has an active run."""
        insert = self._door.insert_new(schema.runs, run_columns(run))
        frozen = sa.insert(schema.issues).values(run_id=run.id, issue=encode(issue))
        with self._door.begin() as connection:
            if connection.scalar(insert) is None:
                return False
            connection.execute(frozen)
            _tally(connection, {run.status: 1})
            return True

    def replace(self, before: Run, after: Run) -> bool:
        """Store what `after` changes where `before` still stands; False when it does not.

        Only changed columns are written, so that progress noted in between stays. Raises
        `StoreError` when the issue already has another active run.
        """
        old, new = run_columns(before), run_columns(after)
        changed = {name: value for name, value in new.items() if old[name] != value}
        table = schema.runs
        update = (
            sa.update(table)
            .where(table.c.id == before.id, table.c.status == old["status"])
            .where(table.c.updated_at == old["updated_at"])
            .values(changed | {"status": new["status"]})
        )
        with self._door.begin() as connection:
            try:
                done = connection.execute(update).rowcount == 1
            except IntegrityError as error:
                raise StoreError(
                    f"issue {after.issue_number} already has another active run",
                    next_step=f"See `repoagents status --issue {after.issue_number}`.",
                ) from error
            if done and before.status is not after.status:
                _tally(connection, {before.status: -1, after.status: 1})
            return done

    def progress(self, run_id: str, stage: Stage, event: str, at: datetime) -> None:
        """Note what the run is doing; `stage_started_at` moves when the stage does."""
        table = schema.runs
        began = sa.case(
            (table.c.stage == stage.value, table.c.stage_started_at), else_=render_instant(at)
        )
        update = (
            sa.update(table)
            .where(table.c.id == run_id)
            .values(
                stage=stage.value,
                last_event=storable(event)[:EVENT_LENGTH],
                stage_started_at=began,
            )
        )
        with self._door.begin() as connection:
            connection.execute(update)

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

    def issue(self, run_id: str) -> Issue:
        """The issue's text as it was frozen; raises `StoreError` for an unknown run."""
        rows = self._door.query("SELECT issue FROM issues WHERE run_id = :id", {"id": run_id})
        if not rows:
            raise StoreError(f"the state in {self._door.place} has no run {run_id}")
        return decode(rows[0]["issue"], Issue)

    def delete(self, run_id: str) -> None:
        """Forget a run and all that was kept for it, but not what it spent."""
        kept = (schema.issues, schema.stages, schema.effects, schema.approvals)
        run = sa.delete(schema.runs).where(schema.runs.c.id == run_id)
        with self._door.begin() as connection:
            for table in kept:
                connection.execute(sa.delete(table).where(table.c.run_id == run_id))
            status = connection.scalar(run.returning(schema.runs.c.status))
            if status is not None:
                _tally(connection, {RunStatus(status): -1})


def _tally(connection: Connection, changes: dict[RunStatus, int]) -> None:
    # Always in the same order: two writers on PostgreSQL would wait for each other otherwise.
    table = schema.tallies
    for status, change in sorted(changes.items()):
        connection.execute(
            sa.update(table)
            .where(table.c.status == status.value)
            .values(runs=table.c.runs + change)
        )
