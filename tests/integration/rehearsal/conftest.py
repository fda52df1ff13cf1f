"""A loopback GitHub with a small repository, and the clients that talk to it."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
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


@dataclass
class Received:
    """One delivery as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def name(self) -> str:
        action = self.payload.get("action")
        event = self.headers["X-GitHub-Event"]
        return f"{event}.{action}" if action else event


class Receiver(ThreadingHTTPServer):
    """Takes webhooks in and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/webhooks/github"
        self.status = 202
        self.got: list[Received] = []

    @property
    def names(self) -> list[str]:
        return [received.name for received in self.got]


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(Received(dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(hub: LoopbackGitHub) -> Callable[..., requests.Response]:
    """One plain request to the API, by the bot unless another token is given; None for none."""

    def send(method: str, path: str, token: str | None = "", **options: Any) -> requests.Response:
        bearer = hub.token_of(BOT) if token == "" else token
        headers = options.pop("headers", {})
        if bearer is not None:
            headers = {"Authorization": f"token {bearer}", **headers}
        options.setdefault("allow_redirects", False)
        return requests.request(method, f"{hub.url}{path}", headers=headers, timeout=100, **options)

    return send


@pytest.fixture
def push(hub: LoopbackGitHub, tmp_path: Path, git: Callable[..., str]) -> Callable[..., str]:
    """Write src/sums.py on a branch in a clone of one's own, push it with real git: the commit."""

    def work(branch: str, text: str, *options: str, url: str = "") -> str:
        clone = tmp_path / "clone"
        if not clone.exists():
            git(tmp_path, "clone", "--quiet", hub.clone_url, str(clone))
        git(clone, "fetch", "--quiet", "--prune")
        known = branch in git(clone, "branch", "--remotes", "--format=%(refname:lstrip=3)").split()
        git(clone, "checkout", "--quiet", "-B", branch, f"origin/{branch if known else 'main'}")
        (clone / "src/sums.py").write_text(text)
        git(clone, "commit", "--quiet", "--all", "--message=Mend")
        git(clone, "push", "--quiet", *options, url or "origin", branch)
        return git(clone, "rev-parse", "HEAD")

    return work
