"""The command line as people use it: every command is a process of its own."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from repoagents import bootstrap
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run
from repoagents.pipeline.intake import Wish, accept
from tests.prepared import Running, run_prepared

EXAMPLE = Path(__file__).parents[3] / "examples" / "python-lib"
CONFIG = ".ai-repoagents/repoagents.yaml"

LOCAL = "tracker:\n  kind: local_markdown\n  path: issues\nllm:\n  mode: rehearsal\n"
"""The smallest configuration that works without a network and without a model."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def queue(folder: Path, *issues: tuple[int, str]) -> None:
    """Queue a run for each issue, number and title, as a worker would."""
    with bootstrap.open_premises(folder, terminal=True).house() as (house, _):
        for number, title in issues:
            assert isinstance(accept(house, Issue(number, title), Wish(by_hand=True)), Run)


Repoagents = Callable[..., Ended]


@pytest.fixture
def repoagents() -> Repoagents:
    """Run one command in a folder, to its end."""

    def run(folder: Path, *arguments: str, stdin: str = "", **variables: str) -> Ended:
        environment = {**os.environ, **variables}
        ended = run_prepared(arguments, cwd=folder, env=environment, stdin=stdin)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def started() -> Callable[..., Running]:
    """Start a command in a folder and leave it running; what still runs is killed at the end."""

    def start(folder: Path, *arguments: str, **variables: str) -> Running:
        return Running(arguments, cwd=folder, env={**os.environ, **variables})

    return start


@pytest.fixture
def control(git_repository: Callable[..., Path]) -> Path:
    """A repository with the smallest configuration and one issue; gives its root."""
    return git_repository(
        {
            CONFIG: LOCAL,
            "README.md": "# A project\n",
            "issues/1-first.md": "# Say hello\n\nThe project should say hello.\n",
        }
    )


@pytest.fixture
def example(tmp_path: Path, git: Callable[..., str]) -> Path:
    """The example project as a repository with one commit."""
    root = tmp_path / "example"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__"))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--message=Start")
    return root
