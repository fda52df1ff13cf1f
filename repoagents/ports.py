"""What the pipeline asks of the world: one Protocol per door, and the values that pass through.

Synchronous ports are called in a worker thread; only `Agents.ask`, `Checks` and `Steps` are async.
An adapter translates: it neither decides nor retries, and raises a `RepoAgentsError`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from repoagents.domain.change import Base, ChangeSet
from repoagents.domain.effect import Effect, Receipt
from repoagents.domain.issue import Issue
from repoagents.domain.reports import (
    BuildReport,
    CheckResult,
    Plan,
    Review,
    Role,
    Usage,
    Verification,
)
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.domain.settings import EngineChoice, Settings, VerifySettings

T = TypeVar("T")
P = ParamSpec("P")


class Clock(Protocol):
    """Time and chance: the only source of both."""

    def now(self) -> datetime:
        """The instant, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def token(self, size: int) -> str:
        """`size` random hexadecimal characters."""

    def fraction(self) -> float:
        """A random number in [0, 1), for jitter."""


# --- issues ---------------------------------------------------------------------------------


class Tracker(Protocol):
    """Where issues come from and where comments and pull requests go."""

    def read_issues(self) -> tuple[Issue, ...]:
        """Every open issue; all or an error, never a part."""

    def read_issue(self, number: int) -> Issue | None:
        """One issue, open or closed; None when there is none of that number."""

    def find(self, effect: Effect) -> str | None:
        """Where this effect already stands, or None: asked before it is performed."""

    def perform(self, effect: Effect) -> str:
        """Do it; returns where it can be seen."""


# --- git ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Worktree:
    """A run's own worktree: `path` is where agents work, absolute and free of symlinks."""

    issue_number: int
    run_id: str
    path: Path


@dataclass(frozen=True)
class CommitRequest:
    """A commit to build from a frozen tree; `at` is recorded, so that a repeat gives the same."""

    run_id: str
    base_sha: str
    tree: str
    message: str
    at: datetime


class Workspaces(Protocol):
    """The bot's own clone and the worktrees made from it; the operator's checkout is only read."""

    def dirty_paths(self) -> tuple[str, ...]:
        """Uncommitted paths of the operator's checkout, what belongs to the bot left out."""

    def refresh(self) -> Base:
        """Fetch the default branch into the bot's own clone."""

    def open(self, issue_number: int, run_id: str, base_sha: str) -> tuple[Worktree, bool]:
        """The run's worktree at the base, and whether it was made just now."""

    def freeze(self, worktree: Worktree, base_sha: str) -> str:
        """The worktree's content as a git tree, read without trusting anything inside it."""

    def restore(self, worktree: Worktree, base_sha: str, tree: str) -> tuple[str, ...]:
        """Put the worktree back to a tree; returns the paths that had to be changed."""

    def change_set(self, base_sha: str, tree: str) -> ChangeSet:
        """The difference between the base and a frozen tree."""

    def seal(self) -> str:
        """A hash over what the host later trusts in the bot's own clone."""

    def commit(self, request: CommitRequest) -> str:
        """Build the commit by plumbing and keep it in the bot's own clone; returns its SHA."""

    def why_stale(self, commit: str, base: Base) -> str | None:
        """Why a stored commit no longer applies to the base, or None."""

    def branch_head(self, branch: str) -> str | None:
        """The commit that a branch of the operator's repository names, or None."""

    def push(self, branch: str, commit: str, expected: str | None) -> str:
        """Bring a commit as a branch where it is absent or `expected`; returns where it is."""

    def worktrees(self) -> tuple[Worktree, ...]:
        """Every worktree on disk."""

    def size(self, worktree: Worktree) -> int:
        """Bytes on disk."""

    def remove(self, worktree: Worktree) -> None:
        """Delete the worktree's folder, whatever the agent left in it."""


# --- agents and checks ----------------------------------------------------------------------


@dataclass(frozen=True)
class Brief:
    """What a role is told. Text from outside is data: the prompt fences it with `nonce`."""

    role: Role
    issue: Issue
    run_id: str
    nonce: str
    base_sha: str
    round: int = 1
    plan: Plan | None = None
    contract: tuple[str, ...] = ()
    change: ChangeSet | None = None
    build: BuildReport | None = None
    verification: Verification | None = None
    note: str = ""
    verify: tuple[VerifySettings, ...] = ()


@dataclass(frozen=True)
class RoleTask:
    """One call of one role.

    `writable` is true for the builder only. Files named `<label>.*` go to `artifacts`. `criteria`
    are the ids that a review must cover. `deadline_seconds` caps the call, `idle_seconds` the
    silence within it.
    """

    role: Role
    run_id: str
    issue_number: int
    label: str
    worktree: Path
    artifacts: Path
    prompt: str
    engine: EngineChoice
    writable: bool
    deadline_seconds: float
    idle_seconds: float
    criteria: tuple[int, ...] = ()


@dataclass(frozen=True)
class AgentReply:
    """What came back: the answer's JSON text as the agent gave it, and what it cost."""

    answer: str
    usage: Usage
    model: str = ""


@dataclass(frozen=True)
class EngineHealth:
    """Whether an engine can be used: `problem` is empty when it can."""

    engine: str
    version: str = ""
    problem: str = ""
    kind: str = ""
    next_step: str = ""


RoleReport = Plan | BuildReport | Review


class Agents(Protocol):
    """The roles' engines, their prompts and their answers."""

    def render(self, brief: Brief) -> str:
        """The prompt, from the repository's own role and prompt files."""

    def repair(self, prompt: str, answer: str, problem: str) -> str:
        """The prompt of the one repair request."""

    async def ask(self, task: RoleTask, heard: Callable[[str], None]) -> AgentReply:
        """Run the role in a fresh process; `heard` gets a short line per event."""

    def read(self, task: RoleTask, answer: str) -> RoleReport:
        """The typed answer, or `OutputInvalid` with what does not fit."""

    def check(self, choice: EngineChoice) -> EngineHealth:
        """Found, version, flags, login and sandbox, without calling a model."""


class Checks(Protocol):
    """The project's own checks and the operator's hooks, run as hostile code."""

    async def verify(
        self, check: VerifySettings, worktree: Worktree, label: str, seconds: float
    ) -> CheckResult:
        """Run one verify command, at most `seconds`; its log is kept as an artifact."""

    async def hook(self, name: str, worktree: Worktree) -> str:
        """Run a configured hook; returns what went wrong, empty when it passed or is not set."""


class Processes(Protocol):
    """Every process that agents and checks started, for ending them."""

    def stop(self, run_id: str, kind: str) -> None:
        """End the run's processes; their `ask` raises `Stopped` of that kind."""

    def end_orphans(self, run_id: str | None = None) -> tuple[int, ...]:
        """End what a dead worker left behind: TERM, then KILL; returns the pids."""


# --- records --------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageKey:
    """Where a stage's value is kept; `input_hash` says for which input it holds."""

    run_id: str
    attempt: int
    stage: Stage
    round: int
    input_hash: str


class Runs(Protocol):
    """The runs. `replace` is a compare-and-set on status and `updated_at`."""

    def add(self, run: Run) -> bool:
        """Insert; False when the issue already has an active run."""

    def replace(self, before: Run, after: Run) -> bool:
        """Store `after` where `before` still stands; False when somebody was faster."""

    def progress(self, run_id: str, stage: Stage, event: str, at: datetime) -> None:
        """Note what the run is doing, without touching its status."""

    def find(self, run_id: str) -> Run | None:
        """One run."""

    def latest(self, issue_number: int) -> Run | None:
        """The newest run of an issue."""

    def select(self, statuses: Sequence[RunStatus] = (), limit: int = 500) -> tuple[Run, ...]:
        """Runs, newest first; of these statuses when any is named."""

    def issue(self, run_id: str) -> Issue:
        """The issue's text as it was frozen when the run was made."""

    def freeze_issue(self, run_id: str, issue: Issue) -> None:
        """Keep the issue's text for the run."""

    def delete(self, run_id: str) -> None:
        """Forget a run and all that was kept for it."""


class Stages(Protocol):
    """Finished stages' values, kept so that none is run again for the same input."""

    def record(self, key: StageKey, value: object, at: datetime, seconds: float) -> None:
        """Keep a value (a frozen domain value)."""

    def find(self, key: StageKey, kind: type[T]) -> T | None:
        """The value for the same run, stage, round and input hash, of any attempt."""

    def last(self, run_id: str, stage: Stage, kind: type[T]) -> T | None:
        """The newest value of a stage, or None."""

    def void(self, run_id: str, stage: Stage) -> None:
        """Forget a stage's values, so that it is run again."""

    def timings(self, run_id: str) -> tuple[tuple[Stage, int, float], ...]:
        """Stage, round and seconds, in the order recorded."""


@dataclass(frozen=True)
class Spent:
    """What has been reserved or spent: by this run, in the last hour, in the last day."""

    run: Usage
    hour: Usage
    day: Usage


class Spend(Protocol):
    """The ledger of calls, tokens and cost; it survives any crash."""

    def spent(self, run_id: str, now: datetime) -> Spent:
        """Sums, open reservations included."""

    def reserve(self, run_id: str, stage: Stage, usage: Usage, at: datetime) -> int:
        """Reserve before the call; returns the reservation's number."""

    def settle(self, reservation: int, usage: Usage) -> None:
        """Replace a reservation by what the call really cost."""


@dataclass(frozen=True)
class LedgerRow:
    """One effect of a run: intended, done, or withheld and by which flag."""

    run_id: str
    name: str
    key: str
    state: str
    flag: str
    reason: str
    location: str
    at: datetime


class Ledger(Protocol):
    """Effects: the intent is durable before the call, the receipt after it."""

    def intend(self, run_id: str, effect: Effect, at: datetime) -> None:
        """Write the intent row."""

    def receipt(self, effect: Effect) -> Receipt | None:
        """The receipt, when the effect is known to have taken place."""

    def close(self, run_id: str, effect: Effect, receipt: Receipt) -> None:
        """Write the receipt row."""

    def withhold(self, run_id: str, effect: Effect, flag: str, reason: str, at: datetime) -> None:
        """Keep an effect that a flag withheld."""

    def withheld(self, run_id: str) -> tuple[Effect, ...]:
        """The effects of a run that are still withheld, in the order intended."""

    def discard(self, run_id: str, reason: str, at: datetime) -> None:
        """A person said no: withheld effects of the run will never be performed."""

    def rows(self, run_id: str) -> tuple[LedgerRow, ...]:
        """All effects of a run, for reports."""


@dataclass(frozen=True)
class Request:
    """A person's or an event's wish, kept until the worker's next tick takes it up.

    `kind` is trigger, retry, cancel, approve or reject.
    """

    id: str
    kind: str
    issue_number: int
    at: datetime
    note: str = ""
    fresh: bool = False
    force: bool = False
    by: str = ""


class Inbox(Protocol):
    """Durable requests, each taken once; not a queue: no leases, no retries."""

    def put(self, request: Request) -> bool:
        """Keep a request; False when one with this id was seen before."""

    def pending(self) -> tuple[Request, ...]:
        """Requests not yet taken, oldest first."""

    def take(self, request_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it."""

    def outcome(self, request_id: str) -> str | None:
        """What came of a request; None while it is pending."""


@dataclass(frozen=True)
class Approval:
    """A person's word on exactly one content: head SHA and diff hash."""

    run_id: str
    decision: str
    head_sha: str
    diff_hash: str
    by: str
    at: datetime
    note: str = ""


class Approvals(Protocol):
    """Approvals and rejections, append only."""

    def add(self, approval: Approval) -> None:
        """Record a decision."""

    def select(self, run_id: str) -> tuple[Approval, ...]:
        """Decisions on a run, oldest first."""


class Artifacts(Protocol):
    """Files of a run that people read; everything is redacted at this door."""

    def folder(self, issue_number: int, run_id: str) -> Path:
        """The run's folder, made when absent."""

    def write(self, issue_number: int, run_id: str, name: str, text: str) -> Path:
        """Write a file atomically."""

    def read(self, issue_number: int, run_id: str, name: str) -> str | None:
        """A file's text, or None."""

    def keep_plan(self, issue_number: int, key: str, plan: Plan) -> None:
        """Keep a dry run's plan for the real run."""

    def find_plan(self, issue_number: int, key: str) -> Plan | None:
        """The plan that a dry run made for the same input."""

    def folders(self) -> tuple[tuple[int, str, Path], ...]:
        """Issue number, run id and path of every run folder."""

    def remove(self, issue_number: int, run_id: str) -> None:
        """Delete a run's folder."""


class Journal(Protocol):
    """The log: a sentence and a stable event code."""

    def note(self, code: str, message: str, **fields: object) -> None:
        """Write one line; fields are run, issue, role, attempt, stage and the like."""

    def warn(self, code: str, message: str, **fields: object) -> None:
        """The same at level warning."""


class Steps(Protocol):
    """Durability: a named step is run once, however often the process dies."""

    async def run(
        self, name: str, step: Callable[P, Awaitable[str]], *args: P.args, **kwargs: P.kwargs
    ) -> str:
        """The step's short JSON result, from the record when it has run before."""


class Flows(Protocol):
    """The durable engine, as the tick and the commands see it."""

    def start(self, run: Run) -> None:
        """Start or continue the flow of a run; the same generation only once."""

    def wake(self, run: Run) -> None:
        """End the wait of a run that waits for a retry or a person."""


@dataclass(frozen=True)
class House:
    """Everything the pipeline stands on: the settings and one adapter per port.

    `owner` names this process for locks and logs; `installation` is this installation's id, part
    of every marker that the bot writes.
    """

    settings: Settings
    root: Path
    owner: str
    installation: str
    clock: Clock
    tracker: Tracker
    workspaces: Workspaces
    agents: Agents
    checks: Checks
    processes: Processes
    runs: Runs
    stages: Stages
    spend: Spend
    ledger: Ledger
    inbox: Inbox
    approvals: Approvals
    artifacts: Artifacts
    journal: Journal
