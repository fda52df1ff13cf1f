"""What follows from a failure: another attempt and when, the end, or a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from repoagents.domain.run import Failure, FailureClass, Run
from repoagents.domain.settings import AgentSettings
from repoagents.policy import budget

LONGEST_WAIT = timedelta(minutes=15)
FIRST_PARKED_WAIT = timedelta(minutes=1)


@dataclass(frozen=True)
class RetryAt:
    """Try again at an instant; `spent` says whether it counts against the retry limit."""

    at: datetime
    spent: bool


@dataclass(frozen=True)
class GiveUp:
    """Out of attempts: the run is failed."""

    failure: Failure


@dataclass(frozen=True)
class Block:
    """A person must act; trying again by ourselves cannot help."""

    failure: Failure


Outcome = RetryAt | GiveUp | Block

PARKED = frozenset(
    {
        FailureClass.AUTH,
        FailureClass.PROVIDER_LIMIT,
        FailureClass.NETWORK,
        FailureClass.INTERRUPTED,
    }
)
"""What waits for the host or its operator, not for another try: no retry is spent."""


def decide(
    failure: Failure, run: Run, settings: AgentSettings, now: datetime, fraction: float
) -> Outcome:
    """What a run does after a failed attempt.

    `run` is the run as it was during the attempt, this failure not yet counted; `fraction` in
    [0, 1) spreads the waits. Waits depend on counts alone, never on the clock's past.
    """
    kind = FailureClass
    match failure.kind:
        case kind.AUTH | kind.PROVIDER_LIMIT | kind.NETWORK | kind.INTERRUPTED:
            return RetryAt(now + parked_wait(run, fraction), spent=False)
        case kind.BUDGET:
            wait = budget.window_wait(failure.message)
            return Block(failure) if wait is None else RetryAt(now + wait, spent=False)
        case (
            kind.ENGINE_CRASH
            | kind.TIMEOUT_IDLE
            | kind.TIMEOUT_HARD
            | kind.CONTRACT_INVALID
            | kind.REVIEWER_WROTE
            | kind.INFRA
        ):
            if run.failures + 1 >= settings.retry_limit:
                return GiveUp(failure)
            return RetryAt(now + backoff(run.failures, settings, fraction), spent=True)
        case kind.CRASH_LOOP:
            return GiveUp(failure)
        case (
            kind.CANCELLED
            | kind.ENGINE_MISSING
            | kind.INVALID_ARGS
            | kind.TAMPERED
            | kind.ENVIRONMENT
            | kind.REQUEST_CHANGES
            | kind.QUESTION
            | kind.POLICY_BLOCK
            | kind.PULL_REQUEST
        ):
            return Block(failure)
    assert_never(failure.kind)


def backoff(failures: int, settings: AgentSettings, fraction: float) -> timedelta:
    """The wait after the failure number `failures`, counted from 0: doubled, capped, spread."""
    full = _doubled(timedelta(seconds=settings.base_retry_seconds), failures)
    return full * (0.5 + fraction / 2)


def parked_wait(run: Run, fraction: float) -> timedelta:
    """The wait of a parked run: one to fifteen minutes, longer with each unspent attempt."""
    parked = max(run.attempt - run.failures - 1, 0)
    full = _doubled(FIRST_PARKED_WAIT, parked)
    return max(full * (0.5 + fraction / 2), FIRST_PARKED_WAIT)


def wait_left(run: Run, now: datetime) -> timedelta:
    """How long a waiting run still waits; nothing when it is due or does not wait.

    Never longer than was decided, even when the clock went back since.
    """
    if run.next_at is None:
        return timedelta(0)
    decided = run.next_at - run.updated_at
    return max(min(run.next_at - now, decided), timedelta(0))


def _doubled(first: timedelta, times: int) -> timedelta:
    # Fourteen doublings of a second pass any cap; more would only overflow.
    return min(first * (1 << min(times, 14)), LONGEST_WAIT)
