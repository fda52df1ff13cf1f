"""Sockets: an HTTP/1.1 server on 127.0.0.1 that says nothing and ends with every connection closed.

Written on the standard library, because a rehearsal must be able to break a connection after the
work was done, which the usual servers do not let their applications do.
"""

import socket
import struct
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qsl, unquote, urlsplit

from repoagents.rehearsal.hub.routing import Reply, Request

HOST = "127.0.0.1"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""

Application = Callable[[Request], Reply]


class Server(ThreadingHTTPServer):
    """Serves from `start` to `stop`; `crashes` are errors of our own that a request met."""

    daemon_threads = False  # `server_close` joins the threads that are left
    request_queue_size = 128

    def __init__(self, application: Application) -> None:
        self.application = application
        self.crashes: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._guard = Lock()
        self._thread = Thread(target=self.serve_forever, args=(0.02,), name="loopback-github")
        super().__init__((HOST, 0), Conversation)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End every connection, also one that only waits for its next request."""
        self.shutdown()
        self._thread.join()
        with self._guard:
            for connection in self._open:
                _hang_up(connection)
        self.server_close()

    def process_request(self, request: object, client_address: object) -> None:
        """Remember the connection until it is closed."""
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: object) -> None:
        """Forget the connection and close it."""
        if isinstance(request, socket.socket):
            with self._guard:
                self._open.discard(request)
        super().shutdown_request(request)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep what broke; a client that hung up is none of ours."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.crashes.append(error)


class Conversation(BaseHTTPRequestHandler):
    """One connection and the requests on it."""

    protocol_version = "HTTP/1.1"
    server_version = "GitHub.com"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Server

    def answer(self) -> None:
        """Read one request, let it be answered, write the reply."""
        target = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(target.path),
            dict(parse_qsl(target.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            target.query,
        )
        reply = self.server.application(request)
        if reply.severed:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        if self.command != "HEAD" and reply.status not in (204, 304):
            self.wfile.write(reply.content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster
