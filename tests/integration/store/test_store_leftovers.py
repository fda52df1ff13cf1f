"""What killed processes left half-made goes; what may be under way, or is whole, stays."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from repoagents.store.files import write_atomically
from repoagents.store.leftovers import CRASH_LOGS, clear_leftovers
from tests.fakes.clock import START

WHOLE = (
    "state/repoagents.sqlite",
    "state/runs.json",
    "state/signing-key.pem",
    "state/backups/kept.zip",
    "dashboard/index.html",
    "reports/ops/.lock",
    "reports/ops/latest.json",
    ".gitignore",
)


def put(control: Path, name: str, days_ago: float) -> Path:
    path = control / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    at = (START - timedelta(days=days_ago)).timestamp()
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize("folder", ["backup", "restore", "new"])
def test_a_folder_of_a_killed_command_goes_after_a_day(control: Path, folder: str) -> None:
    left = put(control, f"state/.{folder}-ab12cd34/copy.sqlite", 30).parent
    os.utime(left, (START.timestamp() - 3600,) * 2)
    clear_leftovers(control, START)
    assert left.exists(), "it may be under way"
    clear_leftovers(control, START + timedelta(days=1))
    assert not left.exists()


def test_drafts_of_files_go_and_whole_files_stay(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in WHOLE:
        put(control, name, 400)
    places = ("state/runs.json", "dashboard/index.html", "reports/ops-brief.md")
    drafts = []
    for name in (*places, "reports/ops/history.json"):
        with monkeypatch.context() as killed:
            killed.setattr(os, "fsync", lambda _file: None)
            killed.setattr(Path, "replace", lambda fresh, _path: drafts.append(fresh))
            killed.setattr(Path, "unlink", lambda _path, **_options: None)
            write_atomically(control / name, "half")
    young = [drafts.pop()]
    for draft in drafts:
        os.utime(draft, (START.timestamp() - 90_000,) * 2)
    os.utime(young[0], (START.timestamp(),) * 2)
    clear_leftovers(control, START)
    assert not [draft for draft in drafts if draft.exists()]
    assert len(drafts) == 3
    assert young[0].exists()
    assert all((control / name).exists() for name in WHOLE)


def test_the_newest_crash_logs_stay(control: Path) -> None:
    logs = [put(control, f"logs/crash-{number}.txt", number) for number in range(CRASH_LOGS + 5)]
    put(control, "logs/repoagents.jsonl", 400)
    clear_leftovers(control, START)
    assert [log.exists() for log in logs] == [True] * CRASH_LOGS + [False] * 5
    assert (control / "logs/repoagents.jsonl").exists()


def test_a_link_is_not_followed_and_nothing_is_fine_too(control: Path, tmp_path: Path) -> None:
    clear_leftovers(control, START)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("x")
    (control / "state").mkdir()
    link = control / "state" / ".backup-ab12cd34"
    link.symlink_to(elsewhere)
    clear_leftovers(control, START + timedelta(days=10_000))
    assert not link.is_symlink()
    assert (elsewhere / "precious.txt").exists()
