"""What keeps the server answering: limits on size, time and number, and a clean end."""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from repoagents.errors import ConfigError
from repoagents.web import server
from repoagents.web.server import HttpServer, ended_by_signals
from repoagents.web.wire import MAX_BODY_BYTES
from tests.integration.web.conftest import (
    LABELED,
    Serve,
    Served,
    eventually,
    signature,
    unfinished,
)

HEAD = b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\n"
NEVER = 1000
PROMPTLY = 100.0
"""Far less than the limits on time of a patient server, far more than a loaded machine needs."""
ROUNDS = (1, 5, 25)
"""Limits on time, for a machine that keeps the first and for those that need a longer one."""


@pytest.fixture
def patient(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Starts servers that give up on nobody while a test lasts."""
    monkeypatch.setattr(server, "IDLE_SECONDS", NEVER)
    monkeypatch.setattr(server, "REQUEST_SECONDS", NEVER)
    return serve


def closed(client: socket.socket) -> bool:
    """Whether the server has closed a connection, which it did not answer."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def parse(answer: bytes) -> tuple[int, object]:
    """Status and JSON of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


# --- malformed requests ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: x\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1, 1\r\n\r\n", 400),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"X: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (HEAD + b"No colon\r\n\r\n", 400),
        (HEAD + b"X: a\nb\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_the_clients_fault(
    served: Served, request_: bytes, code: int
) -> None:
    found, said = parse(served.raw(request_))
    assert found == code
    assert isinstance(said, dict)
    assert said["status"] == "refused"
    assert said["reason"]
    assert served.ask("GET", "/healthz").code == 200


def test_the_largest_payload_is_taken(served: Served) -> None:
    body = json.dumps(LABELED).encode()
    body += b" " * (MAX_BODY_BYTES - len(body))
    assert served.post(body).code == 202


@pytest.mark.parametrize(
    "endless",
    [b"0" * 60_000, b"1;" + b"x" * 60_000, b"0\r\n" + b"X: y\r\n" * 10_000],
    ids=["size", "extension", "trailer"],
)
def test_what_stands_between_the_pieces_of_a_body_is_bounded(
    patient: Serve, endless: bytes
) -> None:
    """The library keeps it in memory and searches it anew at each arrival."""
    with patient().connect() as client:
        client.settimeout(PROMPTLY)
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(endless)
        assert client.recv(200).startswith(b"HTTP/1.1 400 ")


def chunks(total: int) -> Iterator[bytes]:
    """A body of that size whose length is not told."""
    while total > 0:
        size = min(total, 2**20)
        yield b"%x\r\n" % size + b" " * size + b"\r\n"
        total -= size
    yield b"0\r\n\r\n"


def test_a_larger_one_is_refused_while_it_is_read(served: Served) -> None:
    with served.connect() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in chunks(40 * 2**20):
                client.sendall(part)
        answer = client.recv(200)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_untold_length_is_read(served: Served) -> None:
    body = json.dumps(LABELED).encode()
    head = HEAD + (
        b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"X-GitHub-Event: issues\r\nX-GitHub-Delivery: a\r\nX-Hub-Signature-256: "
        + signature(body).encode()
        + b"\r\n\r\n"
    )
    assert served.raw(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)).startswith(
        b"HTTP/1.1 202 "
    )


def test_a_body_that_cannot_be_kept_is_a_5xx_and_told_once(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A large one goes to the disk; strangers must not fill the log when that is full."""
    server.tell_once.cache_clear()
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    request = HEAD + b"Connection: close\r\nContent-Length: 600000\r\n\r\n" + b"x" * 600_000
    assert [parse(served.raw(request))[0] for _ in range(3)] == [500] * 3
    assert [record.message for record in caplog.records] == [
        "a request's body cannot be kept: No such file or directory"
    ]
    assert served.post().code == 202


# --- slow and many clients -------------------------------------------------------------------


def test_slow_clients_hold_nobody_up(patient: Serve) -> None:
    served = patient()
    with unfinished(served, 5, HEAD + b"Content-Length: 1000\r\n\r\nonly the beginning"):
        begun = time.monotonic()
        assert served.post().code == 202
        assert time.monotonic() - begun < PROMPTLY


def test_more_slow_clients_than_connections_hold_nobody_up(
    patient: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.tell_once.cache_clear()
    monkeypatch.setattr(server, "CONNECTIONS", 8)
    served = patient()
    with unfinished(served, 20, HEAD + b"Content-Length: 1000\r\n\r\n"):
        begun = time.monotonic()
        assert served.post().code == 202
        # Each newcomer waits until somebody has been connected for a second.
        assert time.monotonic() - begun < PROMPTLY
    (told,) = caplog.records
    assert told.message.startswith("all 8 connections are taken")


def test_a_connection_that_idles_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 1)
    served = serve()
    with unfinished(served, 3, b"POST /webho") as clients:
        assert eventually(lambda: all(closed(client) for client in clients))


def test_idling_is_ten_seconds(serve: Serve) -> None:
    """What the server is told; the waiting itself is shown above."""
    assert server.IDLE_SECONDS == 10


def test_a_client_that_sends_a_byte_now_and_then_is_let_go(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 1)
    served = serve()
    with unfinished(served, 1, HEAD + b"Content-Length: 1000\r\n\r\n") as (client,):

        def dripped() -> bool:
            client.setblocking(True)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(b".")
            return closed(client)

        assert eventually(dripped)


def test_a_connection_in_use_is_kept(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the time of one request counts, not that of the connection."""

    def kept(seconds: int) -> bool:
        monkeypatch.setattr(server, "REQUEST_SECONDS", seconds)
        until = time.monotonic() + 2 * seconds
        connection = http.client.HTTPConnection("127.0.0.1", serve().port, timeout=30)
        connection.connect()
        with contextlib.closing(connection.sock) as client:
            while time.monotonic() < until:
                try:
                    connection.request("GET", "/healthz")
                    assert json.loads(connection.getresponse().read()) == {"status": "ok"}
                except (OSError, http.client.HTTPException):
                    return False
                assert connection.sock is client
                time.sleep(seconds / 10)
        return True

    assert any(kept(seconds) for seconds in ROUNDS)


LONG = b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n"
"""Some of these are answered by more than the system takes for a client that does not read."""


def at_length(environ: dict[str, str], start: Callable[..., object]) -> list[bytes]:
    """A short answer, or one that is as long as the server keeps in memory."""
    body = b"x" * 1_000_000 if environ["PATH_INFO"] == "/long" else b"short"
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@contextlib.contextmanager
def listening_with(answer: Callable[..., list[bytes]]) -> Iterator[Callable[[], socket.socket]]:
    """A server of this application; gives what connects to it, and takes little at a time."""
    listening = HttpServer(answer, "127.0.0.1", 0)
    address = ("127.0.0.1", int(listening.url.rpartition(":")[2]))
    thread = threading.Thread(target=listening.serve)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(thread.join, 20)
        stack.callback(listening.stop)

        def connect() -> socket.socket:
            client = stack.enter_context(socket.socket())
            client.settimeout(60)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            return client

        yield connect


def test_a_client_that_reads_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is never ready for more, so the server must not wait for that."""
    monkeypatch.setattr(server, "IDLE_SECONDS", 1)
    with listening_with(at_length) as connect:
        client = connect()
        client.sendall(LONG * 6)

        def cut_off() -> bool:
            try:
                client.sendall(b".")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False

        assert eventually(cut_off)


@pytest.mark.usefixtures("patient")
def test_more_of_those_than_connections_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 4)
    with listening_with(at_length) as connect:
        for client in [connect() for _ in range(8)]:
            client.sendall(LONG * 6)
        good = connect()
        good.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: good.recv(1000), b"")).endswith(b"short")


def test_a_client_cannot_hold_its_connection_by_requests_in_advance() -> None:
    over = threading.Event()

    def slow(environ: dict[str, str], start: Callable[..., object]) -> list[bytes]:
        over.wait(60)
        return at_length(environ, start)

    with listening_with(slow) as connect:
        client = connect()
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (server.AHEAD + 2))
        try:
            assert eventually(lambda: closed(client))
        finally:
            over.set()


def test_requests_behind_each_other_are_answered_in_order(served: Served) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = served.raw(one * 3 + last)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3 + [b"404"]


def test_a_client_that_leaves_is_no_news(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        with unfinished(served, 3, HEAD + b"Content-Length: 1000\r\n\r\nx"):
            pass
    assert served.ask("GET", "/healthz").code == 200
    assert [record.message for record in caplog.records] == []


# --- where it listens, and its end -----------------------------------------------------------


def application(_environ: object, start: Callable[..., object]) -> list[bytes]:
    start("200 OK", [("Content-Length", "0")])
    return [b""]


def speaks_ipv6() -> bool:
    """Whether this machine has the loopback address of IPv6; containers often have none."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_says_where_it_is_reached(host: str) -> None:
    if ":" in host and not speaks_ipv6():
        pytest.skip("no IPv6 on this machine")
    listening = HttpServer(application, host, 0)
    thread = threading.Thread(target=listening.serve)
    thread.start()
    try:
        host_and_port = listening.url.removeprefix("http://")
        name, _, port = host_and_port.rpartition(":")
        with socket.create_connection((name.strip("[]"), int(port)), timeout=100) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        listening.stop()
        listening.stop()
        thread.join(100)
    assert not thread.is_alive()


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1 port {port}: ") as refused:
            HttpServer(application, "127.0.0.1", port)
    assert "--port" in refused.value.next_step


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on no\.such\.host\.invalid port 80"):
        HttpServer(application, "no.such.host.invalid", 80)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_what_is_answered_then_is_answered(which: signal.Signals) -> None:
    entered, answers = threading.Event(), []

    def slow(_environ: object, start: Callable[..., object]) -> list[bytes]:
        entered.set()
        os.kill(os.getpid(), which)
        time.sleep(0.5)
        start("200 OK", [("Content-Length", "4")])
        return [b"done"]

    listening = HttpServer(slow, "127.0.0.1", 0)
    port = int(listening.url.rpartition(":")[2])

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=100) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answers.append(b"".join(iter(lambda: client.recv(1000), b"")))

    asking = threading.Thread(target=ask)
    before = signal.getsignal(which)
    with ended_by_signals(listening) as signals:
        asking.start()
        listening.serve()
    asking.join(100)
    assert signals == [which]
    assert signal.getsignal(which) is before
    assert answers[0].endswith(b"done")


def test_a_signal_that_comes_before_the_first_request_ends_it_too() -> None:
    listening = HttpServer(application, "127.0.0.1", 0)
    with ended_by_signals(listening) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        listening.serve()
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals == [signal.SIGTERM] * 2
