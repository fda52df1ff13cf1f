"""What the tests of the agents room share: a repository to work in, tasks, crews, real codex."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from repoagents.agents.crew import AgentCrew
from repoagents.agents.process import Command, Supervisor
from repoagents.domain.engines import EngineChoice
from repoagents.domain.reports import Role
from repoagents.domain.settings import EngineName, Settings
from repoagents.logs import Redactor
from repoagents.ports import RoleTask
from tests.fakes.identity import RUN
from tests.fakes.model_api import find_codex

SECRET = "s3cret-value-of-the-operator"
PATIENCE = (1, 5, 25, 125)
"""Seconds that a program has to begin with what a limit on time then ends: the first will do, but
on a machine that is busy."""


@pytest.fixture
def redactor() -> Redactor:
    """Hides one known value, and everything of a known shape."""
    return Redactor([SECRET])


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """The control plane's folder."""
    folder = tmp_path / "control"
    folder.mkdir()
    return folder


@pytest.fixture
def ambient(tmp_path: Path) -> dict[str, str]:
    """The bot's own environment: a home of its own, and tokens that agents must not see."""
    home = tmp_path / "operator"
    (home / ".codex").mkdir(parents=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "GITHUB_TOKEN": "ghp_000000000000000000000000000000000000",
        "GH_TOKEN": "ghp_111111111111111111111111111111111111",
        "REPOAGENTS_WEBHOOK_SECRET": "webhook-secret",
        "UNRELATED": "not for agents",
    }


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """Where running processes are recorded."""
    return tmp_path / "state" / "processes"


@pytest.fixture
def supervisor(processes: Path) -> Iterator[Supervisor]:
    """A supervisor; whatever a test leaves running or recorded is a failure."""
    before = _children()
    yield Supervisor(processes)
    assert _children() - before == set(), "the test left processes behind"
    assert list(processes.glob("*")) == [], "the test left records behind"


def _children() -> set[psutil.Process]:
    """What runs below this process; other tests of it may have started what serves them all."""
    return {child for child in psutil.Process().children(recursive=True) if not gone(child.pid)}


def gone(pid: int) -> bool:
    """Whether no process of this pid runs any more."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "worktree"
    folder.mkdir()
    return folder


@pytest.fixture
def python(worktree: Path) -> Callable[..., Command]:
    """A command that runs Python code in the worktree."""

    def make(code: str, *, deadline: float = 100, **options: object) -> Command:
        return Command(
            argv=(sys.executable, "-c", code),
            cwd=worktree,
            environment={"PATH": os.environ["PATH"]},
            run_id=RUN,
            deadline_seconds=deadline,
            **options,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def task(tmp_path: Path, worktree: Path) -> Callable[..., RoleTask]:
    """A call of a role."""

    def make(
        role: Role = Role.BUILDER,
        engine: EngineName = "command",
        *,
        deadline: float = 60,
        idle: float = 30,
        model: str = "",
        prompt: str = "Do it.",
    ) -> RoleTask:
        return RoleTask(
            role=role,
            run_id=RUN,
            issue_number=7,
            label=role.value,
            worktree=worktree,
            artifacts=tmp_path / "artifacts",
            prompt=prompt,
            engine=EngineChoice(engine, model, None, 60),
            writable=role is Role.BUILDER,
            deadline_seconds=deadline,
            idle_seconds=idle,
            criteria=(1, 2) if role is Role.REVIEWER else (),
        )

    return make


@pytest.fixture
def crew(
    control: Path, ambient: dict[str, str], supervisor: Supervisor, redactor: Redactor
) -> Callable[[Settings], AgentCrew]:
    """The crew under these settings."""
    return lambda settings: AgentCrew(control, settings, ambient, supervisor, redactor)


@pytest.fixture
def codex() -> str:
    """The path of the real codex binary."""
    return find_codex()


def running(marker: str) -> list[int]:
    """The pids of running processes whose command line holds this text."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if marker in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other: orphans are found by their run's id, on the whole machine."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group("processes"))
