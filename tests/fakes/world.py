"""Small twins of the outside: a tracker in memory, a journal in a list, steps without an engine."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import ParamSpec

from repoagents.domain.effect import Effect, OpenDraftPullRequest, PostComment
from repoagents.domain.issue import Issue, IssueState
from repoagents.domain.run import Run
from repoagents.errors import TrackerError
from repoagents.pipeline.attempt import run_attempt
from repoagents.ports import Hooks, House, Inspection, People, PullRequests

P = ParamSpec("P")


@dataclass
class MemoryTracker:
    """`ports.Tracker` over a dict; `down` makes every call fail."""

    issues: dict[int, Issue] = field(default_factory=dict)
    comments: dict[tuple[int, str], str] = field(default_factory=dict)
    pull_requests: dict[str, str] = field(default_factory=dict)
    writes: int = 0
    down: bool = False
    problems: tuple[str, ...] = ()
    people: People | None = None
    pulls: PullRequests | None = None
    inspection: Inspection | None = None
    hooks: Hooks | None = None

    def read_issues(self) -> tuple[Issue, ...]:
        """Every open issue."""
        self._up()
        return tuple(i for i in self.issues.values() if i.state is IssueState.OPEN)

    def read_issue(self, number: int) -> Issue | None:
        """One issue."""
        self._up()
        return self.issues.get(number)

    def find(self, effect: Effect) -> str | None:
        """Where the effect stands with this very content."""
        self._up()
        match effect:
            case PostComment():
                standing = self.comments.get((effect.issue_number, effect.marker))
                return f"comment-{effect.issue_number}" if standing == effect.body else None
            case OpenDraftPullRequest():
                return effect.head if self.pull_requests.get(effect.head) == effect.body else None
            case _:
                return None

    def perform(self, effect: Effect) -> str:
        """Do it."""
        self._up()
        self.writes += 1
        match effect:
            case PostComment():
                self.comments[effect.issue_number, effect.marker] = effect.body
                return f"comment-{effect.issue_number}"
            case OpenDraftPullRequest():
                self.pull_requests[effect.head] = effect.body
                return effect.head
            case _:
                raise TrackerError("not a tracker's effect")

    def amend(self, effect: Effect, location: str) -> str | None:
        """Do it: nothing stands here unseen."""
        return self.perform(effect)

    def _up(self) -> None:
        if self.down:
            raise TrackerError("the tracker is down")


@dataclass
class ListJournal:
    """`ports.Journal` into a list of (code, message, fields)."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def note(self, code: str, message: str, **fields: object) -> None:
        """Keep a line."""
        self.lines.append((code, message, fields))

    def warn(self, code: str, message: str, **fields: object) -> None:
        """Keep a warning."""
        self.lines.append((code, message, fields))

    def codes(self) -> list[str]:
        """The codes in order."""
        return [code for code, _, _ in self.lines]


class DirectSteps:
    """`ports.Steps` that calls; `record` makes it remember, like the engine after a crash."""

    def __init__(self) -> None:
        self.record: dict[str, str] = {}

    async def run(
        self,
        name: str,
        step: Callable[P, Coroutine[object, object, str]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str:
        """The recorded result, or the step's."""
        if name not in self.record:
            self.record[name] = await step(*args, **kwargs)
        return self.record[name]


@dataclass
class DirectWaits:
    """`ports.Waits` in this process: an attempt runs at once, a wait moves the clock."""

    house: House
    waited: list[float] = field(default_factory=list)

    async def attempt(self, run_id: str, generation: int, number: int) -> str:
        """Run it here."""
        return await run_attempt(self.house, DirectSteps(), run_id, generation, number)

    async def wait(self, seconds: float) -> None:
        """Move the fake clock."""
        self.waited.append(seconds)
        await self.house.clock.sleep(seconds)


@dataclass
class NotedFlows:
    """`ports.Flows` that notes what was started and woken; `ended` are runs with an ended flow."""

    started: list[str] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def start(self, run: Run) -> None:
        """Note the start."""
        self.started.append(run.id)

    def wake(self, run: Run) -> None:
        """Note the wake-up."""
        self.woken.append(run.id)

    async def forget(self, is_over: Callable[[str], bool]) -> None:
        """Forget the ended flows of runs that are over."""
        self.ended = [run_id for run_id in self.ended if not is_over(run_id)]
