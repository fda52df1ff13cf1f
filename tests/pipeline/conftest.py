"""A house of real git and real SQLite, scripted agents and a clock that waits for nobody."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repoagents.agents.checks import ProjectChecks
from repoagents.agents.process import Supervisor
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run
from repoagents.domain.settings import SafetySettings, Settings, TrackerSettings, VerifySettings
from repoagents.git.checkout import Checkout
from repoagents.git.workspaces import GitWorkspaces
from repoagents.logs import Redactor
from repoagents.pipeline.attempt import run_flow
from repoagents.pipeline.intake import Wish, accept
from repoagents.ports import House
from repoagents.store.artifacts import FileArtifacts
from repoagents.store.database import open_database
from tests.fakes.agents import ScriptedAgents
from tests.fakes.clock import FakeClock
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.fakes.world import DirectSteps, DirectWaits, ListJournal, MemoryTracker, NotedFlows

CHECK = VerifySettings("fixed", "grep -q fixed fixed.txt", kind="custom")
EVERYTHING = SafetySettings(allow_write_comments=True, allow_open_pr=True, allow_merge=True)
SECRET = "correct-horse-battery-staple"
ISSUE = Issue(1, "It is broken", "Please mend it.", labels=("repoagents",))


@dataclass
class Place:
    """The house and its twins, with the few moves that tests make."""

    house: House
    agents: ScriptedAgents
    tracker: MemoryTracker
    clock: FakeClock
    journal: ListJournal
    flows: NotedFlows
    waits: DirectWaits

    def with_settings(self, **changes: object) -> None:
        """Replace whole sections of the settings."""
        self.house = replace(self.house, settings=replace(self.house.settings, **changes))
        self.waits.house = self.house

    def queue(self, issue: Issue = ISSUE, **wish: bool) -> Run:
        """A queued run of the issue."""
        self.tracker.issues.setdefault(issue.number, issue)
        accepted = accept(self.house, issue, Wish(**wish))
        assert isinstance(accepted, Run), accepted
        return accepted

    async def flow(self, run: Run, first: int | None = None) -> Run:
        """Follow the run's flow to its end."""
        begin = run.attempt + 1 if first is None else first
        await run_flow(self.house, DirectSteps(), self.waits, run.id, run.generation, begin)
        return self.now(run)

    def now(self, run: Run) -> Run:
        """The run as it stands."""
        found = self.house.runs.find(run.id)
        assert found is not None
        return found

    def artifact(self, run: Run, name: str) -> str:
        """An artifact's text."""
        text = self.house.artifacts.read(run.issue_number, run.id, name)
        assert text is not None, name
        return text


@pytest.fixture(scope="session")
def new_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that nobody has written to yet; a copy costs a quarter of making one."""
    path = tmp_path_factory.mktemp("new") / "repoagents.sqlite"
    open_database(path, clock=FakeClock()).close()
    return path


@pytest.fixture
def place(git_repository: Callable[[Mapping[str, str]], Path], new_state: Path) -> Iterator[Place]:
    """A repository with one file that is not fixed yet."""
    root = git_repository({"README.md": "hello\n", "broken.txt": "broken\n"})
    control = root / ".ai-repoagents"
    control.mkdir()
    settings = Settings(
        tracker=TrackerSettings(kind="local_markdown", trigger_label=None), verify=(CHECK,)
    )
    clock = FakeClock()
    redactor = Redactor(())
    (control / "state").mkdir()
    state = shutil.copy(new_state, control / "state")
    clock.token(1)  # the installation has the first one
    database = open_database(state, clock=clock)
    supervisor = Supervisor(control / "state" / "processes")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(control / "cache")}
    artifacts = FileArtifacts(control, redactor)
    agents, tracker, journal = ScriptedAgents(), MemoryTracker(), ListJournal()
    house = House(
        settings=settings,
        root=root,
        clock=clock,
        tracker=tracker,
        workspaces=GitWorkspaces(
            Checkout(root, environment, (".ai-repoagents/**",)), control, settings, clock
        ),
        agents=agents,
        checks=ProjectChecks(settings, environment, supervisor, redactor, artifacts),
        processes=supervisor,
        artifacts=artifacts,
        journal=journal,
        sensitive=lambda: (SECRET,),
        owner="test",
        installation=database.installation,
        runs=database.runs,
        stages=database.stages,
        spend=database.spend,
        ledger=database.ledger,
        inbox=database.inbox,
        deliveries=database.deliveries,
        approvals=database.approvals,
        pulses=database.pulses,
        history=database.history,
        brakes=database.brakes,
    )
    yield Place(house, agents, tracker, clock, journal, NotedFlows(), DirectWaits(house))
    database.close()


@pytest.fixture
def hub(place: Place) -> MemoryHub:
    """The place's tracker, with accounts and pull requests; git in memory; every flag is on."""
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=spaces)
    return on_hub(place)


def on_hub(place: Place) -> MemoryHub:
    """Let the place work on a tracker with accounts and pull requests, with every flag on."""
    hub = place.tracker = MemoryHub(spaces=place.house.workspaces)
    place.house = replace(place.house, tracker=hub)
    tracker = replace(place.house.settings.tracker, trigger_label="repoagents")
    place.with_settings(safety=EVERYTHING, tracker=tracker)
    return hub
