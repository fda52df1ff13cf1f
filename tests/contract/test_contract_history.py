"""What the history promises, on SQLite and on a real PostgreSQL."""

from datetime import UTC, date, datetime, timedelta

from repoagents.domain.issue import Issue
from repoagents.domain.reports import Usage
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.store.database import Database

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def ended(books: Database, number: int, status: RunStatus, at: datetime, took: float) -> None:
    """Keep a run that ended so, after so many seconds."""
    run = Run(
        f"run-{number}",
        number,
        "Title",
        "f" * 64,
        status,
        at,
        at,
        started_at=at - timedelta(seconds=took),
        finished_at=at,
    )
    assert books.runs.add(run, Issue(number, "Title", "Body"))


def test_days_sum_up_how_runs_ended_and_what_was_spent(books: Database) -> None:
    ended(books, 1, RunStatus.COMPLETED, NOON, 60)
    ended(books, 2, RunStatus.COMPLETED, NOON, 90.5)
    ended(books, 3, RunStatus.FAILED, NOON + DAY, 5)
    books.spend.settle(
        books.spend.reserve("run-1", Stage.PLAN, Usage(1, 10, None), NOON), Usage(1, 100, 0.5)
    )
    books.spend.reserve("run-9", Stage.PLAN, Usage(2, 30, None), NOON + 2 * DAY)

    first, second, third = books.history.days(NOON - DAY)

    assert first.day == date(2026, 3, 4)
    assert first.outcomes == {RunStatus.COMPLETED: 2}
    assert first.seconds == (60.0, 90.5)
    assert first.usage == Usage(1, 100, 0.5)
    assert second.outcomes == {RunStatus.FAILED: 1}
    assert second.usage == Usage()
    assert (third.outcomes, third.usage) == ({}, Usage(2, 30, None))


def test_what_is_older_and_what_has_not_ended_is_left_out(books: Database) -> None:
    ended(books, 1, RunStatus.COMPLETED, NOON - DAY, 60)
    waiting = Run("run-2", 2, "Title", "f" * 64, RunStatus.QUEUED, NOON, NOON)
    assert books.runs.add(waiting, Issue(2, "Title", "Body"))

    assert books.history.days(NOON) == ()
