"""A loopback GitHub with a small repository, and the clients that talk to it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from github import Auth, Github
from github.Repository import Repository

from repoagents.bootstrap import SystemClock
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

FILES = {"README.md": "# A library\n", "src/sums.py": "def add(a, b):\n    return a - b\n"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackGitHub]:
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ) as hub:
        hub.add_account("maya", "admin")
        hub.add_account("wren", "write")
        hub.add_account("tom", "triage")
        hub.add_account("stranger", "none")
        hub.commit_on("main", by="maya", files=FILES, message="Start")
        yield hub


@pytest.fixture
def client(hub: LoopbackGitHub) -> Iterator[Callable[..., Github]]:
    """A PyGithub client that neither waits nor repeats anything by itself."""
    made: list[Github] = []

    def make(token: str | None = None, auth: Auth.Auth | None = None) -> Github:
        made.append(
            Github(
                base_url=hub.url,
                auth=auth or Auth.Token(token or hub.token_of(BOT)),
                retry=None,
                seconds_between_requests=0,
                seconds_between_writes=0,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def repo(hub: LoopbackGitHub, client: Callable[..., Github]) -> Repository:
    """The repository as the bot's client has it."""
    return client().get_repo(hub.full_name)
