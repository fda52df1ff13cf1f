"""What follows from a failure."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.reports import Usage
from repoagents.domain.run import FailureClass, RunStatus
from repoagents.domain.settings import AgentSettings, LimitSettings
from repoagents.policy import budget, retry
from repoagents.policy.retry import (
    FIRST_PARKED_WAIT,
    LONGEST_WAIT,
    Block,
    GiveUp,
    RetryAt,
    backoff,
    decide,
    parked_wait,
    wait_left,
)
from tests.unit.policy.builders import NOW, a_failure, a_run

SETTINGS = AgentSettings()
PARKED = {"auth", "provider_limit", "network", "interrupted"}
COUNTED = {
    "engine_crash", "timeout_idle", "timeout_hard", "contract_invalid", "infra", "reviewer_wrote",
}  # fmt: skip
BLOCKED = {
    "environment", "request_changes", "question", "policy_block", "tampered", "engine_missing",
    "invalid_args", "cancelled", "pull_request",
}  # fmt: skip
fractions = st.floats(0, 1, exclude_max=True)


def test_every_class_of_failure_is_in_one_group() -> None:
    grouped = PARKED | COUNTED | BLOCKED | {"budget", "crash_loop"}
    assert grouped == {kind.value for kind in FailureClass}
    assert {kind.value for kind in retry.PARKED} == PARKED


@pytest.mark.parametrize("kind", sorted(PARKED))
def test_a_parked_run_spends_no_retry_however_often(kind: str) -> None:
    run = a_run(attempt=50, failures=2)
    outcome = decide(a_failure(kind), run, SETTINGS, NOW, 0.5)
    assert isinstance(outcome, RetryAt)
    assert not outcome.spent
    assert NOW + FIRST_PARKED_WAIT <= outcome.at <= NOW + LONGEST_WAIT


@pytest.mark.parametrize("kind", sorted(COUNTED))
def test_a_counted_failure_is_tried_three_times_in_all(kind: str) -> None:
    failure = a_failure(kind)
    first = decide(failure, a_run(attempt=1), SETTINGS, NOW, 0.0)
    second = decide(failure, a_run(attempt=2, failures=1), SETTINGS, NOW, 0.0)
    third = decide(failure, a_run(attempt=3, failures=2), SETTINGS, NOW, 0.0)
    assert first == RetryAt(NOW + timedelta(seconds=15), spent=True)
    assert second == RetryAt(NOW + timedelta(seconds=30), spent=True)
    assert third == GiveUp(failure)


@pytest.mark.parametrize("kind", sorted(BLOCKED))
def test_what_only_a_person_can_mend_blocks_at_once(kind: str) -> None:
    failure = a_failure(kind)
    assert decide(failure, a_run(attempt=1), SETTINGS, NOW, 0.0) == Block(failure)


def test_a_crash_loop_is_the_end() -> None:
    failure = a_failure("crash_loop")
    assert decide(failure, a_run(attempt=1), SETTINGS, NOW, 0.0) == GiveUp(failure)


@pytest.mark.parametrize(
    ("hour", "day", "wait"),
    [
        (Usage(calls=100), Usage(calls=100), timedelta(minutes=10)),
        (Usage(calls=1), Usage(tokens=10_000_000), timedelta(hours=1)),
        (Usage(calls=1), Usage(cost=50.0), timedelta(hours=1)),
    ],
)
def test_a_window_that_frees_itself_is_waited_for(hour: Usage, day: Usage, wait: timedelta) -> None:
    refusal = budget.why_not(Usage(), hour, day, budget.estimate("x"), LimitSettings())
    assert refusal is not None
    outcome = decide(a_failure("budget", refusal.message), a_run(attempt=1), SETTINGS, NOW, 0.0)
    assert outcome == RetryAt(NOW + wait, spent=False)


def test_a_cap_of_the_run_blocks() -> None:
    spent = Usage(tokens=2_000_000)
    refusal = budget.why_not(spent, spent, spent, budget.estimate("x"), LimitSettings())
    assert refusal is not None
    failure = a_failure("budget", refusal.message)
    assert decide(failure, a_run(attempt=1), SETTINGS, NOW, 0.0) == Block(failure)


@given(st.integers(0, 2_000), st.integers(0, 3600), fractions)
def test_backoff_never_shrinks_and_is_capped(failures: int, base: int, fraction: float) -> None:
    settings = AgentSettings(base_retry_seconds=base)
    wait = backoff(failures, settings, fraction)
    assert wait <= backoff(failures + 1, settings, fraction) <= LONGEST_WAIT
    full = min(timedelta(seconds=base * 2 ** min(failures, 20)), LONGEST_WAIT)
    assert full / 2 <= wait <= full


@given(st.integers(0, 2_000), st.integers(0, 9), fractions)
def test_a_parked_wait_never_shrinks_and_is_capped(
    attempt: int, failures: int, fraction: float
) -> None:
    wait = parked_wait(a_run(attempt=attempt, failures=failures), fraction)
    longer = parked_wait(a_run(attempt=attempt + 1, failures=failures), fraction)
    assert FIRST_PARKED_WAIT <= wait <= longer <= LONGEST_WAIT


@given(st.timedeltas(timedelta(days=-2), timedelta(days=2)), st.integers(1, 900))
def test_a_clock_that_jumps_neither_lengthens_nor_loses_a_wait(
    jump: timedelta, seconds: int
) -> None:
    wait = timedelta(seconds=seconds)
    run = a_run(RunStatus.IN_PROGRESS).wait_for_retry(a_failure(), NOW + wait, NOW, spent=True)
    left = wait_left(run, NOW + jump)
    assert timedelta(0) <= left <= wait
    if jump >= wait:
        assert left == timedelta(0)


def test_a_run_that_does_not_wait_is_due() -> None:
    assert wait_left(a_run(), NOW) == timedelta(0)
