"""Whether the next phase is justified: figures in, a row per criterion out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.check import Check
from repoagents.domain.reports import (
    CheckOutcome,
    CheckResult,
    Verdict,
    VerdictKind,
    Verification,
)
from repoagents.domain.rollout import Phase, Soak
from repoagents.domain.run import FailureClass
from repoagents.policy.rollout import (
    Evidence,
    Kpis,
    Share,
    State,
    assess,
    is_refuted,
    why_step_back,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
KPIS = Kpis(
    finished=4,
    succeeded=3,
    dry_runs=1,
    false_claims=Share(1, 4),
    passed_reviews=Share(7, 10),
    blocked=Share(1, 4),
    recovered=Share(7, 10),
    overridden=Share(1, 4),
)
SOAK = Soak(NOW - timedelta(days=14), "1.0", 300.0)
READY = Evidence(NOW, "1.0", Phase.OBSERVE, KPIS, SOAK, dashboard=True, newest=7)


def test_everything_at_its_bound_is_enough() -> None:
    found = assess(READY)
    assert (found.next, found.missing, found.justified) == (Phase.COMMENT, (), True)


@pytest.mark.parametrize(
    ("change", "command"),
    [
        ({"dry_runs": 0}, "repoagents trigger N --dry-run"),
        ({"succeeded": 0}, "repoagents trigger N"),
    ],
)
def test_the_command_brings_what_is_missing(change: dict[str, int], command: str) -> None:
    found = assess(replace(READY, kpis=replace(KPIS, **change)))  # type: ignore[arg-type]
    assert {row.command for row in found.missing} == {command}


def missing(**changes: object) -> list[str]:
    """What is missing when this is otherwise."""
    return [row.key for row in assess(replace(READY, **changes)).missing]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({"finished": 2}, ["finished runs"]),
        ({"dry_runs": 0}, ["dry runs", "a dry run and a run succeeded"]),
        ({"succeeded": 0}, ["a dry run and a run succeeded"]),
        ({"false_claims": Share(2, 4)}, ["false-done claims"]),
        ({"false_claims": Share()}, ["false-done claims"]),
        ({"passed_reviews": Share(6, 10)}, ["review pass rate"]),
        ({"passed_reviews": Share()}, ["review pass rate"]),
        ({"blocked": Share(26, 100)}, ["blocked rate"]),
        ({"recovered": Share(69, 100)}, ["recovery rate"]),
        ({"recovered": Share()}, []),
        ({"overridden": Share(2, 4)}, ["human overrides"]),
    ],
)
def test_each_figure_beyond_its_bound_is_missing(
    change: dict[str, object], keys: list[str]
) -> None:
    assert missing(kpis=replace(KPIS, **change)) == keys  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "soak",
    [
        None,
        replace(SOAK, at=NOW - timedelta(days=14, seconds=1)),
        replace(SOAK, version="1.1"),
        replace(SOAK, seconds=299.0),
        replace(SOAK, problems=("issue #1 has 2 comments",)),
    ],
)
def test_a_soak_counts_that_passed_lately_for_long_with_this_version(soak: Soak | None) -> None:
    assert missing(soak=soak) == ["soak"]


def test_a_soak_of_the_future_says_when_it_is_dated() -> None:
    (row,) = assess(replace(READY, soak=replace(SOAK, at=NOW + timedelta(minutes=1)))).missing
    assert row.found.startswith("passed in the future, 2026-03-04T12:01:00+00:00, with 1.0 after")


def test_runs_that_are_counted_in_part_are_named() -> None:
    found = assess(replace(READY, kpis=replace(KPIS, unreadable=("r1", "r2", "r3", "r4"))))
    row = found.criteria[0]
    assert (row.key, row.state) == ("finished runs", State.MET)
    assert "another version wrote them: r1, r2, r3 and 1 more" in row.found


def test_why_a_soak_failed_is_said() -> None:
    soak = replace(SOAK, problems=("issue #1 has 2 comments",))
    (row,) = assess(replace(READY, soak=soak)).missing
    assert "failed 14 d ago with 1.0" in row.found
    assert "issue #1 has 2 comments" in row.found


def test_an_error_of_the_doctor_is_missing_and_a_warning_is_named() -> None:
    assert missing(checks=[Check("git", "error", "no")]) == ["doctor is clean"]
    warned = assess(replace(READY, checks=[Check("disk", "warn", "low"), Check("git", "ok", "")]))
    assert warned.justified
    assert "disk" in warned.checklist[0].found


def test_a_rehearsal_proves_nothing_of_a_model() -> None:
    assert missing(rehearsed=True) == ["model"]


def test_a_page_that_was_never_written_is_missing() -> None:
    assert missing(dashboard=False) == ["the dashboard renders"]


def test_without_a_reviewer_no_review_is_wanted() -> None:
    assert missing(reviewer=False, kpis=replace(KPIS, passed_reviews=Share())) == []


def test_what_only_a_person_can_say_is_said_and_decides_nothing() -> None:
    rows = [row for row in assess(READY).checklist if row.state is State.PERSON]
    assert len(rows) == 3
    assert all(row.command for row in rows)
    assert "repoagents logs 7" in [row.command for row in rows]


@pytest.mark.parametrize("phase", [Phase.MERGE, None])
def test_where_no_phase_follows_nothing_is_justified(phase: Phase | None) -> None:
    found = assess(replace(READY, phase=phase))
    assert (found.next, found.missing, found.justified) == (None, (), False)


def test_small_numbers_are_told_as_they_are() -> None:
    rows = {row.key: row.found for row in assess(READY).criteria}
    assert rows["blocked rate"] == "1 of 4 finished runs"
    kpis = replace(KPIS, recovered=Share())
    rows = {row.key: row.found for row in assess(replace(READY, kpis=kpis)).criteria}
    assert rows["recovery rate"] == "no run had a failed attempt"


# --- claims -------------------------------------------------------------------------------------


def proof(outcome: CheckOutcome, *, code: int = 1, required: bool = True) -> Verification:
    """One check's result."""
    result = CheckResult("tests", "unit", "make", required, outcome, code, 1.0, "", "")
    return Verification("t", (result,))


@pytest.mark.parametrize(
    ("claimed", "change", "base", "refuted"),
    [
        (("a.py",), None, None, False),
        (("./a.py",), None, None, False),
        ((), proof(CheckOutcome.PASSED), None, False),
        (("a.py", "b.py"), proof(CheckOutcome.PASSED), None, True),
        (("a.py",), proof(CheckOutcome.FAILED), None, True),
        (("a.py",), proof(CheckOutcome.TIMED_OUT), None, True),
        (("a.py",), proof(CheckOutcome.FAILED, required=False), None, False),
        (("a.py",), proof(CheckOutcome.FAILED), proof(CheckOutcome.FAILED), False),
        (("a.py",), proof(CheckOutcome.FAILED, code=2), proof(CheckOutcome.FAILED), True),
    ],
)
def test_a_claim_is_refuted_by_git_or_by_a_check(
    claimed: tuple[str, ...],
    change: Verification | None,
    base: Verification | None,
    refuted: bool,
) -> None:
    assert is_refuted(claimed, ("a.py",), change, base) is refuted


# --- stepping back ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FailureClass)
def test_only_tampering_is_critical_by_its_class(kind: FailureClass) -> None:
    assert (why_step_back(kind) is not None) == (kind is FailureClass.TAMPERED)


@pytest.mark.parametrize(
    ("rules", "critical"),
    [((), False), (("protected_path",), False), (("protected_path", "secret"), True)],
)
def test_a_blocked_change_is_critical_when_it_held_a_secret(
    rules: tuple[str, ...], critical: bool
) -> None:
    verdict = Verdict(VerdictKind.HAND_OFF, ("no",), failure_class="policy_block", rules=rules)
    assert (why_step_back(FailureClass.POLICY_BLOCK, verdict) is not None) == critical


def test_shares() -> None:
    assert (Share().rate, Share(3, 4).rate, str(Share(3, 3))) == (None, 0.75, "3 of 3")
