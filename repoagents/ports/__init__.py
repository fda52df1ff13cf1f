"""What the pipeline asks of the world: one Protocol per door, and the values that pass through.

Synchronous ports are called in a worker thread; only `Agents.ask`, `Checks` and `Steps` are async.
An adapter translates: it neither decides nor retries, and raises a `RepoAgentsError`.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, Protocol

from repoagents.domain.run import Run
from repoagents.domain.settings import Settings
from repoagents.ports.brakes import Brakes
from repoagents.ports.history import Day, History, Kept
from repoagents.ports.records import (
    CLOSED,
    FROM_COMMENT,
    Approval,
    Approvals,
    Artifacts,
    BundleDraft,
    BundleEntry,
    Bundles,
    Deliveries,
    Inbox,
    Journal,
    Ledger,
    LedgerRow,
    Member,
    Pulses,
    Reports,
    Request,
    Runs,
    Spend,
    Spent,
    StageKey,
    Stages,
)
from repoagents.ports.world import (
    AgentReply,
    Agents,
    Brief,
    Checks,
    Clock,
    CommitRequest,
    EngineHealth,
    Hooks,
    Inspection,
    People,
    Processes,
    PullRequests,
    RoleReport,
    RoleTask,
    Tracker,
    Workspaces,
    Worktree,
)

P = ParamSpec("P")

__all__ = [
    "CLOSED",
    "FROM_COMMENT",
    "AgentReply",
    "Agents",
    "Approval",
    "Approvals",
    "Artifacts",
    "Bench",
    "Books",
    "Brakes",
    "Brief",
    "BundleDraft",
    "BundleEntry",
    "Bundles",
    "Checks",
    "Clock",
    "CommitRequest",
    "Day",
    "Deliveries",
    "EngineHealth",
    "Flows",
    "History",
    "Hooks",
    "House",
    "Inbox",
    "Inspection",
    "Journal",
    "Kept",
    "Ledger",
    "LedgerRow",
    "Member",
    "People",
    "Processes",
    "PullRequests",
    "Pulses",
    "Reports",
    "Request",
    "RoleReport",
    "RoleTask",
    "Runs",
    "Spend",
    "Spent",
    "StageKey",
    "Stages",
    "Steps",
    "Tracker",
    "Waits",
    "Workspaces",
    "Worktree",
]


class Steps(Protocol):
    """Durability: a named step is run once, however often the process dies."""

    async def run(
        self,
        name: str,
        step: Callable[P, Coroutine[object, object, str]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str:
        """The step's short JSON result, from the record when it has run before."""


class Waits(Protocol):
    """What a flow does between its steps."""

    async def attempt(self, run_id: str, generation: int, number: int) -> str:
        """Run an attempt when a slot is free; returns its result."""

    async def wait(self, seconds: float) -> None:
        """Wait that long, or until somebody wakes the flow; holds no slot."""


class Flows(Protocol):
    """The durable engine, as the tick and the commands see it."""

    def start(self, run: Run) -> None:
        """Start or continue the flow of a run; the same generation only once."""

    def wake(self, run: Run) -> None:
        """End the wait of a run that waits for a retry or a person."""

    async def forget(self, is_over: Callable[[str], bool]) -> None:
        """Forget the ended flows whose run is over, in portions."""


@dataclass(frozen=True)
class Bench:
    """What one look at an issue needs, without a word of it being recorded: a dry run's world.

    `sensitive` gives the secrets that this machine holds now; a change must not contain one.
    """

    settings: Settings
    root: Path
    clock: Clock
    tracker: Tracker
    workspaces: Workspaces
    agents: Agents
    checks: Checks
    processes: Processes
    artifacts: Artifacts
    journal: Journal
    sensitive: Callable[[], tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True)
class Books:
    """What is remembered, without the world: all that reports are made from.

    `installation` is this installation's id, part of every marker that the bot writes.
    """

    settings: Settings
    root: Path
    clock: Clock
    artifacts: Artifacts
    sensitive: Callable[[], tuple[str, ...]] = field(repr=False)
    installation: str
    runs: Runs
    stages: Stages
    spend: Spend
    ledger: Ledger
    inbox: Inbox
    deliveries: Deliveries
    approvals: Approvals
    pulses: Pulses
    history: History
    brakes: Brakes


@dataclass(frozen=True)
class House(Bench, Books):
    """Everything the pipeline stands on: the bench and the books.

    `owner` names this process for locks and logs.
    """

    owner: str
