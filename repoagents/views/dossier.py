"""All that is known about a run, and what follows from it, for every form of the handoff."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from repoagents.domain.change import ChangeSet
from repoagents.domain.issue import Issue
from repoagents.domain.reports import (
    BuildReport,
    CheckOutcome,
    CheckResult,
    Finding,
    Plan,
    Review,
    Severity,
    Usage,
    Verdict,
    Verification,
)
from repoagents.domain.run import Run, Stage
from repoagents.policy.verdict import failed_before
from repoagents.policy.wording import one_line
from repoagents.views.preview import RoleEngine
from repoagents.views.snapshot import EffectRow
from repoagents.views.words import minute, spoken


@dataclass(frozen=True)
class Criterion:
    """An acceptance criterion of the plan with the reviewer's word; `met` is None without one."""

    number: int
    text: str
    met: bool | None
    evidence: str


@dataclass(frozen=True)
class Found:
    """A finding of a guardrail or of the reviewer; `place` is a file, with its line if known."""

    severity: Severity
    source: str
    place: str
    message: str


@dataclass(frozen=True)
class Proof:
    """A check on the change: in words how it ended there, what to know of that, and the base."""

    result: CheckResult
    ended: str
    remark: str
    on_base: str

    @property
    def passed(self) -> bool:
        """Whether the check passed on the change."""
        return self.result.outcome is CheckOutcome.PASSED


@dataclass(frozen=True)
class Share:
    """What one stage took: seconds of each of its rounds, and what its calls cost."""

    stage: Stage
    seconds: tuple[float, ...]
    usage: Usage


@dataclass(frozen=True)
class Handoff:
    """All that is known about a run when it stops; None and empty where it did not come so far.

    `timings` are stage, round and seconds; `spent` is what the calls of each stage cost.
    `patch_path` is where `changes.patch` lies, as a person in the repository types it, and `patch`
    its text, redacted. `files` are the names of what is kept beside the handoff and may leave the
    machine. `fixture` says, when it is not empty, that the issue was made up. `unreadable` names
    the stages, or `issue`, that another version wrote.
    """

    run: Run
    issue: Issue
    plan: Plan | None = None
    change: ChangeSet | None = None
    build: BuildReport | None = None
    findings: tuple[Finding, ...] = ()
    verification: Verification | None = None
    base_verification: Verification | None = None
    review: Review | None = None
    verdict: Verdict | None = None
    effects: tuple[EffectRow, ...] = ()
    timings: tuple[tuple[Stage, int, float], ...] = ()
    usage: Usage = field(default_factory=Usage)
    spent: tuple[tuple[Stage, Usage], ...] = ()
    engines: tuple[RoleEngine, ...] = ()
    patch_path: str = ""
    patch: str = ""
    files: tuple[str, ...] = ()
    fixture: str = ""
    unreadable: tuple[str, ...] = ()

    @property
    def gap(self) -> str:
        """What is missing here because another version wrote it; empty when nothing is."""
        if not self.unreadable:
            return ""
        names = ", ".join(map(spoken, self.unreadable))
        again = f"`repoagents retry {self.run.issue_number} --fresh` begins the issue anew"
        return (
            f"Not everything is told: another version of repoagents wrote what run {self.run.id} "
            f"kept of {names}, and this one cannot read it. {again}."
        )

    @property
    def rehearsal(self) -> str:
        """What was not real about the run, as a sentence; empty when all was."""
        rehearsed = [each.role.value for each in self.engines if each.rehearsal]
        called = "no model was called"
        if len(rehearsed) < len(self.engines):
            called += f" for {', '.join(rehearsed)}"
        if self.fixture:
            return f"{self.fixture.rstrip('.')}; {called}." if rehearsed else self.fixture
        return f"Rehearsal: {called}." if rehearsed else ""

    @property
    def when(self) -> str:
        """When the next attempt begins, as a sentence; empty when none will by itself."""
        at = self.run.next_at
        return f"The next attempt begins by itself, not before {minute(at)}." if at else ""

    @property
    def statistics(self) -> str:
        """The size of the change, and whether it is proven; empty before there was one."""
        change = self.change
        if change is None:
            return ""
        if change.empty:
            return "Nothing differs from the base."
        added = sum(file.added or 0 for file in change.files)
        deleted = sum(file.deleted or 0 for file in change.files)
        files = "1 file" if len(change.files) == 1 else f"{len(change.files)} files"
        return f"{files}, +{added} -{deleted} lines"

    @property
    def proven(self) -> bool:
        """Whether the project's checks passed on the change."""
        return self.run.verified or bool(self.verification and self.verification.verified)

    @property
    def taking(self) -> str:
        """The command that takes the change as it is; empty without one, or once it is merged."""
        merged = any(name == "merge" and state == "done" for name, state, *_ in self.effects)
        if merged or not self.patch_path or self.change is None or self.change.empty:
            return ""
        return f"git apply {self.patch_path}"

    @property
    def questions(self) -> tuple[str, ...]:
        """What the planner and the builder could not know."""
        planned = self.plan.questions if self.plan else ()
        return planned + (self.build.questions if self.build else ())

    def criteria(self) -> Iterator[Criterion]:
        """The plan's acceptance criteria; one that the reviewer answered twice is not answered."""
        answers = self.review.criteria if self.review else ()
        for number, text in enumerate(self.plan.acceptance_criteria if self.plan else (), 1):
            found = [row for row in answers if row.id == number]
            met = found[0].met if len(found) == 1 else None
            yield Criterion(number, text, met, "; ".join(row.evidence for row in found))

    def found(self) -> tuple[Found, ...]:
        """What guardrails and the reviewer found, the worst first."""
        rows = [
            Found(
                seen.severity, f"guardrail {seen.rule}", _place(seen.file, seen.line), seen.message
            )
            for seen in self.findings
        ]
        rows += [
            Found(seen.severity, "review", _place(seen.file, seen.line), seen.message)
            for seen in (self.review.findings if self.review else ())
        ]
        weights = list(Severity)
        return tuple(sorted(rows, key=lambda row: -weights.index(row.severity)))

    def proofs(self) -> Iterator[Proof]:
        """The checks that were run on the change; none when there is no change."""
        base, verification = self.base_verification, self.verification
        if self.change is None or self.change.empty or verification is None:
            return
        for result in verification.results:
            remark = ", failed before too" if failed_before(result, base) else ""
            remark += "" if result.required else " (not required)"
            before = (
                next((b for b in base.results if b.name == result.name), None) if base else None
            )
            on_base = spoken(before.outcome.value) if before else "not measured"
            yield Proof(result, spoken(result.outcome.value), remark, on_base)

    @property
    def contract(self) -> tuple[str, ...]:
        """What would have to be fixed, without the output that stands with the checks."""
        return self.verdict.points if self.verdict else ()

    def shares(self) -> Iterator[Share]:
        """Time and cost by stage, in the order in which the stages follow each other."""
        usages = dict(self.spent)
        timed = sorted(self.timings, key=lambda row: (list(Stage).index(row[0]), row[1]))
        seconds = {
            stage: tuple(row[2] for row in rows)
            for stage, rows in groupby(timed, lambda row: row[0])
        }
        for stage in Stage:
            if stage in seconds or stage in usages:
                yield Share(stage, seconds.get(stage, ()), usages.get(stage, Usage()))


def _place(file: str, line: int) -> str:
    return f"{one_line(file)}:{line}" if file and line else file
