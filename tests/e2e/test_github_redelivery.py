"""A receiver that was down: what it missed is found when the worker starts, and comes again."""

import json
import random
import socket
from contextlib import suppress

import pytest

from repoagents.domain.run import RunStatus
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from tests.e2e.test_github_live import LABEL, Live, hub, live, until, writes

__all__ = ["hub", "live"]

SECRET = "s3cret-of-the-hook-s3cret"


@pytest.fixture
def port() -> int:
    """A port that nobody listens on yet, below those that systems give away by themselves."""
    chance = random.SystemRandom()
    while True:
        found = chance.randrange(10_000, 32_000)
        with suppress(OSError), socket.socket() as finder:
            finder.bind(("127.0.0.1", found))
            return found


def told(live: Live, code: str) -> list[dict[str, object]]:
    """The lines of the log with this code."""
    log = live.control / "logs" / "repoagents.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line for line in lines if line["code"] == code]


def arrived(hub: LoopbackGitHub) -> set[str]:
    """The deliveries that the receiver has taken."""
    return {d.guid for d in hub.hooks.delivered if d.outcome and d.outcome.status_code == 202}


def test_what_the_receiver_missed_is_sent_again_and_done(
    live: Live, hub: LoopbackGitHub, port: int
) -> None:
    hub.add_account(BOT, "admin")
    hub.subscribe(f"http://127.0.0.1:{port}/webhooks/github", SECRET, ["issues"])
    number = hub.open_issue("subtracting", "add(1, 1) is 0.", by="mia")
    hub.label(number, LABEL, by="mia")
    hub.unlabel(1, LABEL, by="mia")
    assert hub.hooks.drain()
    missed = {delivery.guid for delivery in hub.hooks.delivered if delivery.event == "issues"}
    received = {"REPOAGENTS_WEBHOOK_SECRET": SECRET, "REPOAGENTS_WEBHOOK__PORT": str(port)}
    live.run("run", "--dry-run", "--once", "--no-agent", **received)
    assert not [seen for seen in hub.requests if "/hooks" in seen.path], "a dry run asks for none"

    hub.faults.next("GET", "*/issues", "502 before", times=1_000)
    live.configure("poll_interval_seconds: 5", "poll_interval_seconds: 3600")
    worker = live.start("run", "--serve", **received)
    try:
        until(lambda: missed <= arrived(hub))
        until(lambda: (run := live.latest(number)) and run.status is RunStatus.COMPLETED)
    finally:
        worker.terminate()
        worker.communicate(timeout=300)
    assert not told(live, "polled"), "the tracker could not be read: polling found nothing"
    assert {line["delivery"] for line in told(live, "redelivery_asked")} == missed
    came = {d.guid for d in hub.hooks.delivered if d.outcome and d.outcome.status_code == 202}
    assert came == missed
    queued = [line["issue"] for line in told(live, "run_queued")]
    assert queued == [number]
    asked = [path for _, path in writes(hub) if path.endswith("/attempts")]
    assert len(asked) == len(missed), "each once"
