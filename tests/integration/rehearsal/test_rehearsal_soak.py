"""What a soak counts: doubled effects, deliveries that are lost, what is left on disk, bugs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.delivery import Delivery as Kept
from repoagents.domain.soak import Reading
from repoagents.errors import RepoAgentsError
from repoagents.rehearsal.deliver import Outcome
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.hooks import Delivery, Hook
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.remains import bugs_in, left_in, lost_in
from repoagents.rehearsal.soak import Soak
from repoagents.rehearsal.watched import read_told
from repoagents.rehearsal.worker import RehearsalWorker
from repoagents.store.database import Database, open_database

MARKER = "<!-- repoagents:run-1 -->"


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for it, with a deadline."""
    end = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class DeadWorker(RehearsalWorker):
    """A worker that never gets going."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {}, 1.0)

    def start(self) -> None:
        """Nothing is started."""

    def kill(self) -> None:
        """There is nothing to kill."""

    def stop(self) -> None:
        """Nor to stop."""


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Database]:
    """The state of the soak's clone."""
    with closing(open_database(tmp_path / "state.sqlite", clock=SystemClock())) as database:
        yield database


@pytest.fixture
def soak(hub: LoopbackGitHub, books: Database, tmp_path: Path) -> Soak:
    """A soak whose worker is dead, over an issue that is to be merged."""
    made = Soak(
        hub,
        DeadWorker(tmp_path),
        books.runs,
        books.deliveries,
        SystemClock(),
        lambda _line: None,
    )
    made.wanted[hub.open_issue("Soak", "", by="maya")] = "merged"
    return made


def doubled(soak: Soak) -> tuple[str, ...]:
    """What stands twice."""
    return soak.tally((), (), ()).doubled


def test_one_comment_and_edits_of_it_are_no_double(soak: Soak, hub: LoopbackGitHub) -> None:
    (number,) = soak.wanted
    comment = hub.comment(number, f"{MARKER}\nat work", by=BOT)
    hub.edit_comment(comment, f"{MARKER}\ndone", by=BOT)
    hub.comment(number, f"{MARKER}\nquoted by a person", by="maya")
    hub.comment(number, "<!-- repoagents:run-2 -->\nof another run", by=BOT)
    assert doubled(soak) == ()
    hub.comment(number, f"{MARKER}\nagain", by=BOT)
    assert doubled(soak) == (f"issue #{number} has 2 comments with one marker",)


def test_a_worker_that_does_not_start_ends_the_soak(soak: Soak) -> None:
    with pytest.raises(RepoAgentsError, match="the worker did not start"):
        soak.run(1.0)


def test_what_nobody_answers_is_stuck(soak: Soak) -> None:
    (number,) = soak.wanted
    soak._answer(number)
    (problem,) = soak.tally((), (), ()).stuck
    assert problem.startswith(f"issue #{number} is stuck: no pull request waits for an approval")
    assert "no run" in problem
    assert "the worker has ended" in problem


# --- what is left -------------------------------------------------------------------------------


def sent(guid: str, body: bytes, status: int = 202, event: str = "issues") -> Delivery:
    """A delivery as the hub remembers it."""
    hook = Hook(1, "http://127.0.0.1:1/", "s", frozenset({"*"}))
    at = SystemClock().now()
    return Delivery(1, hook, guid, event, "opened", body, at, outcome=Outcome(status, ""))


def keep(books: Database, guid: str, *, taken: bool = True) -> None:
    """Let the state know a delivery, looked at or not."""
    now = SystemClock().now()
    assert books.deliveries.put(Kept(guid, "issues", now, "opened"))
    if taken:
        books.deliveries.take(guid, "looked", now)


def test_a_delivery_that_was_answered_and_is_unknown_is_lost(books: Database) -> None:
    keep(books, "known")
    refused, ping = sent("r", b"3", 502), replace(sent("p", b"4"), event="ping")
    twice = (sent("known", b"1"), sent("its-twin", b"1"))
    assert lost_in((*twice, refused, ping), books.deliveries) == ()
    (lost,) = lost_in((*twice, sent("gone", b"2")), books.deliveries)
    assert lost == "a delivery was answered and is lost: issues opened gone"


def test_a_delivery_that_nobody_looks_at_is_trouble(soak: Soak, books: Database) -> None:
    soak._rest()
    assert soak.troubles == []
    keep(books, "waits", taken=False)
    soak._rest()
    assert soak.troubles == ["1 deliveries were not looked at in time"]
    assert lost_in((sent("waits", b"1"),), books.deliveries) == (), "it is kept all the same"


def test_worktrees_and_bugs_are_found(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "repoagents.jsonl"
    log.write_text(json.dumps({"code": "polled", "message": "fine"}) + "\n")
    (tmp_path / "workspaces" / "issue-3" / "run-1").mkdir(parents=True)
    assert (left_in(tmp_path), bugs_in(tmp_path)) == ((), ())
    (tmp_path / "workspaces" / "issue-3" / "run-1" / "repo").mkdir()
    with log.open("a") as file:
        file.write(json.dumps({"code": "bug_met", "message": "KeyError in the poll"}) + "\n")
    assert left_in(tmp_path) == ("a worktree is left: workspaces/issue-3/run-1/repo",)
    assert bugs_in(tmp_path) == ("a bug was met: KeyError in the poll",)


def test_a_dead_worker_has_nothing_to_read(tmp_path: Path) -> None:
    worker = RehearsalWorker(tmp_path, {}, 1.0)
    reading: Reading | None = worker.read(0.0)
    assert (reading, worker.pid, worker.ended, worker.last_words) == (None, None, True, "")
    worker.kill()
    worker.stop()
    worker.close()


def test_a_program_that_hides_itself_tells_what_it_holds(tmp_path: Path) -> None:
    report, scratch = tmp_path / "told.json", tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "left").touch()
    argv = [sys.executable, "-m", "repoagents.rehearsal.watched", str(report), "--version"]
    environment = os.environ | {"TMPDIR": str(scratch)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said, _ = process.communicate(timeout=200)
    pid, files, left = read_told(report)
    assert process.returncode == 0
    assert said.startswith("repoagents ")
    assert (pid, left) == (process.pid, 1)
    assert files >= 3, "its standard streams"


def test_a_worker_that_has_hardly_begun_is_ended(tmp_path: Path) -> None:
    """It has no lock yet by which it could be found."""
    worker = RehearsalWorker(tmp_path, dict(os.environ), 60.0)
    worker.start()
    worker.close()
    assert worker.ended


def test_last_words_are_those_of_a_worker_that_cannot_start(tmp_path: Path) -> None:
    worker = RehearsalWorker(tmp_path, {"PATH": "/usr/bin:/bin"}, 60.0)
    worker.start()
    wait_until(lambda: worker.ended)
    assert "no git repository and no .ai-repoagents folder" in worker.last_words


def test_the_end_of_one_worker_is_not_the_end_of_another(tmp_path: Path) -> None:
    """Processes are found by their run's id on the whole machine: two soaks share none."""
    names = ("first", "second")
    first, second = (RehearsalWorker(tmp_path / name / "clone", {}, 60.0) for name in names)
    for name, worker in zip(names, (first, second), strict=True):
        (tmp_path / name / "clone").mkdir(parents=True)
        worker.start()
    first.close()
    wait_until(lambda: second.ended)
    assert "no git repository and no .ai-repoagents folder" in second.last_words
