"""A host for git over real HTTP: `git http-backend` behind a login, with faults on demand."""

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

TOKEN = "ghs_0123456789abcdefTOKEN"


def basic(token: str) -> str:
    """The header with which a token logs in."""
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


@dataclass(frozen=True)
class Request:
    """What came over the wire."""

    method: str
    path: str
    query: str
    login: str

    @property
    def pushes(self) -> bool:
        return self.method == "POST" and self.path.endswith("/git-receive-pack")


Fault = Callable[["Exchange", Request], bool]
"""Answers in the host's place and returns True, or lets the request pass."""


class Host(ThreadingHTTPServer):
    """Serves the bare repositories below `folder` to whoever shows `login`; None asks for none.

    `before` may answer instead of git; `after` is called when git has answered and may throw the
    answer away.
    """

    daemon_threads = True

    def __init__(self, folder: Path, login: str | None) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.folder = folder
        self.login = login
        self.requests: list[Request] = []
        self.before: Fault = lambda *_: False
        self.after: Fault = lambda *_: False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def logins(self) -> set[str]:
        """Every credential that was shown; the empty one for none."""
        return {request.login for request in self.requests}


class Exchange(BaseHTTPRequestHandler):
    """One request, answered by git."""

    protocol_version = "HTTP/1.1"

    @property
    def host(self) -> Host:
        return cast("Host", self.server)

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        shown = ", ".join(self.headers.get_all("Authorization") or [])
        request = Request(self.command, place.path, place.query, shown)
        body = self._body()
        self.host.requests.append(request)
        if self.host.before(self, request):
            return
        if self.host.login not in (None, shown):
            self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"who are you?\n")
            return
        status, headers, content = self._ask_git(request, body)
        if not self.host.after(self, request):
            self.answer(status, headers, content)

    do_POST = do_GET  # noqa: N815 - the name that the base class calls

    def answer(self, status: int, headers: list[tuple[str, str]], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def report(self, *lines: str) -> None:
        """Answer a push as git would, with these lines on what became of the refs."""
        packets = [f"{len(line) + 4:04x}{line}" for line in ("unpack ok\n", *lines)]
        report = "".join([*packets, "0000"])
        content = f"{len(report) + 5:04x}\1{report}0000".encode()
        self.answer(200, [("Content-Type", "application/x-git-receive-pack-result")], content)

    def hang_up(self) -> bool:
        """Let the answer be lost."""
        self.close_connection = True
        self.connection.close()
        return True

    def log_message(self, form: str, *rest: object) -> None:
        """Keep quiet."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _ask_git(self, request: Request, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.host.folder),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "REMOTE_USER": "somebody",
            "REQUEST_METHOD": request.method,
        }
        ended = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
        )
        head, _, content = ended.stdout.partition(b"\r\n\r\n")
        pairs = [line.partition(": ") for line in head.decode().splitlines()]
        headers = [(name, value) for name, _, value in pairs if name != "Status"]
        status = next((value for name, _, value in pairs if name == "Status"), "200")
        return int(status.split()[0]), headers, content


@contextmanager
def serving(folder: Path, login: str | None) -> Iterator[Host]:
    """A host at work."""
    host = Host(folder, login)
    thread = threading.Thread(target=host.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        thread.join()
        host.server_close()


@dataclass
class Login:
    """A login as `Remote.config` asks for it, each time anew; `asked` counts."""

    host: Host
    tokens: list[str] = field(default_factory=lambda: [TOKEN])
    asked: int = 0

    def __call__(self) -> tuple[tuple[str, str], ...]:
        token = self.tokens[min(self.asked, len(self.tokens) - 1)]
        self.asked += 1
        return ((f"http.{self.host.url}/.extraHeader", f"Authorization: {basic(token)}"),)
