"""What happens to a change: decided by code over evidence, never by an agent's claim."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from repoagents.domain.change import ChangeSet
from repoagents.domain.reports import (
    BuildReport,
    CheckOutcome,
    CheckResult,
    Decision,
    Finding,
    Plan,
    Review,
    Severity,
    Verdict,
    VerdictKind,
    Verification,
)
from repoagents.domain.run import FailureClass
from repoagents.policy.wording import one_line, tail

UNVERIFIED = "unverified: no check is configured"
TAIL_LIMIT = 2_000
"""Characters of a failing command's output that the builder is shown."""
CONTRACT_LIMIT = 40
"""Points in one fix contract; what is beyond it comes back in the next round."""

_LISTED = 20
"""Questions or blocking findings among the reasons; what is beyond them is counted."""

_WEIGHTS = {severity: weight for weight, severity in enumerate(Severity)}


@dataclass(frozen=True)
class Evidence:
    """All that is known about a change when it is judged.

    `base` are the same checks measured on the base commit. `round` counts from 1; `round_limit`
    is the last one allowed.
    """

    change: ChangeSet
    plan: Plan
    build: BuildReport
    findings: tuple[Finding, ...]
    verification: Verification
    base: Verification | None
    review: Review | None
    round: int
    round_limit: int
    reviewer_enabled: bool
    checks_configured: bool


class _Point(NamedTuple):
    """One thing to be fixed."""

    severity: Severity
    source: str
    text: str


def decide(evidence: Evidence) -> Verdict:
    """The first rule that applies, in the order of this function's lines.

    A REVISE in the last round becomes a HAND_OFF of class `request_changes` that keeps its
    contract. Every verdict carries what a reader must know first: unverified, not reviewed,
    failed before too, a claim that git does not bear out.
    """
    questions = _listed(tuple(_questions(evidence)))
    notes = tuple(_notes(evidence))
    blocking = _listed(tuple(_shown(found) for found in evidence.findings if found.blocking))
    if questions:
        reasons = (*questions, *blocking, *notes)
        return Verdict(VerdictKind.ASK, reasons, failure_class=FailureClass.QUESTION)
    if evidence.change.empty:
        return Verdict(VerdictKind.NO_CHANGE, ("the builder left no change", *notes))
    if blocking:
        rules = tuple(dict.fromkeys(found.rule for found in evidence.findings if found.blocking))
        kind, reasons = FailureClass.POLICY_BLOCK, (*blocking, *notes)
        return Verdict(VerdictKind.HAND_OFF, reasons, failure_class=kind, rules=rules)
    if reason := _why_not_decidable(evidence):
        kind, text = reason
        return Verdict(VerdictKind.HAND_OFF, (text, *notes), failure_class=kind)
    if points := _points(evidence):
        return _revise(evidence, points, notes)
    return Verdict(VerdictKind.PUBLISH, (*notes, *_proof(evidence)))


def failed_before(result: CheckResult, base: Verification | None) -> bool:
    """Whether exactly this check failed in the same way on the base commit."""
    before = _counterpart(result, base)
    return (
        before is not None
        and before.usable
        and before.outcome is result.outcome is CheckOutcome.FAILED
        and before.exit_code == result.exit_code
    )


# --- the rules --------------------------------------------------------------------------------


def _questions(evidence: Evidence) -> Iterator[str]:
    for question in evidence.build.questions:
        if shown := one_line(question, 1_000):
            yield f"the builder asks: {shown}"
    review = evidence.review
    if review is not None and review.decision is Decision.REQUEST_INFO:
        asked = [finding.message for finding in review.findings] or [review.summary]
        for text in asked:
            yield f"the reviewer asks: {one_line(text, 1_000) or 'no question was given'}"


def _listed(lines: tuple[str, ...]) -> tuple[str, ...]:
    more = len(lines) - _LISTED
    return (*lines[:_LISTED], f"and {more:,} more") if more > 0 else lines


def _why_not_decidable(evidence: Evidence) -> tuple[FailureClass, str] | None:
    """Why the evidence itself cannot carry a verdict."""
    verification, base = evidence.verification, evidence.base
    if evidence.checks_configured and not verification.results and not _points(evidence):
        return FailureClass.ENVIRONMENT, "checks are configured, and none was run on the change"
    if verification.results and verification.tree != evidence.change.tree:
        text = "the checks ran on another tree than the one that would be published"
        return FailureClass.TAMPERED, text
    for result in verification.results:
        before = _counterpart(result, base)
        if result.required and not result.usable and before is not None and not before.usable:
            text = f"the check '{result.name}' cannot be run here: {_ending(result)}"
            return FailureClass.ENVIRONMENT, text
    if evidence.reviewer_enabled and evidence.review is None and not _points(evidence):
        return FailureClass.CONTRACT_INVALID, "the reviewer gave no answer on this change"
    return None


def _points(evidence: Evidence) -> list[_Point]:
    points = [*_check_points(evidence), *_finding_points(evidence)]
    if evidence.review is not None:
        points += _criteria_points(evidence.plan, evidence.review)
        points += _review_points(evidence.review)
        if not points and evidence.review.decision is Decision.REQUEST_CHANGES:
            text = one_line(evidence.review.summary, 1_000) or "changes requested, none named"
            points.append(_Point(Severity.HIGH, "review", text))
    return sorted(points, key=lambda point: -_WEIGHTS[point.severity])


def _check_points(evidence: Evidence) -> Iterator[_Point]:
    results = evidence.verification.results
    for result in results:
        if not result.required or result.outcome is CheckOutcome.PASSED:
            continue
        source = f"check {one_line(result.name, 60)}"
        command = one_line(result.command, 300)
        if not result.usable:
            text = f"`{command}` cannot be run to its end on this change: {_ending(result)}"
            yield _Point(Severity.HIGH, source, text + _output(result))
        elif not failed_before(result, evidence.base):
            text = f"`{command}` failed: {_ending(result)}"
            yield _Point(Severity.HIGH, source, text + _output(result))
    measured = evidence.base.results if evidence.base else ()
    for before in measured:
        if before.required and _counterpart(before, evidence.verification) is None:
            text = f"`{one_line(before.command, 300)}` was not run on the change"
            yield _Point(Severity.HIGH, f"check {one_line(before.name, 60)}", text)


def _finding_points(evidence: Evidence) -> Iterator[_Point]:
    for finding in evidence.findings:
        if _WEIGHTS[finding.severity] >= _WEIGHTS[Severity.MEDIUM]:
            yield _Point(finding.severity, f"guardrail {finding.rule}", _shown(finding))


def _criteria_points(plan: Plan, review: Review) -> Iterator[_Point]:
    rows = Counter(row.id for row in review.criteria)
    for number, criterion in enumerate(plan.acceptance_criteria, 1):
        name = f"criterion {number}"
        wanted = one_line(criterion, 500)
        if rows[number] != 1:
            text = f"{wanted} (the review must answer it once and did {rows[number]} times)"
            yield _Point(Severity.HIGH, name, text)
    for row in review.criteria:
        if 1 <= row.id <= len(plan.acceptance_criteria) and not row.met:
            wanted = one_line(plan.acceptance_criteria[row.id - 1], 500)
            text = f"{wanted} (not met: {one_line(row.evidence, 1_000)})"
            yield _Point(Severity.HIGH, f"criterion {row.id}", text)


def _review_points(review: Review) -> Iterator[_Point]:
    """What the reviewer found: all of it when changes are requested, else only the heavy ones."""
    floor = Severity.LOW if review.decision is Decision.REQUEST_CHANGES else Severity.HIGH
    for finding in review.findings:
        if _WEIGHTS[finding.severity] >= _WEIGHTS[floor]:
            text = _place(finding.file, finding.line) + one_line(finding.message, 1_000)
            yield _Point(finding.severity, "review", text)


def _revise(evidence: Evidence, points: Sequence[_Point], notes: tuple[str, ...]) -> Verdict:
    contract = tuple(
        f"{number}. [{point.source}] {point.text}"
        for number, point in enumerate(points[:CONTRACT_LIMIT], 1)
    )
    sources = ", ".join(dict.fromkeys(point.source for point in points))
    reasons = (f"{len(points)} to mend: {one_line(sources, 300)}", *notes)
    verdict = Verdict(VerdictKind.REVISE, reasons, contract)
    if evidence.round < evidence.round_limit:
        return verdict
    stopped = f"stopped by review, not broken: round {evidence.round} was the last one allowed"
    return replace(
        verdict,
        kind=VerdictKind.HAND_OFF,
        reasons=(stopped, *reasons),
        failure_class=FailureClass.REQUEST_CHANGES,
    )


# --- what every verdict says --------------------------------------------------------------------


def _notes(evidence: Evidence) -> Iterator[str]:
    if not evidence.checks_configured:
        yield UNVERIFIED
    elif not any(result.required for result in evidence.verification.results):
        yield "unverified: no required check was run"
    if not evidence.reviewer_enabled:
        yield "not reviewed: no reviewer is enabled"
    for result in evidence.verification.results:
        if note := _check_note(result, evidence.base):
            yield note
    if evidence.verification.changed_by_checks:
        paths = one_line(", ".join(evidence.verification.changed_by_checks), 300)
        yield f"the checks changed files, which were put back: {paths}"
    claimed = {path.removeprefix("./") for path in evidence.build.changed_files}
    if ghosts := sorted(claimed - set(evidence.change.paths)):
        paths = one_line(", ".join(ghosts), 300)
        yield f"claim_mismatch: the builder says it changed {paths}; git does not show that"


def _check_note(result: CheckResult, base: Verification | None) -> str:
    name = one_line(result.name, 60)
    if failed_before(result, base):
        return f"'{name}' failed before too, with the same exit code: not verified"
    if result.outcome is not CheckOutcome.PASSED and not result.required:
        return f"'{name}' failed and is not required: {_ending(result)}"
    return ""


def _proof(evidence: Evidence) -> Iterator[str]:
    passed = [
        one_line(result.name, 60)
        for result in evidence.verification.results
        if result.required and result.outcome is CheckOutcome.PASSED
    ]
    if passed:
        yield f"passed: {', '.join(passed)}"
    if evidence.review is not None:
        count = len(evidence.plan.acceptance_criteria)
        yield f"approved by the reviewer, {count} of {count} criteria met"


def _counterpart(result: CheckResult, other: Verification | None) -> CheckResult | None:
    results = other.results if other else ()
    same = (each for each in results if (each.name, each.command) == (result.name, result.command))
    return next(same, None)


def _ending(result: CheckResult) -> str:
    if result.outcome is CheckOutcome.TIMED_OUT:
        return f"timed out after {result.seconds:.0f} s"
    if result.outcome is CheckOutcome.NOT_STARTED:
        return "could not be started"
    return f"exit {result.exit_code}"


def _output(result: CheckResult) -> str:
    output = tail(result.tail, TAIL_LIMIT)
    return "".join(f"\n   {line}" for line in output.split("\n")) if output else ""


def _shown(finding: Finding) -> str:
    return _place(finding.file, finding.line) + one_line(finding.message, 1_000)


def _place(file: str, line: int) -> str:
    name = one_line(file, 300)
    if not name:
        return ""
    return f"{name}:{line}: " if line else f"{name}: "
