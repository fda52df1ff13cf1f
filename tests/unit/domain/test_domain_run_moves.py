"""Any life that a run can have, move by move, and what holds at every step of it."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from repoagents.domain.run import (
    FIX_ROUNDS,
    MOVES,
    Failure,
    FailureClass,
    IllegalMove,
    Run,
    RunStatus,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
S = RunStatus

FAILURES = st.builds(Failure, st.sampled_from(FailureClass), st.just("it broke"))
WAITS = st.integers(0, 900).map(lambda seconds: timedelta(seconds=seconds))
ENDS: dict[RunStatus, Callable[[Run, Failure, datetime], Run]] = {
    S.AWAITING_APPROVAL: lambda run, _failure, now: run.await_approval(now),
    S.BLOCKED: lambda run, failure, now: run.block(failure, now),
    S.COMPLETED: lambda run, _failure, now: run.complete(now),
    S.NO_CHANGE: lambda run, _failure, now: run.end_without_change(now),
    S.FAILED: lambda run, failure, now: run.fail(failure, now),
    S.CANCELLED: lambda run, _failure, now: run.cancel(now, "somebody"),
    S.SUPERSEDED: lambda run, _failure, now: run.supersede(now),
}
BEGINS: dict[RunStatus, Callable[[Run, Failure, datetime], Run]] = {
    S.QUEUED: lambda run, _failure, now: run.requeue(now),
    S.IN_PROGRESS: lambda run, _failure, now: run.start(now),
    S.RETRY_PENDING: lambda run, failure, now: run.wait_for_retry(failure, now, now, spent=True),
}
BY_GOAL = {**BEGINS, **ENDS}


def stands(*statuses: RunStatus) -> Callable[["RunLife"], bool]:
    """The rule applies to a run in one of these statuses."""
    return lambda life: life.run.status in statuses


class RunLife(RuleBasedStateMachine):
    """A run as the pipeline moves it; the machine keeps its own count of what happened.

    `parked` says that an attempt was interrupted: the next start goes on with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.run = Run("run-1", 1, "title", "f" * 64, S.QUEUED, START, START)
        self.parked = False
        self.begun = self.spent = self.requeued = self.crashes = 0
        self.first_start: datetime | None = None

    def later(self) -> datetime:
        """The instant of the next event: every event has its own."""
        self.now += timedelta(seconds=1)
        return self.now

    # --- the worker ---

    @precondition(lambda life: life.run.status in (S.QUEUED, S.RETRY_PENDING) and not life.parked)
    @rule()
    def begins_an_attempt(self) -> None:
        self.run = self.run.start(self.later())
        self.begun += 1
        self.first_start = self.first_start or self.now

    @precondition(lambda life: life.run.status is S.QUEUED and life.parked)
    @rule()
    def goes_on_with_the_attempt(self) -> None:
        self.run = self.run.resume(self.later())
        self.parked = False

    @precondition(stands(S.IN_PROGRESS))
    @rule(failure=FAILURES, crashed=st.booleans())
    def stops_in_the_middle(self, failure: Failure, crashed: bool) -> None:
        self.run = self.run.park(failure, self.later(), crashed=crashed)
        self.parked = True
        self.crashes += int(crashed)

    @precondition(stands(S.IN_PROGRESS))
    @rule(failure=FAILURES, wait=WAITS, spent=st.booleans())
    def fails_for_now(self, failure: Failure, wait: timedelta, spent: bool) -> None:
        self.later()
        self.run = self.run.wait_for_retry(failure, self.now + wait, self.now, spent=spent)
        assert self.run.next_at == self.now + wait
        assert self.run.failure == failure
        self.spent += int(spent)

    @precondition(stands(S.RETRY_PENDING))
    @rule(wait=WAITS)
    def waits_longer(self, wait: timedelta) -> None:
        before = self.run
        self.run = before.wait_longer(self.later() + wait, self.now)
        assert replace(self.run, next_at=before.next_at, updated_at=before.updated_at) == before

    @precondition(stands(S.IN_PROGRESS))
    @rule(verified=st.booleans())
    def works_on(self, verified: bool) -> None:
        before = self.run
        run = before.on_base("b" * 40, self.later()).in_round(
            min(before.round + 1, before.round_limit), self.now
        )
        self.run = run.carried_by("c" * 40, "d" * 64, "repoagents/1", self.now).proven(
            verified, self.now
        )
        assert (self.run.status, self.run.attempt) == (before.status, before.attempt)
        assert (self.run.head_sha, self.run.verified) == ("c" * 40, verified)

    @precondition(lambda life: bool(MOVES[life.run.status] & set(ENDS)))
    @rule(data=st.data(), failure=FAILURES)
    def comes_to_rest(self, data: st.DataObject, failure: Failure) -> None:
        goal = data.draw(st.sampled_from(sorted(MOVES[self.run.status] & set(ENDS))))
        self.run = ENDS[goal](self.run, failure, self.later())
        assert self.run.status is goal
        self.parked = False

    # --- people ---

    @precondition(stands(S.RETRY_PENDING))
    @rule()
    def is_hurried(self) -> None:
        self.run = self.run.hurry(self.later())
        assert self.run.next_at == self.now

    @precondition(lambda life: life.run.status.retryable)
    @rule(note=st.sampled_from(["", "keep the parser lazy"]))
    def is_sent_back(self, note: str) -> None:
        before = self.run
        self.run = before.requeue(self.later(), note)
        self.requeued += 1
        self.spent = self.crashes = 0
        assert self.run.note == (note or before.note)
        assert self.run.round_limit == self.run.round + FIX_ROUNDS
        assert self.run.round - before.round in (0, 1)

    # --- mistakes of ours ---

    @rule(goal=st.sampled_from(sorted(BY_GOAL)), failure=FAILURES)
    def cannot_be_moved_against_the_table(self, goal: RunStatus, failure: Failure) -> None:
        if goal in MOVES[self.run.status]:
            return
        before = replace(self.run)
        with pytest.raises(IllegalMove, match=f"run-1: {before.status} -> {goal} "):
            BY_GOAL[goal](self.run, failure, self.now + timedelta(days=1))
        assert self.run == before

    # --- what holds at every step ---

    @invariant()
    def ends_exactly_when_it_is_over(self) -> None:
        assert (self.run.finished_at is not None) == self.run.status.terminal

    @invariant()
    def has_a_next_time_only_while_it_waits(self) -> None:
        assert (self.run.next_at is not None) == (self.run.status is S.RETRY_PENDING)

    @invariant()
    def counts_what_happened(self) -> None:
        assert self.run.attempt == self.begun
        assert self.run.generation == self.requeued
        assert self.run.failures == self.spent
        assert self.run.resumes == self.crashes
        assert self.run.failures <= self.run.attempt

    @invariant()
    def says_why_when_it_stopped_short(self) -> None:
        if self.run.status in (S.RETRY_PENDING, S.BLOCKED, S.FAILED, S.CANCELLED):
            assert self.run.failure is not None
        if self.run.status in (S.COMPLETED, S.NO_CHANGE, S.AWAITING_APPROVAL, S.IN_PROGRESS):
            assert self.run.failure is None

    @invariant()
    def stays_within_its_rounds(self) -> None:
        assert 1 <= self.run.round <= self.run.round_limit

    @invariant()
    def keeps_its_times_in_order(self) -> None:
        run = self.run
        assert run.started_at == self.first_start
        assert run.created_at == START <= run.updated_at == self.now
        assert run.finished_at in (None, run.updated_at)
        assert (run.started_at or START) <= run.updated_at

    @invariant()
    def is_still_the_same_work(self) -> None:
        assert (self.run.id, self.run.issue_number, self.run.fingerprint) == ("run-1", 1, "f" * 64)


TestRunLife = RunLife.TestCase
TestRunLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_every_status_has_a_move_that_leads_to_it() -> None:
    assert set(BY_GOAL) == set(RunStatus)


def test_a_run_that_is_sent_back_goes_on_where_it_was() -> None:
    run = Run("r", 1, "t", "f", S.QUEUED, START, START).start(START).on_base("b" * 40, START)
    run = run.carried_by("c" * 40, "d" * 64, "repoagents/1", START)
    failure = Failure(FailureClass.ENVIRONMENT, "make: not found", "install make")
    again = run.block(failure, START).requeue(START)
    assert (again.base_sha, again.head_sha, again.branch) == ("b" * 40, "c" * 40, "repoagents/1")
    assert again.failure is None


def test_a_run_cannot_be_changed_in_place() -> None:
    run = Run("r", 1, "t", "f", S.QUEUED, START, START)
    for field in fields(run):
        with pytest.raises(AttributeError):
            setattr(run, field.name, getattr(run, field.name))


def test_who_cancelled_is_on_record() -> None:
    run = Run("r", 1, "t", "f", S.QUEUED, START, START)
    named, unnamed = run.cancel(START, "ann").failure, run.cancel(START).failure
    assert named == Failure(FailureClass.CANCELLED, "cancelled by ann")
    assert unnamed == Failure(FailureClass.CANCELLED, "cancelled")
