"""The server's life: silent, several at once, several clients at once, and nothing left behind."""

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from repoagents.bootstrap import SystemClock
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.hub.routing import ROUTES

Ask = Callable[..., requests.Response]


def test_it_says_nothing_and_leaves_no_thread(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = set(threading.enumerate())
    with LoopbackGitHub(tmp_path, SystemClock(), os.environ) as hub:
        kept = requests.Session()
        assert kept.get(f"{hub.url}/repos/{hub.full_name}", timeout=100).status_code == 200
        assert kept.get(f"{hub.url}/nowhere", timeout=100).status_code == 404
        port = int(hub.site.rpartition(":")[2])
    assert capfd.readouterr() == ("", "")
    assert set(threading.enumerate()) <= before, "those of earlier tests may end meanwhile"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 50)
    kept.close()


def test_two_stand_side_by_side(tmp_path: Path) -> None:
    clock = SystemClock()
    with (
        LoopbackGitHub(tmp_path / "a", clock, os.environ, repo="one/a") as one,
        LoopbackGitHub(tmp_path / "b", clock, os.environ, repo="two/b") as two,
    ):
        assert one.site != two.site
        assert requests.get(f"{two.url}/repos/one/a", timeout=100).status_code == 404
        assert requests.get(f"{two.url}/repos/two/b", timeout=100).status_code == 200


def test_one_connection_serves_many_requests(hub: LoopbackGitHub) -> None:
    connection = HTTPConnection("127.0.0.1", int(hub.site.rpartition(":")[2]), timeout=100)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/api/v3/repos/example/python-lib")
        assert connection.getresponse().read().startswith(b"{")
    assert connection.sock is first
    connection.close()


def test_many_clients_at_once_lose_nothing(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.open_issue("One", by="maya")
    path = "/repos/example/python-lib/issues/1/comments"
    with ThreadPoolExecutor(8) as pool:
        codes = pool.map(lambda n: ask("POST", path, json={"body": str(n)}).status_code, range(40))
        assert set(codes) == {201}
    assert {comment.body for comment in hub.comments(1)} == {str(n) for n in range(40)}
    assert len({comment.id for comment in hub.comments(1)}) == 40


def test_a_fault_of_its_own_is_not_swallowed(tmp_path: Path) -> None:
    hub = LoopbackGitHub(tmp_path, SystemClock(), os.environ)
    hub.__enter__()
    hub.open_issue("One", by=BOT)
    hub.forge.repository.listeners.append(lambda notice: {}["nobody"])
    token = {"Authorization": f"token {hub.token_of(BOT)}"}
    url = f"{hub.url}/repos/{hub.full_name}/issues/1/comments"
    with pytest.raises(requests.ConnectionError):
        requests.post(url, json={"body": "One"}, headers=token, timeout=100)
    with pytest.raises(KeyError, match="nobody"):
        hub.__exit__(None, None, None)


def test_every_write_names_a_permission() -> None:
    free = {route.pattern.pattern for route in ROUTES if route.method != "GET" and not route.area}
    assert free == {
        r"/app/installations/(?P<id>\d+)/access_tokens",
        r"/app/hook/deliveries/(?P<id>\d+)/attempts",
    }


def test_a_head_request_has_the_headers_alone(ask: Ask) -> None:
    reply = ask("HEAD", "/repos/example/python-lib")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["ETag"]
