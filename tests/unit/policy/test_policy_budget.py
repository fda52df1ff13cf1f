"""Hard caps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.reports import Usage
from repoagents.domain.settings import LimitSettings
from repoagents.policy import budget
from repoagents.policy.budget import why_not

LIMITS = LimitSettings(
    calls_per_hour=3,
    tokens_per_run=20_000,
    tokens_per_day=50_000,
    cost_per_run=1.0,
    cost_per_day=2.0,
)
CALL = Usage(calls=1, tokens=9_000)
NONE = Usage()


def test_an_estimate_is_a_call_with_a_quarter_of_the_characters_and_a_reserve() -> None:
    assert budget.estimate("x" * 4_000) == Usage(calls=1, tokens=9_000, cost=None)


def test_within_every_cap_a_call_is_allowed() -> None:
    assert why_not(Usage(2, 11_000), Usage(2, 11_000), Usage(2, 41_000), CALL, LIMITS) is None


@pytest.mark.parametrize(
    ("run", "hour", "day", "key", "scope"),
    [
        (NONE, Usage(3), Usage(3), "limits.calls_per_hour", "hour"),
        (Usage(1, 11_001), Usage(1, 11_001), Usage(1, 11_001), "limits.tokens_per_run", "run"),
        (NONE, NONE, Usage(1, 41_001), "limits.tokens_per_day", "day"),
        (Usage(1, 0, 1.0), NONE, Usage(1, 0, 1.0), "limits.cost_per_run", "run"),
        (NONE, NONE, Usage(1, 0, 2.0), "limits.cost_per_day", "day"),
    ],
)
def test_each_cap_refuses_with_its_key_count_and_limit(
    run: Usage, hour: Usage, day: Usage, key: str, scope: str
) -> None:
    refusal = why_not(run, hour, day, CALL, LIMITS)
    assert refusal is not None
    assert (refusal.limit_key, refusal.scope) == (key, scope)
    assert key in refusal.message


def test_the_message_names_count_and_limit() -> None:
    refusal = why_not(NONE, Usage(3), Usage(3), CALL, LIMITS)
    assert refusal is not None
    assert refusal.message.startswith("3 of 3 agent calls are used or reserved in the last hour")


def test_an_unknown_cost_counts_as_nothing_and_is_said() -> None:
    free = LimitSettings(cost_per_run=0.0, cost_per_day=0.0)
    assert why_not(Usage(1, 1), Usage(1, 1), Usage(1, 1), CALL, free) is None
    refusal = why_not(NONE, Usage(3), Usage(3), CALL, LIMITS)
    assert refusal is not None
    assert "reports no cost" in refusal.message
    known = why_not(NONE, Usage(3), Usage(3, 0, 0.5), CALL, LIMITS)
    assert known is not None
    assert "reports no cost" not in known.message


@pytest.mark.parametrize(
    "limits", [LimitSettings(calls_per_hour=0), LimitSettings(tokens_per_day=8_000)]
)
def test_what_can_never_fit_is_not_waited_for(limits: LimitSettings) -> None:
    refusal = why_not(NONE, NONE, NONE, CALL, limits)
    assert refusal is not None
    assert refusal.scope == "run"
    assert budget.window_wait(refusal.message) is None


usages = st.builds(Usage, st.integers(0, 10), st.integers(0, 60_000), st.none() | st.floats(0, 3))


@given(usages, usages, usages)
def test_more_spent_is_never_allowed_where_less_was_refused(
    run: Usage, hour: Usage, more: Usage
) -> None:
    if why_not(run, hour, hour, CALL, LIMITS) is not None:
        assert why_not(run + more, hour + more, hour + more, CALL, LIMITS) is not None
