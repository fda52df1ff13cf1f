"""A run: one issue at one text, from queued to a terminal status, and why it failed if it did."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands; the legal moves are in `MOVES`."""

    QUEUED = "queued"
    """Accepted, waits for a free slot."""
    IN_PROGRESS = "in_progress"
    """An attempt is under way."""
    RETRY_PENDING = "retry_pending"
    """Waits for its next attempt: after a failure, or until what blocks the host is fixed."""
    AWAITING_APPROVAL = "awaiting_approval"
    """Proven and published; a person decides on the merge."""
    BLOCKED = "blocked"
    """Needs a person: a question, a review that did not pass, an environment, a limit."""
    COMPLETED = "completed"
    """Proven; what the flags allow has been published."""
    NO_CHANGE = "no_change"
    """The builder ended without a change."""
    FAILED = "failed"
    """Out of attempts; stays so until a person retries or the issue's text changes."""
    CANCELLED = "cancelled"
    """Stopped by a person; the work is kept."""
    SUPERSEDED = "superseded"
    """A newer run of the same issue took its place."""

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens without a person or a new text."""
        return self not in (
            RunStatus.QUEUED,
            RunStatus.IN_PROGRESS,
            RunStatus.RETRY_PENDING,
            RunStatus.AWAITING_APPROVAL,
        )

    @property
    def retryable(self) -> bool:
        """Whether `retry N` applies."""
        return self in (
            RunStatus.FAILED,
            RunStatus.RETRY_PENDING,
            RunStatus.BLOCKED,
            RunStatus.CANCELLED,
            RunStatus.NO_CHANGE,
        )


AT_WORK = (RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.RETRY_PENDING)
"""The statuses of runs that are worked on, or will be, without a person."""

PROVEN = (RunStatus.AWAITING_APPROVAL, RunStatus.COMPLETED)
"""The statuses of runs whose change is proven, and published as far as the flags allow."""

_S = RunStatus
MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    _S.QUEUED: frozenset({_S.IN_PROGRESS, _S.CANCELLED, _S.SUPERSEDED, _S.FAILED}),
    _S.IN_PROGRESS: frozenset(
        {
            _S.QUEUED,
            _S.RETRY_PENDING,
            _S.AWAITING_APPROVAL,
            _S.BLOCKED,
            _S.COMPLETED,
            _S.NO_CHANGE,
            _S.FAILED,
            _S.CANCELLED,
        }
    ),
    _S.RETRY_PENDING: frozenset({_S.QUEUED, _S.IN_PROGRESS, _S.CANCELLED, _S.SUPERSEDED}),
    _S.AWAITING_APPROVAL: frozenset(
        {_S.QUEUED, _S.COMPLETED, _S.BLOCKED, _S.CANCELLED, _S.SUPERSEDED}
    ),
    _S.BLOCKED: frozenset({_S.QUEUED, _S.CANCELLED, _S.SUPERSEDED}),
    _S.COMPLETED: frozenset({_S.QUEUED, _S.SUPERSEDED}),
    _S.NO_CHANGE: frozenset({_S.QUEUED, _S.SUPERSEDED}),
    _S.FAILED: frozenset({_S.QUEUED, _S.SUPERSEDED}),
    _S.CANCELLED: frozenset({_S.QUEUED, _S.SUPERSEDED}),
    _S.SUPERSEDED: frozenset(),
}
"""Every legal move; the README draws this table and a test compares the two."""


class FailureClass(StrEnum):
    """Why an attempt ended without a result. `policy.retry` says what follows from each."""

    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    ENGINE_MISSING = "engine_missing"
    AUTH = "auth"
    INVALID_ARGS = "invalid_args"
    PROVIDER_LIMIT = "provider_limit"
    NETWORK = "network"
    ENGINE_CRASH = "engine_crash"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_HARD = "timeout_hard"
    CONTRACT_INVALID = "contract_invalid"
    REVIEWER_WROTE = "reviewer_wrote"
    TAMPERED = "tampered"
    ENVIRONMENT = "environment"
    REQUEST_CHANGES = "request_changes"
    QUESTION = "question"
    POLICY_BLOCK = "policy_block"
    PULL_REQUEST = "pull_request"
    BUDGET = "budget"
    INFRA = "infra"
    CRASH_LOOP = "crash_loop"


@dataclass(frozen=True)
class Failure:
    """Why an attempt or a run stopped: its class, what happened, and what a person can do."""

    kind: FailureClass
    message: str
    next_step: str = ""


class Stage(StrEnum):
    """The stages of an attempt, in order; build to verdict repeat per fix round."""

    PREPARE = "prepare"
    BASE_CHECK = "base_check"
    PLAN = "plan"
    BUILD = "build"
    VERIFY = "verify"
    REVIEW = "review"
    VERDICT = "verdict"
    PUBLISH = "publish"


FIX_ROUNDS = 3
"""How often a fix contract goes back to the builder before a person is asked."""


class IllegalMove(ValueError):
    """A status change that `MOVES` does not list: a bug of ours, never an operator's mistake."""


@dataclass(frozen=True)
class Run:
    """One issue at one fingerprint.

    `attempt` counts attempts begun, `failures` those that spent a retry. `round` is the current
    build round (1 is the first), `round_limit` the last one allowed. `generation` counts how often
    a person sent the run back to work; it makes the durable workflow's id unique. `resumes` counts
    restarts after the worker died, so that a run that kills its worker ends. `asked_by` is the
    login of whose label or command asked for it; empty for the operator's own. All instants are
    aware UTC datetimes.
    """

    id: str
    issue_number: int
    title: str
    fingerprint: str
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    attempt: int = 0
    failures: int = 0
    resumes: int = 0
    generation: int = 0
    round: int = 1
    round_limit: int = 1 + FIX_ROUNDS
    stage: Stage | None = None
    stage_started_at: datetime | None = None
    last_event: str = ""
    base_sha: str = ""
    head_sha: str = ""
    diff_hash: str = ""
    branch: str = ""
    verified: bool = False
    note: str = ""
    asked_by: str = ""
    failure: Failure | None = None
    next_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def tags(self) -> dict[str, str | int]:
        """What names the run in a line of the log."""
        return {"run": self.id, "issue": self.issue_number}

    def _move(self, status: RunStatus, now: datetime, failure: Failure | None = None) -> "Run":
        if status not in MOVES[self.status]:
            raise IllegalMove(f"run {self.id}: {self.status} -> {status} is not a legal move")
        return replace(
            self,
            status=status,
            updated_at=now,
            failure=failure,
            next_at=None,
            finished_at=now if status.terminal else None,
        )

    def start(self, now: datetime) -> "Run":
        """The next attempt begins."""
        begun = self._move(RunStatus.IN_PROGRESS, now)
        return replace(begun, attempt=self.attempt + 1, started_at=self.started_at or now)

    def resume(self, now: datetime) -> "Run":
        """The interrupted attempt goes on."""
        return self._move(RunStatus.IN_PROGRESS, now)

    def on_base(self, sha: str, now: datetime) -> "Run":
        """The commit that the work starts from is known."""
        return replace(self, base_sha=sha, updated_at=now)

    def in_round(self, number: int, now: datetime) -> "Run":
        """The fix contract goes back to the builder for this round."""
        return replace(self, round=number, updated_at=now)

    def carried_by(self, head_sha: str, diff_hash: str, branch: str, now: datetime) -> "Run":
        """The commit that carries the change is built."""
        return replace(self, head_sha=head_sha, diff_hash=diff_hash, branch=branch, updated_at=now)

    def proven(self, verified: bool, now: datetime) -> "Run":  # noqa: FBT001 - the value itself
        """Whether the project's own checks proved the change."""
        return replace(self, verified=verified, updated_at=now)

    def park(self, failure: Failure, now: datetime, *, crashed: bool = False) -> "Run":
        """The worker stops in mid-attempt; the next worker resumes at the interrupted stage."""
        parked = self._move(RunStatus.QUEUED, now, failure)
        return replace(parked, resumes=self.resumes + int(crashed))

    def wait_for_retry(
        self, failure: Failure, at: datetime, now: datetime, *, spent: bool
    ) -> "Run":
        """Wait until `at`; `spent` says whether this failure counts against the retry limit."""
        waiting = self._move(RunStatus.RETRY_PENDING, now, failure)
        return replace(waiting, next_at=at, failures=self.failures + int(spent))

    def wait_longer(self, at: datetime, now: datetime) -> "Run":
        """What the run waits for has not come: go on waiting, for the same reason."""
        return replace(self, next_at=at, updated_at=now)

    def hurry(self, now: datetime) -> "Run":
        """A person wants the next attempt now."""
        return replace(self, next_at=now, updated_at=now)

    def await_approval(self, now: datetime) -> "Run":
        """Published; a person decides on the merge."""
        return self._move(RunStatus.AWAITING_APPROVAL, now)

    def block(self, failure: Failure, now: datetime) -> "Run":
        """Stop until a person acts."""
        return self._move(RunStatus.BLOCKED, now, failure)

    def complete(self, now: datetime) -> "Run":
        """Proven, and published as far as the flags allow."""
        return self._move(RunStatus.COMPLETED, now)

    def end_without_change(self, now: datetime) -> "Run":
        """The builder left nothing to publish."""
        return self._move(RunStatus.NO_CHANGE, now)

    def fail(self, failure: Failure, now: datetime) -> "Run":
        """Out of attempts."""
        return self._move(RunStatus.FAILED, now, failure)

    def cancel(self, now: datetime, by: str = "") -> "Run":
        """Stopped by a person; the work is kept."""
        return self.call_off(f"cancelled by {by}" if by else "cancelled", now)

    def call_off(self, reason: str, now: datetime) -> "Run":
        """Stopped for this reason, which lies in the issue; the work is kept."""
        return self._move(RunStatus.CANCELLED, now, Failure(FailureClass.CANCELLED, reason))

    def supersede(self, now: datetime) -> "Run":
        """A newer run of the same issue takes its place."""
        return self._move(RunStatus.SUPERSEDED, now)

    def requeue(self, now: datetime, note: str = "") -> "Run":
        """A person sends the run back to work; the budget of attempts and rounds starts anew.

        What a review stopped, or what was published already, goes on with the next round.
        """
        queued = self._move(RunStatus.QUEUED, now)
        stopped_by_review = (
            self.failure is not None and self.failure.kind is FailureClass.REQUEST_CHANGES
        )
        first = self.round + 1 if stopped_by_review or self.status in PROVEN else self.round
        return replace(
            queued,
            failures=0,
            resumes=0,
            generation=self.generation + 1,
            round=first,
            round_limit=first + FIX_ROUNDS,
            note=note or self.note,
        )
