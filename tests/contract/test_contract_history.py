"""What the history promises, on SQLite and on a real PostgreSQL."""

from datetime import UTC, date, datetime, timedelta

from repoagents.domain.effect import PushBranch, Receipt
from repoagents.domain.issue import Issue
from repoagents.domain.reports import Decision, Plan, Review, Usage, Verdict, VerdictKind
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.ports import Kept, StageKey
from repoagents.store.database import Database
from repoagents.store.history import AT_ONCE

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


def test_what_was_kept_of_many_runs_is_told_at_once(books: Database) -> None:
    numbers = range(1, AT_ONCE + 3)
    for number in numbers:
        ended(books, number, RunStatus.COMPLETED, NOON, 60)
    plan = Plan("summary", ("step",), ("file",), ("criterion",))
    reviews = (Review(Decision.REQUEST_CHANGES, ()), Review(Decision.APPROVE, ()))
    verdict = Verdict(VerdictKind.PUBLISH, ("all is met",))
    told = ((Stage.PLAN, 0, plan), (Stage.REVIEW, 1, reviews[0]), (Stage.REVIEW, 2, reviews[1]))
    for stage, round_, value in (*told, (Stage.VERDICT, 2, verdict)):
        books.stages.record(StageKey("run-1", 1, stage, round_, "hash"), value, NOON, 1.5)
    pushed = PushBranch("run-1", 1, "branch", "c" * 40)
    books.ledger.intend("run-1", pushed, NOON)
    books.ledger.close("run-1", pushed, Receipt(pushed.key, "origin/branch", NOON))
    held = PushBranch("run-2", 2, "other", "d" * 40)
    books.ledger.withhold("run-2", held, "safety.allow_open_pr", "off", NOON)
    books.spend.reserve("run-1", Stage.PLAN, Usage(1, 10, 0.5), NOON)
    books.spend.reserve("run-1", Stage.BUILD, Usage(1, 20, None), NOON)

    kept = books.history.kept([*(f"run-{number}" for number in numbers), "run-unknown"])

    assert kept["run-1"] == Kept(
        timings=books.stages.timings("run-1"),
        effects=books.ledger.rows("run-1"),
        usage=Usage(2, 30, 0.5),
        review=reviews[1],
        verdict=verdict,
    )
    assert [(row.state, row.held) for row in kept["run-1"].effects] == [("done", False)]
    assert [(row.state, row.held) for row in kept["run-2"].effects] == [("withheld", True)]
    assert kept[f"run-{numbers[-1]}"] == kept["run-unknown"] == Kept()


def test_a_value_of_another_version_hides_no_run(books: Database) -> None:
    ended(books, 1, RunStatus.COMPLETED, NOON, 60)
    books.stages.record(StageKey("run-1", 1, Stage.REVIEW, 1, "hash"), Usage(), NOON, 1.0)

    kept = books.history.kept(["run-1"])["run-1"]

    assert kept.review is None
    assert kept.timings == ((Stage.REVIEW, 1, 1.0),)


def test_an_effect_that_was_cut_off_is_held_until_it_is_done(books: Database) -> None:
    ended(books, 1, RunStatus.COMPLETED, NOON, 60)
    effect = PushBranch("run-1", 1, "branch", "c" * 40)
    books.ledger.withhold("run-1", effect, "safety.allow_open_pr", "off", NOON)
    books.ledger.intend("run-1", effect, NOON)

    (row,) = books.history.kept(["run-1"])["run-1"].effects

    assert (row.state, row.held) == ("intended", True)
    assert books.ledger.withheld("run-1") == (effect,)


def test_nothing_is_asked_for_no_run(books: Database) -> None:
    assert books.history.kept([]) == {}
