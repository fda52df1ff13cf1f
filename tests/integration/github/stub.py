"""A server on this machine that answers as it is told, and clients that ask it."""

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from repoagents.github.auth import Credential, CredentialSource, GivenToken
from repoagents.github.budget import Pace
from repoagents.github.client import Door
from repoagents.github.people import GitHubPeople
from repoagents.github.repository import GitHubClient
from repoagents.github.tracker import GitHubTracker
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal

TOKEN = "ghp_" + "a1" * 18
REPO = "octo/cat"
ROOT = f"/repos/{REPO}"
ME = {"login": "robot", "id": 42, "type": "User"}


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; `connection` tells connections apart."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    connection: int


@dataclass(frozen=True)
class Reply:
    """An answer; `raw` goes out as it is, `breaks` says how the connection misbehaves.

    `reset` cuts the connection before any answer, `short` ends it in the middle of the body,
    `hang` sends nothing until the server is closed. `etag` makes the answer conditional.
    """

    json: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    breaks: str = ""
    etag: bool = False

    @property
    def content(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.json is None else json.dumps(self.json).encode()


Answering = Reply | Callable[[Seen], Reply]
NOT_FOUND = Reply({"message": "Not Found"}, 404)


class Stub:
    """What was asked, and what is answered: per verb and path one reply after the other, the last
    one again and again; 404 for everything else."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], list[Answering]] = {}

    def on(self, verb: str, path: str, *answers: Answering) -> None:
        self._answers[verb, path] = list(answers)

    def get(self, path: str, *answers: Answering) -> None:
        self.on("GET", path, *answers)

    def reply_to(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            answers = self._answers.get((seen.verb, seen.path), [NOT_FOUND])
            chosen = answers.pop(0) if len(answers) > 1 else answers[0]
        return chosen if isinstance(chosen, Reply) else chosen(seen)

    def count(self, verb: str, path: str = "") -> int:
        return len([s for s in self.seen if s.verb == verb and path in ("", s.path)])

    @property
    def asked(self) -> list[str]:
        return [f"{seen.verb} {seen.path}" for seen in self.seen]


class Listener(BaseHTTPRequestHandler):
    """Hands each request to the stub."""

    protocol_version = "HTTP/1.1"
    stub: Stub

    def respond(self) -> None:
        target = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(
            self.command,
            target.path,
            dict(parse_qsl(target.query)),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(content) if content else None,
            self.client_address[1],
        )
        reply = self.stub.reply_to(seen)
        if reply.breaks == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        if reply.breaks == "hang":
            self.stub.closing.wait(100)
            self.close_connection = True
            return
        self.send(reply, seen)

    def send(self, reply: Reply, seen: Seen) -> None:
        content, status, headers = reply.content, reply.status, dict(reply.headers)
        if reply.etag:
            headers["ETag"] = f'W/"{hashlib.sha256(content).hexdigest()}"'
            if seen.headers.get("if-none-match") == headers["ETag"]:
                content, status = b"", 304
        self.send_response_only(status)
        headers.setdefault("Content-Type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if reply.breaks == "short":
            content, self.close_connection = content[: len(content) // 2], True
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = respond  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    """Does not tell of connections that were cut."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


def serve() -> Iterator[Stub]:
    stub = Stub()
    server = QuietServer(("127.0.0.1", 0), type("Bound", (Listener,), {"stub": stub}))
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Bed:
    """Everything that stands on one server."""

    stub: Stub
    clock: FakeClock
    journal: ListJournal
    door: Door
    pace: Pace
    client: GitHubClient
    people: GitHubPeople
    tracker: GitHubTracker

    def expect(self, reply: Reply) -> None:
        """Have the client wait a second, no longer, where nothing comes at all."""
        if reply.breaks == "hang":
            self.door._seconds = 1.0


def build(
    stub: Stub,
    clock: FakeClock,
    source: CredentialSource | None = None,
    *,
    prefix: str = "",
    label: str | None = "repoagents",
) -> Bed:
    """A client of the server with a token, or with this source of credentials."""
    source = source or GivenToken(Credential("token", "the variable GITHUB_TOKEN", TOKEN))
    journal, pace = ListJournal(), Pace(clock)
    door = Door(stub.url + prefix, clock)
    client = GitHubClient(door, REPO, source, clock, journal, pace)
    people = GitHubPeople(client, source)
    return Bed(
        stub, clock, journal, door, pace, client, people, GitHubTracker(client, people, label)
    )


def issue(number: int, **fields: Any) -> dict[str, Any]:
    """An issue as GitHub gives it."""
    return {
        "number": number,
        "title": f"Issue {number}",
        "body": "It is broken.",
        "state": "open",
        "labels": [{"name": "repoagents"}],
        "user": {"login": "ann", "id": 7, "type": "User"},
        "comments": 0,
        "created_at": "2026-01-02T03:04:05Z",
        "html_url": f"https://github.com/{REPO}/issues/{number}",
        "repository_url": f"https://api.github.com{ROOT}",
        **fields,
    }


def comment(identifier: int, body: str, author: dict[str, Any] | None = ME) -> dict[str, Any]:
    """A comment as GitHub gives it."""
    url = f"https://github.com/{REPO}/issues/1#issuecomment-{identifier}"
    return {"id": identifier, "body": body, "user": author, "html_url": url}


def pull(number: int, **fields: Any) -> dict[str, Any]:
    """A pull request as GitHub gives it."""
    return {
        "number": number,
        "state": "open",
        "merged_at": None,
        "head": {"ref": "repoagents/issue-1", "sha": "a" * 40, "repo": {"id": 1}},
        "base": {"ref": "main", "repo": {"id": 1}},
        "html_url": f"https://github.com/{REPO}/pull/{number}",
        **fields,
    }
