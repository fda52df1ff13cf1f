"""A bug of ours in the worker's loop: told, outlived, and at last the end of the worker."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.cli.boundary import BUG, guard
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.durable import worker
from repoagents.durable.worker import Assignment
from repoagents.errors import Bug, GitError, StateUnreadable, StoreError
from repoagents.pipeline import tick as ticks
from repoagents.ports import Request
from tests.pipeline.conftest import ISSUE, Place

Work = Callable[[Assignment], int]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that follow each other at once."""
    monkeypatch.setattr(worker, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(worker, "IDLE_TICK_SECONDS", 0.01)


def traces(place: Place) -> list[str]:
    """The tracebacks that were logged."""
    found = (fields.get("traceback") for _, _, fields in place.journal.lines)
    return [str(trace) for trace in found if trace]


def test_a_bug_with_one_issue_does_not_keep_the_poll_from_the_others(
    place: Place, work: Work
) -> None:
    place.tracker.issues = {number: replace(ISSUE, number=number) for number in (1, 2)}
    latest = place.house.runs.latest

    def broken(number: int) -> Run | None:
        if number == 1:
            raise KeyError("nobody thought of this")
        return latest(number)

    place.house.runs.latest = broken
    work(Assignment(once=True))
    assert [run.issue_number for run in place.house.runs.select()] == [2]
    assert place.house.runs.select()[0].status is RunStatus.COMPLETED
    codes = place.journal.codes()
    assert ("bug_met" in codes, "issue_failed" in codes) == (True, True)
    assert "nobody thought of this" in traces(place)[0]
    assert "in broken" in traces(place)[0], "where it came from"


def test_a_bug_in_a_request_is_its_outcome_and_the_next_is_taken_up(
    place: Place, work: Work
) -> None:
    place.tracker.issues = {2: replace(ISSUE, number=2)}
    now = place.house.clock.now()
    for number in (1, 2):
        place.house.inbox.put(Request(f"wish-{number}", "trigger", number, now))
    read = place.tracker.read_issue

    def broken(number: int) -> Issue | None:
        if number == 1:
            raise ZeroDivisionError("nobody thought of this")
        return read(number)

    place.tracker.read_issue = broken
    work(Assignment(until_idle=True))
    said = place.house.inbox.outcome("wish-1")
    assert said == "failed: unexpected ZeroDivisionError in trigger: nobody thought of this"
    assert str(place.house.inbox.outcome("wish-2")).startswith("queued: ")


def test_the_loop_outlives_a_bug_in_every_poll(
    place: Place, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "is_due", lambda *_: True)
    polls: list[None] = []

    def broken() -> tuple[Issue, ...]:
        polls.append(None)
        if len(polls) > 2 * worker.MOST_BUGS:
            raise StateUnreadable("enough seen")
        raise AttributeError("nobody thought of this")

    place.tracker.read_issues = broken
    with pytest.raises(StateUnreadable, match="enough seen"):
        work(Assignment())
    assert place.journal.codes().count("poll_failed") == 2 * worker.MOST_BUGS


def test_a_bug_that_comes_back_in_every_round_ends_the_worker_as_ours(
    place: Place, work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds: list[None] = []

    def broken() -> tuple[Request, ...]:
        rounds.append(None)
        raise TypeError("nobody thought of this")

    place.house.inbox.pending = broken
    assert guard(lambda: work(Assignment())) == BUG
    assert len(rounds) == len(traces(place)) == worker.MOST_BUGS
    assert "bug: TypeError: this is ours, not yours" in capsys.readouterr().err


def test_bugs_with_good_rounds_between_them_are_outlived(place: Place, work: Work) -> None:
    rounds: list[None] = []

    def broken_now_and_then() -> tuple[Request, ...]:
        rounds.append(None)
        if len(rounds) > 4 * worker.MOST_BUGS:
            raise StateUnreadable("enough seen")
        if len(rounds) % 2:
            raise TypeError("nobody thought of this")
        return ()

    place.house.inbox.pending = broken_now_and_then
    with pytest.raises(StateUnreadable, match="enough seen"):
        work(Assignment())
    assert len(traces(place)) == 2 * worker.MOST_BUGS


def test_a_worker_that_is_to_end_ends_with_its_first_bug(place: Place, work: Work) -> None:
    def broken() -> tuple[Request, ...]:
        raise TypeError("nobody thought of this")

    place.house.inbox.pending = broken
    with pytest.raises(Bug, match="unexpected TypeError in the worker's loop"):
        work(Assignment(until_idle=True))
    assert len(traces(place)) == 1


@pytest.mark.parametrize("error", [StoreError("locked"), GitError("broken"), ValueError("bug")])
def test_what_ends_the_errands_is_raised_once_and_they_are_sent_again(
    place: Place, work: Work, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    sent: list[None] = []

    async def errands(*_: object) -> None:
        sent.append(None)
        await asyncio.sleep(0)
        if len(sent) == 1:
            raise error
        if len(sent) == 3:
            raise StateUnreadable("enough seen")

    monkeypatch.setattr(worker, "run_errands", errands)
    with pytest.raises(StateUnreadable, match="enough seen"):
        work(Assignment())
    told = [code for code, words, _ in place.journal.lines if str(error) in words]
    code = {StoreError: "state_refused", GitError: "errand_failed", ValueError: "bug_met"}
    assert told == [code[type(error)]]
