"""What `ports.Hooks` promises: on GitHub's list as it is over HTTP, and on the twin in memory."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from repoagents.domain.delivery import WEBHOOKS
from repoagents.domain.settings import TrackerSettings
from repoagents.github.auth import Surroundings
from repoagents.github.connection import connect
from repoagents.ports import Hooks
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from tests.fakes.clock import FakeClock
from tests.fakes.hooks import MemoryHooks
from tests.fakes.world import ListJournal
from tests.integration.github.stub import Reply, serve

REPO = "octo/cat"


@dataclass
class HookBed:
    """`happens` lets GitHub send something of the event `issues`, and waits for its end."""

    hooks: Hooks
    clock: FakeClock
    happens: Callable[[], object]
    answer: Callable[[int], None]
    settle: Callable[[], object] = lambda: None


@pytest.fixture(params=["github", "memory"])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HookBed]:
    clock = FakeClock()
    if request.param == "memory":
        yield in_memory(MemoryHooks(clock), clock)
        return
    with LoopbackGitHub(tmp_path / "hub", clock, os.environ, REPO) as hub:
        yield from on_github(hub, clock, tmp_path)


def in_memory(hooks: MemoryHooks, clock: FakeClock) -> HookBed:
    names = iter(f"guid-{number}" for number in range(100))

    def answer(status: int) -> None:
        hooks.status = status

    return HookBed(hooks, clock, lambda: hooks.send(next(names)), answer)


def on_github(hub: LoopbackGitHub, clock: FakeClock, folder: Path) -> Iterator[HookBed]:
    with contextmanager(serve)() as receiver:
        hub.add_account(BOT, "admin")
        hub.subscribe(f"{receiver.url}{WEBHOOKS}", "", ["issues"])
        assert hub.hooks.drain()
        clock.advance(60)  # the ping is of another time
        around = Surroundings({"GITHUB_TOKEN": hub.token_of(BOT)}, folder, lambda: "")
        settings = TrackerSettings(repo=REPO, api_url=hub.url)
        github = connect(settings, around, {}, clock, ListJournal(), receives=True)
        assert github.tracker.hooks is not None

        def happens() -> None:
            hub.open_issue("Something", "", by=BOT)
            assert hub.hooks.drain()

        yield HookBed(
            github.tracker.hooks,
            clock,
            happens,
            lambda status: receiver.on("POST", WEBHOOKS, Reply(None, status)),
            hub.hooks.drain,
        )


def test_what_was_sent_is_listed_newest_first(bed: HookBed) -> None:
    start = bed.clock.now()
    for status in (202, 503):
        bed.answer(status)
        bed.happens()
        bed.clock.advance(60)
    assert [sending.status for sending in bed.hooks.sendings(start)] == [503, 202]
    late = bed.hooks.sendings(start + timedelta(seconds=30))
    assert [sending.status for sending in late] == [503]
    assert [(sending.event, sending.again) for sending in late] == [("issues", False)]
    assert late[0].at - start == timedelta(seconds=60)
    assert bed.hooks.sendings(bed.clock.now()) == ()


def test_what_is_sent_again_is_the_same_delivery(bed: HookBed) -> None:
    start = bed.clock.now()
    bed.answer(503)
    bed.happens()
    (missed,) = bed.hooks.sendings(start)
    bed.answer(202)
    bed.clock.advance(60)
    bed.hooks.resend(missed)
    bed.settle()
    again, first = bed.hooks.sendings(start)
    assert first == missed
    assert (again.delivery_id, again.status, again.again) == (missed.delivery_id, 202, True)
    assert again.id != missed.id
    assert again.at > missed.at
