"""Backup and restore by the command line: on another clone, beside a worker, without a receiver."""

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.issue import Issue
from repoagents.domain.pulse import Part, Pulse
from repoagents.domain.run import Run, RunStatus
from repoagents.store.database import open_database
from repoagents.store.worker_lock import hold
from tests.integration.cli.conftest import Repoagents

STATE = ".ai-repoagents/state"


@pytest.fixture
def begun(control: Path) -> Path:
    """A repository whose bot has a state."""
    open_database(control / STATE / "repoagents.sqlite", clock=SystemClock()).close()
    return control


def receive(root: Path, age: timedelta) -> None:
    """Note that the receiver was at work so long ago."""
    books = open_database(root / STATE / "repoagents.sqlite", clock=SystemClock())
    at = datetime.now(UTC) - age
    books.pulses.put(Pulse(Part.RECEIVER, since=at, beat_at=at))
    books.close()


def test_a_run_is_known_on_another_clone(
    repoagents: Repoagents, example: Path, tmp_path: Path, git
) -> None:
    assert repoagents(example, "trigger", "1").code == 0
    key = repoagents(example, "ops", "key").out
    (tmp_path / "disk").mkdir()
    with hold(example / ".ai-repoagents", "worker", SystemClock()):
        made = repoagents(example, "ops", "backup", str(tmp_path / "disk"), "--json")
    assert (made.code, made.err) == (0, "")
    archive = json.loads(made.out)["path"]
    assert Path(archive).parent == tmp_path / "disk"
    git(tmp_path, "clone", "--quiet", str(example), "clone")
    clone = tmp_path / "clone"
    done = repoagents(clone, "ops", "restore", archive)
    assert (done.code, done.err) == (0, "")
    restored = r"restored: 1 runs, as they were at \d{4}-\d\d-\d\d \d\d:\d\d UTC\n"
    assert re.match(restored, done.out)
    old, new = (json.loads(repoagents(r, "status", "--json").out) for r in (example, clone))
    assert old["runs"] == new["runs"]
    assert repoagents(clone, "ops", "key").out == key
    assert git(clone, "status", "--short") == ""
    again = repoagents(clone, "ops", "restore", archive)
    assert again.code == 1
    assert "--force" in again.err


def test_without_a_path_it_stays_out_of_git(repoagents: Repoagents, begun: Path) -> None:
    made = repoagents(begun, "ops", "backup")
    assert made.code == 0
    (archive,) = (begun / STATE / "backups").iterdir()
    assert made.out.splitlines()[0] == os.path.relpath(archive, begun)
    assert "copy it to another" in made.err


def test_a_slash_at_the_end_names_a_folder(repoagents: Repoagents, begun: Path) -> None:
    made = repoagents(begun, "ops", "backup", f"{begun.parent}/nightly/", "--json")
    assert made.code == 0
    assert Path(json.loads(made.out)["path"]).parent == begun.parent / "nightly"


def test_a_control_plane_that_is_lost_comes_back(
    repoagents: Repoagents, begun: Path, git_repository
) -> None:
    assert repoagents(begun, "ops", "backup", "../kept.zip").code == 0
    bare = git_repository(name="bare")
    assert repoagents(bare, "ops", "restore", "../kept.zip").code == 0
    assert repoagents(bare, "config", "show").code == 0


def test_nothing_is_restored_under_a_live_worker(repoagents: Repoagents, begun: Path) -> None:
    assert repoagents(begun, "ops", "backup", "../kept.zip").code == 0
    with hold(begun / ".ai-repoagents", "worker", SystemClock()):
        refused = repoagents(begun, "ops", "restore", "../kept.zip", "--force")
    assert refused.code == 1
    assert "another worker is live" in refused.err
    assert not list((begun / STATE).glob("before-*"))


def test_nor_while_webhooks_are_received(repoagents: Repoagents, begun: Path) -> None:
    assert repoagents(begun, "ops", "backup", "../kept.zip").code == 0
    receive(begun, timedelta(seconds=5))
    refused = repoagents(begun, "ops", "restore", "../kept.zip", "--force")
    assert refused.code == 1
    assert "repoagents serve" in refused.err
    receive(begun, timedelta(minutes=2))
    assert repoagents(begun, "ops", "restore", "../kept.zip", "--force").code == 0


def test_a_state_that_is_damaged_can_be_replaced(repoagents: Repoagents, begun: Path) -> None:
    assert repoagents(begun, "ops", "backup", "../kept.zip").code == 0
    path = begun / STATE / "repoagents.sqlite"
    path.write_bytes(b"no database any more" * 1000)
    assert repoagents(begun, "status").code == 1
    done = repoagents(begun, "ops", "restore", "../kept.zip", "--force", "--json")
    assert done.code == 0, done.err
    aside = Path(json.loads(done.out)["aside"])
    assert (aside / path.name).read_bytes().startswith(b"no database")
    assert repoagents(begun, "status").code == 0


@pytest.mark.parametrize("command", [("backup",), ("restore", "kept.zip")])
def test_a_server_has_its_own_tools(
    repoagents: Repoagents, begun: Path, command: tuple[str, ...]
) -> None:
    (begun / "kept.zip").touch()
    url = {"REPOAGENTS_STATE__DATABASE_URL": "postgresql://bot:hunter2@db.example/agents"}
    refused = repoagents(begun, "ops", *command, **url)
    assert refused.code == 2
    assert "pg_dump --format=custom" in refused.err
    assert "hunter2" not in refused.err


@pytest.mark.parametrize("cloned", [False, True])
def test_a_run_that_has_lost_its_worktree_is_named(
    repoagents: Repoagents, begun: Path, cloned: bool
) -> None:
    books = open_database(begun / STATE / "repoagents.sqlite", clock=SystemClock())
    at = datetime.now(UTC)
    run = Run("run-1", 7, "Say hello", "print", RunStatus.IN_PROGRESS, at, at, base_sha="a")
    assert books.runs.add(run, Issue(7, "Say hello"))
    assert books.runs.add(replace(run, id="run-2", issue_number=8, base_sha=""), Issue(8, "Later"))
    books.close()
    assert repoagents(begun, "ops", "backup", "../kept.zip").code == 0
    if cloned:
        (begun / ".ai-repoagents/git").mkdir()
    done = repoagents(begun, "ops", "restore", "../kept.zip", "--force", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["adrift"] == ([] if cloned else [7])
    assert ("repoagents retry 7 --fresh" in done.err) is not cloned
