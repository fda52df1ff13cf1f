"""Progress: what a watch sees, and which lines a pipe gets."""

import errno
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from repoagents.cli.follow import Lines, Timing, Watch, in_background, render_place
from repoagents.cli.work import code_of_runs
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.errors import StoreError

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def run(number: int = 1, status: RunStatus = RunStatus.IN_PROGRESS, **more: object) -> Run:
    """A run of an issue."""
    made = Run(f"r{number}", number, "Title", "f", status, NOON, NOON)
    return replace(made, **more)


class Books:
    """Runs and finished stages that a test changes under the watch, newest first."""

    def __init__(self, *runs: Run) -> None:
        self.now = list(runs)
        self.stages: list[Timing] = []
        self.broken = False

    def runs(
        self, statuses: Sequence[RunStatus] = (), limit: int = 50, issue: int | None = None
    ) -> tuple[Run, ...]:
        """As the reader does it."""
        if self.broken:
            raise StoreError("locked")
        found = [r for r in self.now if not statuses or r.status in statuses]
        return tuple(r for r in found if issue in (None, r.issue_number))[:limit]

    def timings(self, run_id: str) -> tuple[Timing, ...]:
        """The same for every run."""
        return tuple(self.stages)


class Shown:
    """A display that keeps what it was shown."""

    def __init__(self) -> None:
        self.last: tuple[Run, ...] = ()
        self.finished: Mapping[str, Sequence[Timing]] = {}
        self.closed = False

    def show(self, runs: Sequence[Run], finished: Mapping[str, Sequence[Timing]]) -> None:
        """Keep what was shown."""
        self.last, self.finished = tuple(runs), finished

    def close(self) -> None:
        """Note that it is over."""
        self.closed = True


class Told:
    """Lines as they are written, on a clock that the test moves."""

    def __init__(self) -> None:
        self.at = NOON
        self.written: list[str] = []
        self.lines = Lines(self.written.append, lambda: self.at)

    def later(self, seconds: float, *runs: Run, finished: Sequence[Timing] = ()) -> list[str]:
        """What is written when these runs are shown so much later."""
        self.at += timedelta(seconds=seconds)
        before = len(self.written)
        self.lines.show(runs, {run.id: finished for run in runs})
        return self.written[before:]


def test_what_rested_before_is_not_shown() -> None:
    old = run(1, RunStatus.COMPLETED)
    books = Books(run(2), old)
    watch = Watch(books, Shown())
    assert set(watch.look()) == {"r2"}


def test_a_run_that_comes_to_rest_is_seen_once_more() -> None:
    books = Books(run(1))
    watch = Watch(books, Shown())
    watch.look()
    # So many newer ones that the finished run is not among the newest any more.
    books.now = [run(n, RunStatus.COMPLETED) for n in range(200, 100, -1)] + [
        run(1, RunStatus.FAILED)
    ]
    assert watch.look()["r1"].status is RunStatus.FAILED


def test_a_run_that_began_and_ended_between_two_looks_is_seen() -> None:
    books = Books()
    watch = Watch(books, Shown(), issue=1)
    books.now = [run(2, RunStatus.BLOCKED), run(1, RunStatus.BLOCKED)]
    assert set(watch.look()) == {"r1"}


def test_a_rested_run_that_was_sent_back_is_seen() -> None:
    books = Books(run(1, RunStatus.BLOCKED))
    watch = Watch(books, Shown())
    assert watch.look() == {}
    books.now = [run(1, RunStatus.COMPLETED, generation=1)]
    assert watch.look()["r1"].status is RunStatus.COMPLETED


def test_the_end_is_shown_and_an_unreadable_moment_is_not_the_end() -> None:
    books, shown = Books(run(1)), Shown()
    books_read = threading.Event()
    with in_background(Watch(books, shown)):
        books.broken = True
        books_read.wait(0.7)
        books.broken = False
        books.now = [run(1, RunStatus.COMPLETED)]
    assert [r.status for r in shown.last] == [RunStatus.COMPLETED]
    assert shown.closed


def test_a_line_per_stage_with_what_was_heard() -> None:
    told = Told()
    assert told.later(0, run(stage=Stage.PLAN)) == ["12:00:00 issue 1 plan"]
    assert told.later(1, run(stage=Stage.PLAN, last_event="reading")) == []
    edited = run(stage=Stage.BUILD, last_event="edited src/x.py")
    assert told.later(1, edited) == ["12:00:02 issue 1 build: edited src/x.py"]
    assert told.later(1, run(stage=Stage.BUILD, round=2)) == ["12:00:03 issue 1 build, round 2"]
    assert told.later(1, run(1, RunStatus.COMPLETED)) == ["12:00:04 issue 1 completed"]
    assert told.later(60, run(1, RunStatus.COMPLETED)) == []


def test_only_stages_finished_under_the_watch_are_told() -> None:
    books, shown = Books(run(1)), Shown()
    books.stages = [(Stage.PLAN, 0, 1.0)]
    watch = Watch(books, shown)
    watch.look()
    assert shown.finished == {"r1": ()}
    books.stages.append((Stage.BUILD, 1, 2.0))
    watch.look()
    assert shown.finished == {"r1": ((Stage.BUILD, 1, 2.0),)}
    watch.look()
    assert shown.finished == {"r1": ()}


def test_a_stage_that_came_and_went_between_two_looks_has_its_line() -> None:
    told = Told()
    told.later(0, run(stage=Stage.BUILD, round=2))
    finished = [(Stage.BUILD, 2, 9.0), (Stage.VERIFY, 2, 0.14), (Stage.REVIEW, 2, 0.2)]
    assert told.later(1, run(stage=Stage.REVIEW, round=2), finished=finished) == [
        "12:00:01 issue 1 verify, round 2 took 0.1 s",
        "12:00:01 issue 1 review, round 2",
    ]
    last = [(Stage.VERDICT, 2, 0.0)]
    assert told.later(1, run(1, RunStatus.COMPLETED, stage=Stage.VERDICT), finished=last) == [
        "12:00:02 issue 1 verdict, round 2 took 0.0 s",
        "12:00:02 issue 1 completed",
    ]


def test_a_long_stage_gives_a_sign_of_life_now_and_then() -> None:
    told = Told()
    told.later(0, run(stage=Stage.BUILD, last_event="a"))
    assert told.later(9, run(stage=Stage.BUILD, last_event="b")) == []
    assert told.later(1, run(stage=Stage.BUILD, last_event="b")) == ["12:00:10 issue 1 build: b"]
    assert told.later(60, run(stage=Stage.BUILD, last_event="b")) == []


@pytest.mark.parametrize("problem", [BrokenPipeError(), OSError(errno.ENOSPC, "full")])
def test_what_cannot_be_written_does_not_stop_the_work(problem: OSError) -> None:
    calls = []

    def refuse(line: str) -> None:
        calls.append(line)
        raise problem

    lines = Lines(refuse, lambda: NOON)
    lines.show([run(1)], {})
    lines.show([run(1), run(2)], {})
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("there", "text"),
    [
        (run(1, RunStatus.QUEUED), "issue 1 queued"),
        (run(1, RunStatus.IN_PROGRESS), "issue 1 in_progress"),
        (
            run(1, RunStatus.BLOCKED, failure=Failure(FailureClass.QUESTION, "Which one?\nThis?")),
            "issue 1 blocked: Which one?",
        ),
        (
            run(
                1,
                RunStatus.RETRY_PENDING,
                next_at=NOON,
                failure=Failure(FailureClass.NETWORK, "no route"),
            ),
            "issue 1 retry_pending until 12:00:00: no route",
        ),
        (
            run(1, stage=Stage.BUILD, failure=Failure(FailureClass.NETWORK, "earlier")),
            "issue 1 build",
        ),
    ],
)
def test_where_a_run_stands_fits_one_line(there: Run, text: str) -> None:
    assert render_place(there) == text


@pytest.mark.parametrize(
    ("newest", "code"),
    [
        (RunStatus.COMPLETED, 0),
        (RunStatus.CANCELLED, 0),  # A person's own word: nothing is left to be done about it.
        (RunStatus.AWAITING_APPROVAL, 0),
        (RunStatus.BLOCKED, 1),
        (RunStatus.FAILED, 1),
        (RunStatus.RETRY_PENDING, 1),
    ],
)
def test_the_exit_code_is_that_of_the_newest_run_of_each_issue(
    newest: RunStatus, code: int
) -> None:
    later = run(1, newest, created_at=NOON + timedelta(minutes=1))
    earlier = [run(1, RunStatus.SUPERSEDED), run(2, RunStatus.NO_CHANGE)]
    assert code_of_runs([later, *earlier]) == code


def test_the_table_shows_stage_time_and_event() -> None:
    import io

    from repoagents.cli.screen import Table

    stream = io.StringIO()
    clock: Callable[[], datetime] = lambda: NOON + timedelta(minutes=2, seconds=5)  # noqa: E731
    table = Table(stream, clock, lambda: ["last poll 31 s ago"])
    moving = run(1, stage=Stage.BUILD, stage_started_at=NOON, last_event="[bold]edited x[/bold]")
    failure = Failure(FailureClass.NETWORK, "no route\nto host")
    ended = run(
        2,
        RunStatus.FAILED,
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=7),
        failure=failure,
    )
    long = run(3, RunStatus.AWAITING_APPROVAL, last_event="a long sentence " * 20)
    table.show([moving, ended, long], {})
    table.close()
    shown = stream.getvalue()
    assert "awaiting_approval" in shown, "columns keep their width beside a long event"
    assert "0:02:05" in shown
    assert "[bold]edited x[/bold]" in shown
    assert "0:00:07" in shown
    assert "no route" in shown
    assert "to host" not in shown
    assert shown.splitlines()[-1].startswith("last poll 31 s ago")
