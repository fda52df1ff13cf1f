"""The receiver as GitHub meets it: the real server on a free port, the real state on disk."""

import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.ports import Deliveries
from repoagents.store.database import Database, open_database
from repoagents.web.receiver import Receiver, make_app
from repoagents.web.reception import Recipient, Recorder
from repoagents.web.server import HttpServer
from tests.fakes.world import ListJournal

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OLD_SECRET = "the-one-that-is-being-replaced"

LABELED = {
    "action": "labeled",
    "issue": {
        "id": 4242,
        "number": 7,
        "title": "T",
        "body": None,
        "updated_at": "2026-01-02T03:04:05Z",
    },
    "label": {"name": "repoagents"},
    "repository": {"full_name": "Octo/Cat"},
    "sender": {"login": "ann"},
}


def signature(body: bytes, secret: str = SECRET) -> str:
    """The header that GitHub would send."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Reply(NamedTuple):
    """How a request was answered."""

    code: int
    said: Mapping[str, str]


@dataclass
class Served:
    """A server that answers, and what stands behind it."""

    port: int
    deliveries: Deliveries
    journal: ListJournal
    _sent: int = field(default=0)

    def post(
        self,
        body: object = LABELED,
        event: str = "issues",
        secret: str = SECRET,
        **headers: str | None,
    ) -> Reply:
        """Send a delivery as GitHub does; a header that is given as None is left out."""
        self._sent += 1
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: dict[str, str | None] = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": f"delivery-{self._sent}",
            "X-Hub-Signature-256": signature(raw, secret),
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/webhooks/github", raw, sent)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str | None] | None = None,
    ) -> Reply:
        """Send any request; the answer must be JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)
        given = {name: value for name, value in (headers or {}).items() if value is not None}
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Reply(answer.status, json.loads(answer.read()))
        finally:
            connection.close()

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; returns everything that comes back until the server closes."""
        answer = b""
        with self.connect() as connection:
            connection.sendall(request)
            # A server that has not read everything resets the connection after its answer.
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    answer += part
        return answer

    def connect(self) -> socket.socket:
        """A connection on which nothing was sent yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state is."""
    return tmp_path / "state" / "repoagents.sqlite"


@pytest.fixture
def books(path: Path) -> Iterator[Database]:
    """The state, open for writing."""
    database = open_database(path, clock=SystemClock())
    yield database
    database.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve(books: Database) -> Iterator[Serve]:
    """Start servers; they end with the test."""
    running: list[Callable[[], None]] = []

    def start(
        *,
        deliveries: Deliveries | None = None,
        secrets: tuple[str, ...] = (SECRET,),
        installation: int | None = None,
        patience: float = 100.0,
    ) -> Served:
        journal = ListJournal()
        kept = deliveries or books.deliveries
        recorder = Recorder(kept, patience)
        receiver = Receiver(
            Recipient("octo/cat", installation), recorder, secrets, SystemClock(), journal
        )
        server = HttpServer(make_app(receiver), "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve)
        thread.start()

        def end() -> None:
            server.stop()
            thread.join(100)
            assert not thread.is_alive()
            with recorder:
                pass

        running.append(end)
        return Served(int(server.url.rpartition(":")[2]), kept, journal)

    yield start
    for end in running:
        end()


@pytest.fixture
def served(serve: Serve) -> Served:
    """A server that asks for the one secret."""
    return serve()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true before the deadline."""
    until = time.monotonic() + 100
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return False


@contextlib.contextmanager
def unfinished(served: Served, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many clients that have sent the beginning of a request."""
    clients = [served.connect() for _ in range(count)]
    try:
        for client in clients:
            client.sendall(sent)
        yield clients
    finally:
        for client in clients:
            client.close()
