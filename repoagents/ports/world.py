"""The doors to the outside: issues, git, agents, checks, processes, time and chance."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from repoagents.domain.access import Access, Backlog, BranchRules
from repoagents.domain.change import Base, ChangeSet, Conflict, TakenBack
from repoagents.domain.delivery import Sending
from repoagents.domain.effect import Effect
from repoagents.domain.engines import EngineChoice
from repoagents.domain.issue import Issue
from repoagents.domain.people import Account, Act, Permission
from repoagents.domain.pull_request import CheckDetail, CheckRun, PullRequest, RequiredCheck
from repoagents.domain.pulse import Pause, Quota
from repoagents.domain.reports import (
    BuildReport,
    CheckResult,
    Plan,
    Review,
    Role,
    Usage,
    Verification,
)
from repoagents.domain.settings import VerifySettings


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


class People(Protocol):
    """Who stands behind an issue, where a tracker knows accounts.

    What cannot be read raises a `RepoAgentsError`: nobody is permitted by silence.
    """

    def viewer(self) -> Account:
        """The account that the bot writes as."""

    def labelled_by(self, number: int, label: str) -> Act | None:
        """Who set the label that the issue carries now; None when that is not told."""

    def edits_since(self, issue: Issue, at: datetime) -> tuple[Act, ...]:
        """Who changed the issue's title or body at that instant or later.

        Raises also when the text stands otherwise by now: the edits told are of this one.
        """

    def permission(self, login: str) -> Permission:
        """What an account may do in the repository."""

    def commented_since(self, at: datetime) -> tuple[int, ...]:
        """The numbers of what was commented on since then; more than these does no harm."""


class PullRequests(Protocol):
    """The bot's pull requests, where a tracker has them: read, but for `mark_ready`.

    What cannot be read raises a `RepoAgentsError`: no check is green by silence.
    """

    def pull_request(self, head_branch: str) -> PullRequest | None:
        """The newest pull request from a branch of the repository itself, open or not."""

    def required_checks(self, base: str) -> tuple[RequiredCheck, ...]:
        """The checks that the base branch's protection and rulesets require."""

    def check_detail(self, check: CheckRun) -> CheckDetail:
        """What an ended check left on lines and in its log; what may not be read is told in it."""

    def mark_ready(self, number: int) -> None:
        """End the draft; nothing when it is none."""


class Inspection(Protocol):
    """What the bot's credential is and reaches; nothing is written to find it out.

    What cannot be read raises a `RepoAgentsError`.
    """

    @property
    def quota(self) -> Quota | None:
        """What is left of the requests of this hour, as the latest answer told it."""

    @property
    def pause(self) -> Pause | None:
        """Until when nothing is asked, because a rate limit is reached; None when it is not."""

    def inspect(self) -> Access:
        """The credential, its account and its rights; a handful of requests."""

    def backlog(self) -> Backlog:
        """What is open while nothing carries the trigger label; two requests."""

    def branch(self, name: str) -> BranchRules:
        """What stands around a branch; at most four requests."""

    def sample(self, most: int) -> tuple[tuple[Issue, ...], bool]:
        """Some open issues that carry the trigger label, and whether there are more; one request.

        The oldest come first, without their comments.
        """

    def issue(self, number: int) -> Issue | None:
        """One issue without its comments, None when there is none of that number; one request."""


class Hooks(Protocol):
    """The webhooks that bring us deliveries, as GitHub itself remembers them."""

    def sendings(self, since: datetime) -> tuple[Sending, ...]:
        """What was sent to us since then, newest first, each time that it was sent.

        Raises `Forbidden` of kind `forbidden` when the credential may not see it.
        """

    def resend(self, sending: Sending) -> None:
        """Ask GitHub to send it again, soon; `Forbidden` as above when we may not."""


class Tracker(Protocol):
    """Where issues come from and where comments and pull requests go."""

    @property
    def people(self) -> People | None:
        """The accounts; None where whoever can write the tracker's files may ask."""

    @property
    def pulls(self) -> PullRequests | None:
        """The pull requests; None where there are none."""

    @property
    def inspection(self) -> Inspection | None:
        """The credential's rights; None where none is needed."""

    @property
    def hooks(self) -> Hooks | None:
        """Our webhooks; None where none are received."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What the latest listing left out and why, one sentence each."""

    def read_issues(self) -> tuple[Issue, ...]:
        """Every open issue; all or an error, never a part."""

    def read_issue(self, number: int) -> Issue | None:
        """One issue, open or closed; None when there is none of that number."""

    def find(self, effect: Effect) -> str | None:
        """Where this effect already stands, or None: asked before it is performed."""

    def perform(self, effect: Effect) -> str:
        """Do it; returns where it can be seen."""

    def amend(self, effect: Effect, location: str) -> str | None:
        """Do it again, as far as that can double nothing; None when it would have to be made anew.

        For what a tracker takes twice for two. `location` is where it stood last, empty when that
        is not known: what was made a moment ago may not be listed yet.
        """


@dataclass(frozen=True)
class Worktree:
    """A run's own worktree: `path` is where agents work, absolute and free of symlinks."""

    issue_number: int
    run_id: str
    path: Path


@dataclass(frozen=True)
class CommitRequest:
    """A commit to build from a frozen tree; `at` is recorded, so that a repeat gives the same.

    `onto` is where the branch stands already, empty when it is new: the commit follows both it and
    the base, so that it can be pushed without force.
    """

    run_id: str
    base_sha: str
    tree: str
    message: str
    at: datetime
    onto: str = ""


class Workspaces(Protocol):
    """The bot's own clone and the worktrees made from it; the operator's checkout is only read."""

    def dirty_paths(self) -> tuple[str, ...]:
        """Uncommitted paths of the operator's checkout, what belongs to the bot left out."""

    def left_paths(self) -> tuple[str, ...]:
        """Untracked files there that our own ways to start the bot leave; they are no dirt."""

    def refresh(self) -> Base:
        """Fetch the default branch into the bot's own clone."""

    def base_branch(self) -> str:
        """The name of the branch that `refresh` last fetched."""

    def taken_back(self, since: datetime) -> tuple[TakenBack, ...]:
        """Commits that the base, as it was last fetched, says it reverts since then."""

    def open(self, issue_number: int, run_id: str, base_sha: str) -> tuple[Worktree, bool]:
        """The run's worktree at the base, and whether it was made just now.

        One that was made from another base is made anew: what stood in it is gone.
        """

    def settle(self, worktree: Worktree) -> None:
        """Take the worktree as it is now for the agent's start: call it after the set-up hook."""

    def freeze(self, worktree: Worktree, base_sha: str) -> str:
        """The worktree's content as a git tree, read without trusting anything inside it."""

    def restore(self, worktree: Worktree, base_sha: str, tree: str) -> tuple[str, ...]:
        """Put the worktree back to a tree (or commit); returns the paths that had to change."""

    def tree_of(self, commit: str) -> str:
        """The tree of a commit in the bot's own clone; a tree is its own."""

    def change_set(self, base_sha: str, tree: str) -> ChangeSet:
        """The difference between the base and a frozen tree."""

    def seal(self) -> str:
        """A hash over what the host later trusts in the bot's own clone."""

    def commit(self, request: CommitRequest) -> str:
        """Build the commit by plumbing and keep it in the bot's own clone; returns its SHA."""

    def merge_base(self, commit: str, base_sha: str, message: str, at: datetime) -> str | Conflict:
        """The commit that merges the base into a commit, the commit itself when it holds the base.

        A `Conflict` when only somebody can say what holds. The same words and instant give the same
        commit.
        """

    def recall(self, branch: str, commit: str) -> None:
        """Have a commit of a published branch in the bot's own clone, fetched when it is not."""

    def why_stale(self, commit: str, base: Base) -> str | None:
        """Why a stored commit no longer applies to the base, or None."""

    def why_ahead(self, base: Base) -> str | None:
        """In what way the operator's checkout holds commits that the base lacks, or None."""

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

    def tidy(self, is_over: Callable[[str], bool]) -> None:
        """Let go of the commits kept for runs that are over, and pack the bot's own clone.

        `is_over` is asked of the run's id, and of a commit that merges a base: of its name.
        """


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

    def end_orphans(self, run_id: str) -> tuple[int, ...]:
        """End what a dead worker left behind of the run: TERM, then KILL; returns the pids."""
