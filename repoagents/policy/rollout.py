"""Whether the next phase is justified: recorded figures in, a row per criterion out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from repoagents.domain.change import TakenBack
from repoagents.domain.check import Check
from repoagents.domain.reports import CheckOutcome, Verdict, Verification
from repoagents.domain.rollout import Phase, Soak
from repoagents.domain.run import FailureClass, RunStatus
from repoagents.policy.verdict import failed_before
from repoagents.policy.wording import age, one_line

LEAST_RUNS, LEAST_DRY_RUNS = 3, 1
MOST_FALSE_CLAIMS, MOST_BLOCKED, MOST_OVERRIDDEN = 0.25, 0.25, 0.25
LEAST_PASSED, LEAST_RECOVERED = 0.70, 0.70
SOAK_HOLDS, LEAST_SOAK = timedelta(days=14), timedelta(minutes=5)
WINDOW = timedelta(days=30)
"""How far back runs count, and how many of the newest of them."""
MOST_RUNS = 50

FINISHED = (
    RunStatus.COMPLETED,
    RunStatus.AWAITING_APPROVAL,
    RunStatus.NO_CHANGE,
    RunStatus.BLOCKED,
    RunStatus.FAILED,
)
"""How a run ends by what the bot did: not called off by a person, not replaced by a newer run."""

WELL = (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL, RunStatus.NO_CHANGE)


@dataclass(frozen=True)
class Share:
    """A part of a whole, both counted."""

    part: int = 0
    whole: int = 0

    @property
    def rate(self) -> float | None:
        """The quotient; None of nothing."""
        return self.part / self.whole if self.whole else None

    def __str__(self) -> str:
        return f"{self.part} of {self.whole}"


@dataclass(frozen=True)
class Kpis:
    """What the runs of the window came to.

    `false_claims` counts the builder's answers that git or the checks refuted, `passed_reviews` the
    reviewed runs whose last review approved, `blocked` the finished runs that stopped for a person,
    `recovered` the runs that ended well after a failed attempt among all with one, `overridden` the
    finished runs whose result a person turned down, or reverted. `dry_runs` counts stored plans.
    `unreadable` are the ids of runs of which another version wrote something, which counts nowhere.
    """

    finished: int = 0
    succeeded: int = 0
    dry_runs: int = 0
    false_claims: Share = field(default_factory=Share)
    passed_reviews: Share = field(default_factory=Share)
    blocked: Share = field(default_factory=Share)
    recovered: Share = field(default_factory=Share)
    overridden: Share = field(default_factory=Share)
    unreadable: tuple[str, ...] = ()


class State(StrEnum):
    """How a row stands."""

    MET = "met"
    MISSING = "missing"
    PERSON = "for a person"
    """Only a person can say; it never keeps the phase from being justified."""


@dataclass(frozen=True)
class Row:
    """One criterion: what was found, what is wanted, and what to type or open."""

    key: str
    state: State
    found: str
    wanted: str
    command: str = ""


@dataclass(frozen=True)
class Evidence:
    """All that is known when the next phase is judged.

    `phase` is the one in force, None for a mixture of flags. `rehearsed` is whether an engine in
    use calls no model, `reviewer` whether one is enabled, `dashboard` whether the page was written,
    `newest` the number of the issue that was worked on last. `values` are settings for a person to
    weigh.
    """

    now: datetime
    version: str
    phase: Phase | None
    kpis: Kpis
    soak: Soak | None = None
    checks: Sequence[Check] = ()
    rehearsed: bool = False
    reviewer: bool = True
    dashboard: bool = False
    newest: int | None = None
    values: str = ""


@dataclass(frozen=True)
class Assessment:
    """The phase in force, the one after it, and whether that is justified, row by row."""

    phase: Phase | None
    criteria: tuple[Row, ...]
    checklist: tuple[Row, ...]

    @property
    def next(self) -> Phase | None:
        """The phase that is judged; None where nothing is left to open, or the flags are mixed."""
        return self.phase.next if self.phase else None

    @property
    def missing(self) -> tuple[Row, ...]:
        """What keeps the next phase from being justified."""
        rows = (*self.criteria, *self.checklist)
        return tuple(row for row in rows if row.state is State.MISSING)

    @property
    def justified(self) -> bool:
        """Whether there is a next phase and nothing is missing for it."""
        return self.next is not None and not self.missing


def assess(evidence: Evidence) -> Assessment:
    """Every criterion and every line of the checklist, met or not."""
    return Assessment(evidence.phase, tuple(_criteria(evidence)), tuple(_checklist(evidence)))


def is_refuted(
    claimed: Sequence[str],
    changed: Sequence[str],
    proof: Verification | None,
    base: Verification | None,
) -> bool:
    """Whether a builder's answer said more than is so.

    It names a file that git does not show as changed, or ended although a required check fails on
    its change that did not fail so on the base.
    """
    if {path.removeprefix("./") for path in claimed} - set(changed):
        return True
    results = proof.results if proof else ()
    return any(
        result.required
        and result.outcome is not CheckOutcome.PASSED
        and not failed_before(result, base)
        for result in results
    )


def is_taken_back(head: str, pull: str, reverted: Iterable[TakenBack]) -> bool:
    """Whether a merged change was reverted.

    `head` is the commit that was merged, `pull` the number of its pull request: of a squashed one
    GitHub's subject line is all that names it.
    """
    named = re.compile(rf"\(#{pull}\)$|^Merge pull request #{pull} ") if pull else None
    return any(
        head in (one.commit, *one.parents[1:]) or bool(named and named.search(one.subject))
        for one in reverted
    )


def why_step_back(kind: FailureClass, verdict: Verdict | None = None) -> str | None:
    """The critical finding that an ended attempt stands for, in words, or None.

    Critical is what shows that somebody works against the bot: its own clone was changed, the tree
    that was proved is not the one to publish, a secret of this machine stands in the change.
    """
    if kind is FailureClass.TAMPERED:
        return "an agent changed what the bot trusts"
    if kind is FailureClass.POLICY_BLOCK and verdict is not None and "secret" in verdict.rules:
        return "a change held a secret"
    return None


# --- the criteria -------------------------------------------------------------------------------


def _criteria(evidence: Evidence) -> Iterator[Row]:
    kpis = evidence.kpis
    yield _row(
        "finished runs",
        kpis.finished >= LEAST_RUNS,
        f"{kpis.finished}{_in_part(kpis.unreadable)}",
        f"at least {LEAST_RUNS}",
        "repoagents trigger N",
    )
    yield _row(
        "dry runs",
        kpis.dry_runs >= LEAST_DRY_RUNS,
        f"{kpis.dry_runs}",
        f"at least {LEAST_DRY_RUNS}",
        DRY_RUN,
    )
    yield _row(
        "model",
        not evidence.rehearsed,
        "an engine of the rehearsal" if evidence.rehearsed else "called",
        "runs by a model, not by the rehearsal",
        "repoagents config show",
    )
    yield _most("false-done claims", kpis.false_claims, MOST_FALSE_CLAIMS, "answers")
    if evidence.reviewer:
        yield _least("review pass rate", kpis.passed_reviews, LEAST_PASSED, "reviewed runs")
    yield _most("blocked rate", kpis.blocked, MOST_BLOCKED, "finished runs")
    yield _recovery(kpis.recovered)
    yield _most("human overrides", kpis.overridden, MOST_OVERRIDDEN, "finished runs")
    yield _soak(evidence)


def _in_part(unreadable: Sequence[str]) -> str:
    """Which of the runs cannot be read in full, so that no figure is taken for the whole."""
    if not unreadable:
        return ""
    more = f" and {len(unreadable) - 3} more" if len(unreadable) > 3 else ""
    return f" (counted in part, for another version wrote them: {', '.join(unreadable[:3])}{more})"


def _most(key: str, share: Share, most: float, what: str) -> Row:
    rate = share.rate
    met = rate is not None and rate <= most
    return _row(key, met, f"{share} {what}", f"at most {most:.2f} of them", "repoagents status")


def _least(key: str, share: Share, least: float, what: str) -> Row:
    rate = share.rate
    met = rate is not None and rate >= least
    return _row(key, met, f"{share} {what}", f"at least {least:.2f} of them", "repoagents status")


def _recovery(share: Share) -> Row:
    wanted = f"at least {LEAST_RECOVERED:.2f} of the runs with a failed attempt"
    if share.rate is None:
        return Row("recovery rate", State.MET, "no run had a failed attempt", wanted)
    return _least("recovery rate", share, LEAST_RECOVERED, "runs with a failed attempt")


def _soak(evidence: Evidence) -> Row:
    soak, wanted = evidence.soak, WANTED_SOAK
    if soak is None:
        return _row("soak", False, "none yet", wanted, SOAK)
    since, lasted = evidence.now - soak.at, timedelta(seconds=soak.seconds)
    ended = "passed" if soak.passed else "failed"
    dated = (
        f"{age(since)} ago" if since >= timedelta(0) else f"in the future, {soak.at.isoformat()},"
    )
    found = f"{ended} {dated} with {soak.version} after {age(lasted)}"
    if soak.problems:
        found += f": {one_line(soak.problems[0], 120)}"
    timely = timedelta(0) <= since <= SOAK_HOLDS and lasted >= LEAST_SOAK
    met = soak.passed and soak.version == evidence.version and timely
    return _row("soak", met, found, wanted, SOAK)


DRY_RUN = "repoagents trigger N --dry-run"
SOAK = "repoagents rollout soak"
WANTED_SOAK = f"{age(LEAST_SOAK)} or more, passed with this version within {age(SOAK_HOLDS)}"


# --- the checklist of the walkthrough -----------------------------------------------------------


def _checklist(evidence: Evidence) -> Iterator[Row]:
    kpis, issue = evidence.kpis, evidence.newest or "N"
    errors = [check.name for check in evidence.checks if check.status == "error"]
    warned = [check.name for check in evidence.checks if check.status == "warn"]
    look = f"to understand first: {', '.join(dict.fromkeys(warned))}" if warned else "clean"
    found = f"in error: {', '.join(dict.fromkeys(errors))}" if errors else look
    yield _row("doctor is clean", not errors, found, "no error", "repoagents doctor")
    yield _row(
        "a dry run and a run succeeded",
        bool(kpis.dry_runs and kpis.succeeded),
        f"{kpis.dry_runs} dry, {kpis.succeeded} real",
        "at least one of each",
        "repoagents trigger N" if kpis.dry_runs else DRY_RUN,
    )
    yield Row(
        "artifacts and logs can be read",
        State.PERSON,
        "open them once",
        "whoever operates the bot finds and understands them",
        f"repoagents logs {issue}",
    )
    yield _row(
        "the dashboard renders",
        evidence.dashboard,
        "written" if evidence.dashboard else "never written",
        "the page is there",
        "repoagents dashboard",
    )
    yield Row(
        "policies and flags fit the repository's risk",
        State.PERSON,
        evidence.values,
        "dirty_policy, merge_policy and the safety flags are meant so",
        "repoagents config show",
    )
    yield Row(
        "who decides on request_changes is clear",
        State.PERSON,
        "such a run is blocked and waits",
        "somebody edits the issue, retries with a note, takes the patch or cancels",
        f"repoagents status --issue {issue}",
    )


def _row(key: str, met: bool, found: str, wanted: str, command: str) -> Row:  # noqa: FBT001
    return Row(key, State.MET if met else State.MISSING, found, wanted, "" if met else command)
