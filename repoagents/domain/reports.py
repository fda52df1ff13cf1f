"""What roles and checks report, what is found in a change, and the verdict over all of it."""

from dataclasses import dataclass
from enum import StrEnum
from math import isnan

MOST_COST = 1e12
"""More than any calls can cost, in any currency."""


class Role(StrEnum):
    """The three roles, in their fixed order."""

    PLANNER = "planner"
    BUILDER = "builder"
    REVIEWER = "reviewer"


@dataclass(frozen=True)
class Plan:
    """The planner's answer. Criteria are numbered from 1 in the order given."""

    summary: str
    plan_steps: tuple[str, ...]
    likely_files: tuple[str, ...]
    acceptance_criteria: tuple[str, ...]
    risks: tuple[str, ...] = ()
    risk_level: str = "low"
    difficulty: str = "easy"
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildReport:
    """The builder's answer; `changed_files` is a claim, checked against git."""

    summary: str
    changed_files: tuple[str, ...] = ()
    test_actions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class CriterionRow:
    """The reviewer's word on one acceptance criterion of the plan."""

    id: int
    met: bool
    evidence: str


class Severity(StrEnum):
    """How much a finding weighs: a blocking one never reaches publication."""

    NOTE = "note"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class ReviewFinding:
    """One thing the reviewer found; `line` is 0 when it concerns the whole file."""

    severity: Severity
    file: str
    line: int
    message: str


class Decision(StrEnum):
    """The reviewer's word; the verdict is code's."""

    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REQUEST_INFO = "request_info"


@dataclass(frozen=True)
class Review:
    """The reviewer's answer: a row per acceptance criterion, and findings."""

    decision: Decision
    criteria: tuple[CriterionRow, ...]
    findings: tuple[ReviewFinding, ...] = ()
    risk_level: str = "low"
    summary: str = ""


class CheckOutcome(StrEnum):
    """How a verify command ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    NOT_STARTED = "not_started"


@dataclass(frozen=True)
class CheckResult:
    """Evidence of one verify command, run by us.

    `seconds` is wall time, `tail` the end of the redacted output, `output_sha256` the hash of the
    whole redacted output, `log` the artifact's file name.
    """

    name: str
    kind: str
    command: str
    required: bool
    outcome: CheckOutcome
    exit_code: int | None
    seconds: float
    tail: str
    output_sha256: str
    log: str = ""

    @property
    def usable(self) -> bool:
        """Whether the command could be run at all: 126, 127 and a timeout say no."""
        started = self.outcome not in (CheckOutcome.NOT_STARTED, CheckOutcome.TIMED_OUT)
        return started and self.exit_code not in (126, 127)


@dataclass(frozen=True)
class Verification:
    """All check results over one tree; without any required check the change is unverified."""

    tree: str
    results: tuple[CheckResult, ...] = ()
    changed_by_checks: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether at least one required check ran and all required ones passed."""
        required = [result for result in self.results if result.required]
        return bool(required) and all(r.outcome is CheckOutcome.PASSED for r in required)


@dataclass(frozen=True)
class Finding:
    """Something a guardrail saw in the real change; `rule` is a stable word for it."""

    rule: str
    severity: Severity
    message: str
    file: str = ""
    line: int = 0

    @property
    def blocking(self) -> bool:
        """Whether a person must decide: no fix round can talk it away."""
        return self.severity is Severity.CRITICAL


class VerdictKind(StrEnum):
    """What happens to the change next."""

    PUBLISH = "publish"
    REVISE = "revise"
    ASK = "ask"
    HAND_OFF = "hand_off"
    NO_CHANGE = "no_change"


@dataclass(frozen=True)
class Verdict:
    """Decided by code: what happens next, why, and for REVISE the numbered fix contract.

    `rules` are those that a blocking finding broke.
    """

    kind: VerdictKind
    reasons: tuple[str, ...]
    contract: tuple[str, ...] = ()
    failure_class: str = ""
    rules: tuple[str, ...] = ()

    @property
    def points(self) -> tuple[str, ...]:
        """What the contract asks for, a line each, without numbers and output of checks."""
        return tuple(
            point.partition("\n")[0].removeprefix(f"{number}. ")
            for number, point in enumerate(self.contract, 1)
        )


@dataclass(frozen=True)
class Usage:
    """What calls cost; tokens are input plus output, cost is None when the engine names none.

    A cost that is no number is unknown, too; others are taken as from 0 to `MOST_COST`, so that
    every sum of them is finite and counts against the limits.
    """

    calls: int = 0
    tokens: int = 0
    cost: float | None = None

    def __post_init__(self) -> None:
        """Bring the cost into its bounds."""
        if self.cost is not None:
            within = None if isnan(self.cost) else min(max(self.cost, 0.0), MOST_COST)
            object.__setattr__(self, "cost", within)

    def __add__(self, other: "Usage") -> "Usage":
        """Sum of both; an unknown cost stays unknown only when both are."""
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.calls + other.calls, self.tokens + other.tokens, sum(costs) if costs else None
        )
