"""The HTTP server: waitress, which reads a request whole before a thread is given to it.

What it leaves open is closed here: a client that sends a byte now and then, one that holds many
connections, and malformed requests that would be answered with a 5xx or not at all.
"""

import json
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from socket import socket
from threading import RLock
from types import FrameType
from typing import cast
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import BadRequest, InternalServerError

from repoagents.errors import ConfigError
from repoagents.web.wire import MAX_BODY_BYTES

CONNECTIONS = 100
THREADS = 16
"""Each waits for the disk, and those that wait at the same time share one commit."""
IDLE_SECONDS = 10
REQUEST_SECONDS = 30
"""From the first byte of a request to its last; GitHub itself gives up after ten."""
SETTLED_SECONDS = 1.0
"""A connection younger than this is not given up for a newcomer."""
GRACE_SECONDS = 5.0
"""What is being answered when the server is asked to stop may take this long."""
HEADER_BYTES = 32 * 1024
AHEAD = 8
"""Requests that a client may have waiting on one connection; GitHub sends them one by one."""
BETWEEN_CHUNKS_BYTES = 8 * 1024
"""A chunk's size and extensions, or the lines after the last: beyond one reading of the socket."""


@cache
def tell_once(what: str) -> None:
    """Log what a stranger can cause any number of times."""
    logging.getLogger(__name__).error(what)


class _Parser(HTTPRequestParser):
    """Answers 400 where the numbers or the address of a request cannot be read, or do not end."""

    def received(self, data: bytes) -> int:
        try:
            consumed = super().received(data)
        except OSError as error:  # a large body goes to the disk
            tell_once(f"a request's body cannot be kept: {error.strerror}")
            self.error, self.completed = InternalServerError(""), True
            return len(data)
        if not self.completed and _kept_between(self.body_rcv) > BETWEEN_CHUNKS_BYTES:
            self.error = BadRequest("what stands between the chunks does not end")
            self.completed = True
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError("the request is malformed") from error


def _kept_between(body: object) -> int:
    """Bytes that the library keeps in memory, and searches anew at each arrival."""
    return len(body.control_line + body.trailer) if isinstance(body, ChunkedReceiver) else 0


class _Refusal(ErrorTask):
    """What the server itself refuses: in JSON, and a client's fault is never called ours."""

    def execute(self) -> None:
        error = cast(HTTPRequestParser, self.request).error or BadRequest("")
        # An unknown transfer coding would be a 501.
        ours = error.code == HTTPStatus.INTERNAL_SERVER_ERROR
        status = error if ours or error.code < 500 else BadRequest("")
        word = "failed" if ours else "refused"
        body = json.dumps({"reason": status.reason, "status": word}).encode() + b"\n"
        self.status = f"{status.code} {status.reason}"
        self.response_headers = [("Content-Type", "application/json")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    """A connection that knows since when it has owed us a whole request."""

    parser_class = _Parser
    error_task_class = _Refusal

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.owes_since = time.monotonic()

    def received(self, data: bytes) -> bool:
        """Take in what came; whoever sends many requests at once must not hold on by them."""
        taken = super().received(data)
        if len(self.requests) > AHEAD:
            self.will_close = True
        return taken

    def service(self) -> None:
        super().service()
        self.owes_since = time.monotonic()

    @property
    def owes(self) -> bool:
        """Whether it is the client's turn."""
        return not self.requests and not self.will_close


class HttpServer(TcpWSGIServer):
    """An application on one address; it listens from the moment it is made."""

    channel_class = _Channel

    def __init__(self, application: WSGIApplication, host: str, port: int) -> None:
        """Raises `ConfigError` when the address cannot be had; port 0 takes a free one."""
        self._stopping = self._ended = False
        # A signal may come, on this very thread, while the loop's bell is being closed.
        self._end = RLock()
        self._sockets: dict[int, socket] = {}
        try:
            adjustments = Adjustments(
                host=host,
                port=port,
                ipv6=":" in host,
                # Ours is below: the library would log each time that it is reached.
                connection_limit=2**31,
                channel_timeout=IDLE_SECONDS,
                cleanup_interval=1,
                max_request_header_size=HEADER_BYTES,
                max_request_body_size=MAX_BODY_BYTES + 1,
                asyncore_use_poll=True,
                log_socket_errors=False,
                ident="",
            )
            super().__init__(
                application, map=self._sockets, dispatcher=ThreadedTaskDispatcher(), adj=adjustments
            )
        except (OSError, ValueError) as error:
            wasyncore.close_all(self._sockets)
            raise ConfigError(
                f"cannot listen on {host} port {port}: {error}",
                next_step="Choose another with --host and --port, or in the webhook section.",
            ) from error
        self.task_dispatcher.set_thread_count(THREADS)

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        host, port = self.getsockname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self) -> None:
        """Answer until `stop`; what is being answered then is answered."""
        # It tells of every request that waits for a thread; under load that is every request.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        while not self._stopping:
            self._turn()
        self.accepting = False
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until and any(c.requests for c in self._channels()):
            self._turn()
        self.task_dispatcher.shutdown()
        with self._end:
            self._ended = True
            wasyncore.close_all(self._sockets)

    def stop(self) -> None:
        """Ask `serve` to end; from any thread, and from a signal."""
        self._stopping = True
        with self._end:
            if not self._ended:
                self.pull_trigger()

    def readable(self) -> bool:
        """Whether to accept a connection."""
        full = len(self._channels()) >= CONNECTIONS
        if full:
            tell_once(f"all {CONNECTIONS} connections are taken, and newcomers wait for one")
        return super().readable() and not full

    def maintenance(self, now: int) -> None:
        """Let go of connections that are idle, or that send a request very slowly."""
        super().maintenance(now)
        overdue = time.monotonic() - REQUEST_SECONDS
        for channel in self._channels():
            if channel.owes and channel.owes_since < overdue:
                channel.will_close = True

    def _channels(self) -> list[_Channel]:
        return list(cast(dict[int, _Channel], self.active_channels).values())

    def _make_room(self) -> None:
        """Where all connections are taken, let go of the one that is longest in debt."""
        if len(self._channels()) >= CONNECTIONS:
            settled = time.monotonic() - SETTLED_SECONDS
            debtors = [c for c in self._channels() if c.owes and c.owes_since < settled]
            if debtors:
                min(debtors, key=lambda channel: channel.owes_since).will_close = True

    def _turn(self) -> None:
        self._make_room()
        for channel in self._channels():
            if channel.will_close:
                # Of a client that reads nothing the library would wait for room to write.
                channel.handle_write()
        wasyncore.loop(timeout=1, use_poll=True, map=self._sockets, count=1)


@contextmanager
def ended_by_signals(server: HttpServer) -> Iterator[list[signal.Signals]]:
    """Let Ctrl-C and SIGTERM end the server; gives the signals that came."""
    seen: list[signal.Signals] = []

    def end(number: int, _frame: FrameType | None) -> None:
        seen.append(signal.Signals(number))
        server.stop()

    before = {name: signal.signal(name, end) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for name, action in before.items():
            signal.signal(name, action)
