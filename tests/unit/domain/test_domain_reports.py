"""Evidence and sums: which checks could be used, when a change is proven, what calls cost."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.reports import (
    MOST_COST,
    CheckOutcome,
    CheckResult,
    Finding,
    Severity,
    Usage,
    Verification,
)

PASSED, FAILED = CheckOutcome.PASSED, CheckOutcome.FAILED
TIMED_OUT, NOT_STARTED = CheckOutcome.TIMED_OUT, CheckOutcome.NOT_STARTED


def check(
    outcome: CheckOutcome, exit_code: int | None = 0, *, required: bool = True
) -> CheckResult:
    return CheckResult("tests", "unit", "make test", required, outcome, exit_code, 1.0, "", "")


# --- which checks could be used -------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "exit_code", "usable"),
    [
        (PASSED, 0, True),
        (FAILED, 1, True),
        (FAILED, 2, True),
        (FAILED, 5, True),
        (FAILED, 125, True),
        (FAILED, 126, False),
        (FAILED, 127, False),
        (FAILED, 128, True),
        (FAILED, 255, True),
        (FAILED, -9, True),
        (FAILED, -15, True),
        (TIMED_OUT, None, False),
        (TIMED_OUT, -9, False),
        (NOT_STARTED, None, False),
    ],
)
def test_a_check_is_usable_unless_it_could_not_be_run(
    outcome: CheckOutcome, exit_code: int | None, usable: bool
) -> None:
    assert check(outcome, exit_code).usable is usable


@given(st.sampled_from(CheckOutcome), st.none() | st.integers(-64, 255), st.booleans())
def test_whether_a_check_is_required_says_nothing_about_its_use(
    outcome: CheckOutcome, exit_code: int | None, required: bool
) -> None:
    result = check(outcome, exit_code, required=required)
    assert result.usable == replace(result, required=not required).usable


# --- when a change is proven ----------------------------------------------------------------

RESULTS = st.lists(st.builds(check, st.sampled_from(CheckOutcome), required=st.booleans()))


@given(RESULTS)
def test_a_change_is_proven_by_required_checks_alone(results: list[CheckResult]) -> None:
    required = tuple(result for result in results if result.required)
    assert Verification("t", tuple(results)).verified == Verification("t", required).verified
    assert not Verification("t", tuple(r for r in results if not r.required)).verified


@given(RESULTS, st.sampled_from([FAILED, TIMED_OUT, NOT_STARTED]))
def test_one_required_check_that_did_not_pass_takes_the_proof_away(
    results: list[CheckResult], outcome: CheckOutcome
) -> None:
    proof = (*results, check(PASSED))
    assert not Verification("t", (*proof, check(outcome))).verified
    assert not Verification("t", (check(outcome), *proof)).verified
    optional = check(outcome, required=False)
    assert Verification("t", (*proof, optional)).verified == Verification("t", proof).verified


# --- what a person must decide --------------------------------------------------------------


def test_only_a_critical_finding_blocks() -> None:
    blocking = [s for s in Severity if Finding("secret", s, "a token in a file").blocking]
    assert blocking == [Severity.CRITICAL]


# --- what calls cost ------------------------------------------------------------------------

COSTS = st.none() | st.integers(0, 10_000).map(lambda quarters: quarters / 4)
USAGES = st.builds(Usage, st.integers(0, 1_000), st.integers(0, 10**9), COSTS)
"""Quarters add up without rounding, so that the laws hold exactly."""


@given(USAGES)
def test_nothing_spent_changes_no_sum(usage: Usage) -> None:
    assert usage + Usage() == usage == Usage() + usage


@given(USAGES, USAGES, USAGES)
def test_sums_do_not_depend_on_how_they_are_grouped(one: Usage, two: Usage, three: Usage) -> None:
    assert (one + two) + three == one + (two + three)


@given(USAGES, USAGES)
def test_sums_do_not_depend_on_the_order(one: Usage, two: Usage) -> None:
    assert one + two == two + one


@given(st.lists(USAGES))
def test_a_sum_holds_every_call_every_token_and_every_known_cost(usages: list[Usage]) -> None:
    total = sum(usages, Usage())
    known = [usage.cost for usage in usages if usage.cost is not None]
    assert total.calls == sum(usage.calls for usage in usages)
    assert total.tokens == sum(usage.tokens for usage in usages)
    assert total.cost == (math.fsum(known) if known else None)


@given(st.floats(), st.floats())
def test_a_cost_is_in_bounds_or_unknown_and_so_is_every_sum(one: float, two: float) -> None:
    for usage in (Usage(cost=one), Usage(cost=one) + Usage(cost=two)):
        assert usage.cost is None or 0 <= usage.cost <= MOST_COST
    assert (Usage(cost=one).cost is None) == math.isnan(one)


@given(USAGES)
def test_a_cost_of_zero_is_known(usage: Usage) -> None:
    assert (usage + Usage(cost=0.0)).cost == (usage.cost or 0.0)
    assert (usage + Usage(cost=0.0)).cost is not None
