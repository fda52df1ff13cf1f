"""What it costs to put a delivery on disk before it is answered. Prints JSON; 1 over a limit.

`repoagents serve` against a handler that checks the signature and stores nothing, both under the
same server, in turns, with 16 clients that each wait for their answer before they send again.
"""

import hashlib
import hmac
import itertools
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flask import Flask, abort, request
from repoagents.web.server import HttpServer

P50_LIMIT = 3.0
"""Times the bare handler's."""
THROUGHPUT_LIMIT = 0.5
"""Of the bare handler's; this one is a floor."""
CLIENTS, PER_CLIENT, ROUNDS, WARM_UP = 16, 150, 5, 20
SECRET = "for-nothing-but-this-benchmark"  # noqa: S105 - it guards nothing

PAYLOAD = {
    "action": "edited",
    "repository": {"full_name": "octo/cat", "topics": ["a"] * 100, "owner": {"login": "octo"}},
    "sender": {"login": "ann", "url": "https://api.github.com/users/ann"},
}
ISSUE = {
    "title": "It is broken",
    "body": "Words that nobody reads here.\n" * 150,
    "labels": [{"id": n, "name": f"label-{n}", "color": "ededed"} for n in range(10)],
    "user": {f"{name}_url": "https://api.github.com/users/ann/" + name for name in "abcdefghij"},
}
COUNTER = itertools.count(1)


def bare() -> None:
    """Serve the bare handler, on a port that it prints."""
    app = Flask(__name__)

    @app.post("/webhooks/github")
    def deliver() -> tuple[dict[str, str], int]:
        ours = hmac.new(SECRET.encode(), request.get_data(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers["X-Hub-Signature-256"], f"sha256={ours}"):
            abort(401)
        return {"status": "accepted"}, 202

    server = HttpServer(app, "127.0.0.1", 0)
    print(f"listening on {server.url}/webhooks/github", flush=True)
    server.serve()


@contextmanager
def started(command: list[str], root: Path) -> Iterator[int]:
    """A server's port, as it says where it listens."""
    environment = {**os.environ, "REPOAGENTS_WEBHOOK_SECRET": SECRET}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            said = server.stdout.readline() if server.stdout else b""
            url = said.decode().split()[2]
            yield int(url.split(":")[2].partition("/")[0])
        finally:
            server.terminate()
            server.wait(20)


def make_project(folder: Path) -> Path:
    """A repository whose control plane takes deliveries for octo/cat."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    init = [sys.executable, "-m", "repoagents", "init", "--tracker-repo", "octo/cat", "--yes"]
    subprocess.run(init, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def make_request() -> bytes:
    """A delivery of about 8 kB that no other is like, as bytes on the wire."""
    number = next(COUNTER)
    at = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    issue = {**ISSUE, "id": number, "number": number, "updated_at": at}
    body = json.dumps({**PAYLOAD, "issue": issue}).encode()
    signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: issues\r\nX-GitHub-Delivery: delivery-{number}\r\n"
        f"X-Hub-Signature-256: sha256={signed}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def client(port: int, requests: list[bytes], seconds: list[float]) -> None:
    """Send requests one after the other, and note how long each took to be accepted."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for request in requests:
            sent = time.perf_counter()
            connection.sendall(request)
            answer = b""
            while not answer.rstrip().endswith(b"}"):
                answer += connection.recv(4096)
            seconds.append(time.perf_counter() - sent)
            if b" 202 " not in answer or b"accepted" not in answer:
                raise SystemExit(f"not accepted: {answer!r}")


def load(port: int, per_client: int) -> tuple[list[float], float]:
    """Seconds per request, and requests per second, of all clients together."""
    work = [[make_request() for _ in range(per_client)] for _ in range(CLIENTS)]
    seconds: list[float] = []
    threads = [threading.Thread(target=client, args=(port, part, seconds)) for part in work]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = time.perf_counter() - begun
    if len(seconds) != CLIENTS * per_client:
        raise SystemExit("a client gave up")
    return seconds, len(seconds) / total


def figures(rounds: list[tuple[list[float], float]]) -> dict[str, float]:
    """Milliseconds and requests per second over all rounds."""
    cuts = statistics.quantiles([s for seconds, _ in rounds for s in seconds], n=100)
    return {
        "p50_ms": round(cuts[49] * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
        "per_second": round(statistics.median(rate for _, rate in rounds)),
    }


def count_rows(root: Path) -> int:
    """Deliveries on disk."""
    path = root / ".ai-repoagents" / "state" / "repoagents.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM deliveries").fetchone()[0])


def measure(root: Path) -> dict[str, dict[str, float]]:
    """Both servers under the same load, in turns."""
    ours = [sys.executable, "-m", "repoagents", "serve", "--port", "0"]
    theirs = [sys.executable, str(Path(__file__).absolute()), "--bare"]
    with started(ours, root) as recording, started(theirs, root) as forgetting:
        for port in (recording, forgetting):
            load(port, WARM_UP)
        rounds = [
            (load(recording, PER_CLIENT), load(forgetting, PER_CLIENT)) for _ in range(ROUNDS)
        ]
    acknowledged = CLIENTS * (WARM_UP + ROUNDS * PER_CLIENT)
    if count_rows(root) != acknowledged:
        raise SystemExit(f"{acknowledged} were acknowledged, {count_rows(root)} are on disk")
    return {
        "recording": figures([one for one, _ in rounds]),
        "bare": figures([other for _, other in rounds]),
    }


def main() -> int:
    """Measure and judge."""
    if sys.argv[1:] == ["--bare"]:
        bare()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = measure(make_project(Path(folder)))
    recording, plain = found["recording"], found["bare"]
    ratios = {
        "p50": round(recording["p50_ms"] / plain["p50_ms"], 2),
        "throughput": round(recording["per_second"] / plain["per_second"], 2),
    }
    limits = {"p50": P50_LIMIT, "throughput": THROUGHPUT_LIMIT}
    print(json.dumps({"figures": found, "ratios": ratios, "limits": limits}))
    return int(ratios["p50"] > P50_LIMIT or ratios["throughput"] < THROUGHPUT_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
