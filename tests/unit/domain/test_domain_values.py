"""Legal moves of a run, the issue's fingerprint, and the small sums."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.issue import Issue, normal_labels
from repoagents.domain.reports import CheckOutcome, CheckResult, Usage, Verification
from repoagents.domain.run import (
    FIX_ROUNDS,
    MOVES,
    Failure,
    FailureClass,
    IllegalMove,
    Run,
    RunStatus,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = Failure(FailureClass.INFRA, "broke")


def make_run(status: RunStatus, failure: Failure | None = None, round_: int = 1) -> Run:
    return Run(
        "r", 1, "t", "f", status, NOW, NOW, attempt=1, failure=failure, round=round_, resumes=2
    )


MAKES = {
    RunStatus.QUEUED: lambda run: run.requeue(NOW),
    RunStatus.IN_PROGRESS: lambda run: run.start(NOW),
    RunStatus.RETRY_PENDING: lambda run: run.wait_for_retry(FAILURE, NOW, NOW, spent=True),
    RunStatus.AWAITING_APPROVAL: lambda run: run.await_approval(NOW),
    RunStatus.BLOCKED: lambda run: run.block(FAILURE, NOW),
    RunStatus.COMPLETED: lambda run: run.complete(NOW),
    RunStatus.NO_CHANGE: lambda run: run.end_without_change(NOW),
    RunStatus.FAILED: lambda run: run.fail(FAILURE, NOW),
    RunStatus.CANCELLED: lambda run: run.cancel(NOW),
    RunStatus.SUPERSEDED: lambda run: run.supersede(NOW),
}


@pytest.mark.parametrize("start", RunStatus)
@pytest.mark.parametrize("goal", RunStatus)
def test_a_move_is_made_exactly_when_the_table_lists_it(start: RunStatus, goal: RunStatus) -> None:
    run = make_run(start)
    if goal in MOVES[start]:
        after = MAKES[goal](run)
        assert after.status is goal
        assert (after.finished_at is not None) == goal.terminal
    else:
        with pytest.raises(IllegalMove, match=f"{start} -> {goal}"):
            MAKES[goal](run)


def test_every_status_can_reach_an_end() -> None:
    for status in RunStatus:
        seen, frontier = {status}, [status]
        while frontier:
            for goal in MOVES[frontier.pop()] - seen:
                seen.add(goal)
                frontier.append(goal)
        assert any(reached.terminal for reached in seen)


def test_only_a_spent_failure_counts() -> None:
    run = make_run(RunStatus.IN_PROGRESS)
    due = NOW + timedelta(seconds=5)
    assert run.wait_for_retry(FAILURE, due, NOW, spent=True).failures == 1
    parked = run.wait_for_retry(FAILURE, due, NOW, spent=False)
    assert (parked.failures, parked.next_at, parked.failure) == (0, due, FAILURE)


def test_a_person_gives_new_attempts_and_after_review_new_rounds() -> None:
    review = Failure(FailureClass.REQUEST_CHANGES, "no")
    again = make_run(RunStatus.BLOCKED, review, round_=4).requeue(NOW, "try harder")
    assert (again.round, again.round_limit) == (5, 5 + FIX_ROUNDS)
    assert (again.generation, again.failures, again.resumes) == (1, 0, 0)
    assert again.note == "try harder"
    crashed = make_run(RunStatus.FAILED, FAILURE, round_=2).requeue(NOW)
    assert crashed.round == 2


def test_a_crash_is_counted_and_a_stop_is_not() -> None:
    run = make_run(RunStatus.IN_PROGRESS)
    assert run.park(FAILURE, NOW, crashed=True).resumes == 3
    assert run.park(FAILURE, NOW).resumes == 2


@given(st.text(), st.text())
def test_line_ends_and_blanks_at_the_end_do_not_change_the_fingerprint(
    title: str, body: str
) -> None:
    plain = Issue(1, title, body)
    windows = Issue(1, title, body.replace("\r", "").replace("\n", " \r\n") + "\n\n")
    assert plain.fingerprint == plain.fingerprint
    if "\r" not in body:
        assert plain.fingerprint == windows.fingerprint


def test_another_text_is_another_fingerprint_and_labels_do_not_count() -> None:
    issue = Issue(1, "a", "b")
    assert issue.fingerprint != Issue(1, "a", "b changed").fingerprint
    assert issue.fingerprint != Issue(1, "ab", "").fingerprint
    assert issue.fingerprint == Issue(2, "a", "b", labels=("x",)).fingerprint


def test_labels_have_one_normal_form() -> None:
    assert normal_labels([" Bug ", "bug", "", "P1"]) == ("bug", "p1")


def _result(*, required: bool, outcome: CheckOutcome) -> CheckResult:
    return CheckResult("n", "unit", "c", required, outcome, 0, 1.0, "", "")


def test_a_change_is_verified_only_by_required_checks_that_ran() -> None:
    passed, failed = CheckOutcome.PASSED, CheckOutcome.FAILED
    assert not Verification("t").verified
    assert not Verification("t", (_result(required=False, outcome=passed),)).verified
    good = _result(required=True, outcome=passed)
    assert Verification("t", (good, _result(required=False, outcome=failed))).verified
    assert not Verification("t", (good, _result(required=True, outcome=failed))).verified


def test_an_unknown_cost_stays_unknown_until_one_is_known() -> None:
    assert (Usage(1, 2) + Usage(1, 3)).cost is None
    assert Usage(1, 2, 0.5) + Usage(1, 3) == Usage(2, 5, 0.5)
