"""`serve` and `webhook` as people use them: processes of their own in a real repository."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.web.conftest import LABELED, SECRET, signature
from tests.prepared import Running, run_prepared

CONFIG = ".ai-repoagents/repoagents.yaml"
GITHUB = "tracker:\n  kind: github\n  repo: octo/cat\nllm:\n  mode: rehearsal\n"
LOCAL = "tracker:\n  kind: local_markdown\n  path: issues\nllm:\n  mode: rehearsal\n"
SIGNED = {"REPOAGENTS_WEBHOOK_SECRET": SECRET}

Command = Callable[..., subprocess.CompletedProcess[str]]


class Serving:
    """A `serve` process and the port that it said it listens on."""

    def __init__(self, root: Path, *arguments: str, **variables: str) -> None:
        self.process = Running(
            ["serve", "--port", "0", *arguments],
            cwd=root,
            env={**os.environ, **variables},
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        self.port = int(self.said.split()[2].split(":")[2].partition("/")[0])

    def post(self, connection: http.client.HTTPConnection, number: int) -> int:
        """Send one signed delivery about an issue; returns the status."""
        issue = {"id": number, "number": number, "updated_at": "2026-01-02T03:04:05Z"}
        body = json.dumps({**LABELED, "issue": issue}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "issues",
            "X-GitHub-Delivery": f"guid-{number}",
            "X-Hub-Signature-256": signature(body),
        }
        connection.request("POST", "/webhooks/github", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)


@pytest.fixture
def root(git_repository: Callable[..., Path]) -> Path:
    """A repository whose issues are on GitHub."""
    return git_repository({CONFIG: GITHUB})


@pytest.fixture
def run() -> Command:
    """Run one command to its end."""

    def start(
        folder: Path, *arguments: str, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables}
        return run_prepared(arguments, cwd=folder, env=environment, stdin=stdin)

    return start


@pytest.fixture
def serving(root: Path) -> Iterator[Serving]:
    """A server in that repository."""
    server = Serving(root, **SIGNED)
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.communicate()


def recorded(root: Path) -> set[str]:
    """The ids of all deliveries on disk."""
    path = root / ".ai-repoagents" / "state" / "repoagents.sqlite"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM deliveries")}


# --- serve -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_says_where_it_listens_records_and_ends_when_asked(
    root: Path, serving: Serving, which: signal.Signals, code: int
) -> None:
    url = f"http://127.0.0.1:{serving.port}/webhooks/github"
    assert serving.said == f"listening on {url} for signed webhooks of octo/cat\n"
    with closing(serving.connection()) as connection:
        assert serving.post(connection, 7) == 202
    serving.process.send_signal(which)
    assert serving.process.wait(100) == code
    assert recorded(root) == {"guid-7"}


def test_without_a_secret_it_refuses_and_says_how_to_make_one(root: Path, run: Command) -> None:
    ended = run(root, "serve")
    assert ended.returncode == 2
    assert "REPOAGENTS_WEBHOOK_SECRET is not set" in ended.stderr
    assert "openssl rand -hex 32" in ended.stderr
    assert ended.stdout == ""


def test_unsigned_needs_the_flag_and_a_loopback_address(root: Path, run: Command) -> None:
    ended = run(root, "serve", "--allow-unsigned", "--host", "0.0.0.0")
    assert (ended.returncode, "loopback" in ended.stderr) == (2, True)
    server = Serving(root, "--allow-unsigned", "--host", "localhost")
    assert "UNSIGNED" in server.said
    assert "127.0.0.1" in server.said
    assert "of localhost this is the IPv4 address" in server.said
    server.process.send_signal(signal.SIGTERM)
    server.process.communicate(timeout=100)
    assert server.process.returncode == 0


def test_a_local_tracker_has_no_webhooks(git_repository: Callable[..., Path], run: Command) -> None:
    ended = run(git_repository({CONFIG: LOCAL}), "serve", **SIGNED)
    assert (ended.returncode, "only GitHub sends webhooks" in ended.stderr) == (2, True)


def test_the_secret_is_nowhere_to_be_seen(root: Path, serving: Serving) -> None:
    with closing(serving.connection()) as connection:
        connection.request("POST", "/webhooks/github", b"{}", {"X-Hub-Signature-256": SECRET})
        assert connection.getresponse().status == 401
    serving.process.send_signal(signal.SIGTERM)
    serving.process.wait(100)
    files = [path for path in (root / ".ai-repoagents").rglob("*") if path.is_file()]
    assert any(path.name == "repoagents.jsonl" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_what_was_acknowledged_survives_kill_9(root: Path, serving: Serving) -> None:
    enough, acknowledged = threading.Event(), []

    def send(first: int) -> None:
        with closing(serving.connection()) as connection:
            for number in range(first, first + 100_000):
                try:
                    code = serving.post(connection, number)
                except (OSError, http.client.HTTPException):
                    return
                if code == 202:
                    acknowledged.append(f"guid-{number}")
                if len(acknowledged) >= 100:
                    enough.set()

    senders = [threading.Thread(target=send, args=(n * 100_000 + 1,)) for n in range(8)]
    for sender in senders:
        sender.start()
    assert enough.wait(200)
    serving.process.kill()
    for sender in senders:
        sender.join(100)
    assert len(acknowledged) >= 100
    assert set(acknowledged) <= recorded(root)


# --- webhook ---------------------------------------------------------------------------------


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A file with what GitHub sent."""
    path = tmp_path / "webhook.json"
    path.write_text(json.dumps(LABELED))
    return path


def webhook(*more: str) -> tuple[str, ...]:
    return ("webhook", "--event", "issues", "--payload", *more)


def test_a_dry_run_tells_and_leaves_nothing(root: Path, run: Command, payload: Path) -> None:
    ended = run(root, *webhook(str(payload), "--dry-run"))
    assert ended.returncode == 0
    assert ended.stdout == (
        "dry run, nothing recorded: look at Octo/Cat#7, "
        "because of issues labeled repoagents, by ann\n"
    )
    assert not (root / ".ai-repoagents" / "state" / "repoagents.sqlite").exists()


def test_it_is_recorded_like_any_other(root: Path, run: Command, payload: Path) -> None:
    first = run(root, *webhook(str(payload), "--delivery", "one", "--json"))
    assert first.returncode == 0
    told = json.loads(first.stdout)
    assert told["look"]["number"] == 7
    assert (told["answer"]["status"], told["delivery"]["id"]) == ("accepted", "one")
    again = run(root, *webhook("-", "--json"), stdin=payload.read_text())
    assert json.loads(again.stdout)["answer"] == {"code": 202, "status": "duplicate", "reason": ""}
    assert recorded(root) == {"one"}


def test_what_is_not_for_us_is_a_failure(root: Path, run: Command) -> None:
    stranger = json.dumps({**LABELED, "repository": {"full_name": "octo/dog"}})
    ended = run(root, *webhook("-", "--dry-run"), stdin=stranger)
    assert (ended.returncode, ended.stdout) == (1, "refused: octo/dog is not our repository\n")


def test_an_event_that_is_not_read_is_none(root: Path, run: Command) -> None:
    ended = run(root, "webhook", "--event", "push", "--payload", "-", stdin="{}")
    assert (ended.returncode, ended.stdout.partition(":")[0]) == (0, "ignored")


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 10_000, '{"a": 1, "a": 2}'])
def test_a_file_that_is_no_payload_is_named(root: Path, run: Command, text: str) -> None:
    ended = run(root, *webhook("-"), stdin=text)
    assert ended.returncode == 1
    assert "the payload" in ended.stderr
    assert recorded(root) == set()


def test_a_file_without_an_end_is_read_as_far_as_github_sends(root: Path, run: Command) -> None:
    ended = run(root, *webhook("/dev/zero"))
    assert (ended.returncode, "larger than" in ended.stderr) == (1, True)


def test_a_file_that_is_not_there_is_a_usage_error(root: Path, run: Command) -> None:
    assert run(root, *webhook("none.json")).returncode == 2


# --- run --serve -----------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["--once", "--until-idle", "--dry-run"])
def test_serving_beside_the_work_is_for_the_loop(root: Path, run: Command, other: str) -> None:
    ended = run(root, "run", "--serve", other, **SIGNED)
    assert (ended.returncode, "--serve" in ended.stderr) == (2, True)


def serving_worker(root: Path) -> tuple[Running, int]:
    """A worker that serves, and its port, which it cannot choose itself."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = {
            **SIGNED,
            "REPOAGENTS_WEBHOOK__PORT": str(port),
            "REPOAGENTS_TRACKER__API_URL": "http://127.0.0.1:9",
            "GITHUB_TOKEN": "ghp_" + "0" * 36,
        }
        worker = Running(
            ["run", "--serve"], cwd=root, env={**os.environ, **settings}, stdout=subprocess.DEVNULL
        )
        said = []
        for line in worker.stderr or ():
            said.append(line)
            if f"listening on http://127.0.0.1:{port}/" in line:
                return worker, port
        assert "cannot listen" in "".join(said), "somebody else has taken it meanwhile"


def test_the_worker_serves_beside_its_work(root: Path) -> None:
    worker, port = serving_worker(root)
    try:
        assert worker.stderr is not None
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=100)) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
        # GitHub cannot be reached, which is the first thing that a worker at work has to say.
        assert any("poll_failed" in line for line in worker.stderr)
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=100)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.communicate()
    assert worker.returncode == 130
