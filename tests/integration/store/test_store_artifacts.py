"""Artifacts and the export: whole, redacted, and only where they belong."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from repoagents.domain.issue import Issue
from repoagents.domain.reports import Plan
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.errors import StoreError
from repoagents.logs import Redactor
from repoagents.store import artifacts as room
from repoagents.store.artifacts import FileArtifacts
from repoagents.store.database import Database
from repoagents.store.export import export_runs
from tests.fakes.clock import FakeClock

SECRET = 'hunter2"hunter2'
PLAN = Plan("Use it.", ("one",), ("a.py",), ("works",))


@pytest.fixture
def kept(control: Path) -> FileArtifacts:
    return FileArtifacts(control, Redactor([SECRET]))


def test_what_is_written_can_be_read(kept: FileArtifacts, control: Path) -> None:
    path = kept.write(7, "run-1", "planner.md", "Grüße\r\nline\n")
    assert path == control / "artifacts/issue-7/run-1/planner.md"
    assert kept.read(7, "run-1", "planner.md") == "Grüße\r\nline\n"
    assert kept.read(7, "run-1", "other.md") is None
    assert kept.read(8, "run-1", "planner.md") is None
    kept.write(7, "run-1", "planner.md", "again")
    assert [entry.name for entry in path.parent.iterdir()] == ["planner.md"]
    assert kept.read(7, "run-1", "planner.md") == "again"


def test_secrets_stay_out(kept: FileArtifacts, control: Path) -> None:
    text = f"{SECRET} {json.dumps(SECRET)} ghp_{'a1' * 18}"
    kept.write(7, "run-1", "log.txt", text)
    kept.keep_plan(7, "k", Plan(text, (), (), ()))
    for path in control.rglob("*.*"):
        content = path.read_text() if path.is_file() else ""
        assert "hunter2" not in content
        assert "ghp_" not in content
    assert kept.find_plan(7, "k") == Plan('[redacted] "[redacted]" [redacted]', (), (), ())


def test_a_long_text_is_cut_and_says_so(
    kept: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SIZE_LIMIT", 10)
    kept.write(7, "run-1", "a.txt", "0123456789")
    kept.write(7, "run-1", "b.txt", "0123456789abc")
    assert kept.read(7, "run-1", "a.txt") == "0123456789"
    assert kept.read(7, "run-1", "b.txt") == "0123456789\n[cut: 3 more characters were not kept]\n"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\0b", "a\nb", "ü", "x" * 200]
)
def test_names_lead_nowhere_else(kept: FileArtifacts, control: Path, name: str) -> None:
    for attempt in (
        lambda: kept.write(7, "run-1", name, "x"),
        lambda: kept.write(7, name, "x.md", "x"),
        lambda: kept.read(7, "run-1", name),
        lambda: kept.folder(7, name),
        lambda: kept.remove(7, name),
        lambda: kept.keep_plan(7, f"{name}/", PLAN),
    ):
        with pytest.raises(StoreError):
            attempt()
    assert [entry for entry in control.rglob("*") if entry.is_file()] == []


def test_a_planted_link_is_neither_read_nor_followed(kept: FileArtifacts, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("private")
    (kept.folder(7, "run-1") / "diff.md").symlink_to(outside)
    with pytest.raises(StoreError):
        kept.read(7, "run-1", "diff.md")
    kept.write(7, "run-1", "diff.md", "ours")
    assert outside.read_text() == "private"
    assert kept.read(7, "run-1", "diff.md") == "ours"


def test_a_pipe_or_folder_in_the_place_of_a_file_is_told(kept: FileArtifacts) -> None:
    os.mkfifo(kept.folder(7, "run-1") / "plan.md")
    (kept.folder(7, "run-1") / "diff.md").mkdir()
    for name in ("plan.md", "diff.md"):
        with pytest.raises(StoreError, match="not a plain file"):
            kept.read(7, "run-1", name)


def test_a_plan_is_kept_for_its_input(kept: FileArtifacts, control: Path) -> None:
    assert kept.find_plan(7, "abc") is None
    kept.keep_plan(7, "abc", PLAN)
    assert (control / "artifacts/issue-7/plan-abc.json").is_file()
    assert kept.find_plan(7, "abc") == PLAN
    assert kept.find_plan(7, "abd") is None
    for broken in ("{half", '{"summary": 1}'):
        (control / "artifacts/issue-7/plan-abc.json").write_text(broken)
        assert kept.find_plan(7, "abc") is None


def test_names_are_of_plain_files_only(kept: FileArtifacts, control: Path, tmp_path: Path) -> None:
    assert kept.names(7, "run-1") == ()
    kept.write(7, "run-1", "plan.md", "x")
    kept.write(7, "run-1", "decision.json", "{}")
    folder = kept.folder(7, "run-1")
    (folder / "linked.md").symlink_to(tmp_path)
    (folder / "sub").mkdir()
    (folder / "an odd name").write_text("x")

    assert kept.names(7, "run-1") == ("decision.json", "plan.md")


def test_folders_are_listed_and_removed(kept: FileArtifacts, control: Path, tmp_path: Path) -> None:
    assert kept.folders() == ()
    kept.write(10, "run-b", "x.md", "x")
    kept.write(2, "run-a", "x.md", "x")
    kept.keep_plan(2, "abc", PLAN)
    (control / "artifacts" / "issue-x" / "run-c").mkdir(parents=True)
    (control / "artifacts" / "issue-2" / "link").symlink_to(tmp_path)
    root = control / "artifacts"
    assert kept.folders() == (
        (2, "run-a", root / "issue-2" / "run-a"),
        (10, "run-b", root / "issue-10" / "run-b"),
    )
    kept.remove(2, "run-a")
    kept.remove(2, "run-a")
    assert [found[1] for found in kept.folders()] == ["run-b"]
    assert kept.find_plan(2, "abc") == PLAN
    with pytest.raises(StoreError):
        kept.remove(2, "link")
    assert tmp_path.exists()


def test_the_export_holds_what_is_open_and_what_is_new(
    control: Path, books: Database, clock: FakeClock
) -> None:
    def add(number: int, status: RunStatus) -> None:
        clock.advance(1)
        failure = Failure(FailureClass.NETWORK, "no route") if status is RunStatus.FAILED else None
        now = clock.now()
        run = Run(
            f"run-{number}", number, f"Tütel {number}", "f", status, now, now, failure=failure
        )
        assert books.runs.add(run, Issue(number, "T"))

    add(1, RunStatus.RETRY_PENDING)
    add(2, RunStatus.COMPLETED)
    for number in range(3, 503):
        add(number, RunStatus.FAILED)
    path = control / "state" / "runs.json"
    export_runs(books.runs, path, clock.now() + timedelta(seconds=1))
    text = path.read_text(encoding="utf-8")
    exported = json.loads(text)
    assert exported["version"] == 1
    assert exported["exported_at"] == "2026-03-04T05:14:30.000000+00:00"
    assert [run["issue_number"] for run in exported["runs"]] == [*range(502, 2, -1), 1]
    assert exported["runs"][0]["failure"] == {
        "kind": "network",
        "message": "no route",
        "next_step": "",
    }
    assert exported["runs"][-1]["status"] == "retry_pending"
    assert exported["runs"][-1]["failure"] is None
    assert '\n      "title": "Tütel 1",\n' in text
    assert "seq" not in exported["runs"][0]
    export_runs(books.runs, path, clock.now())
    assert [entry.name for entry in path.parent.iterdir() if entry.suffix == ".json"] == [
        "runs.json"
    ]


def test_a_reader_of_the_export_never_sees_half_of_it(
    control: Path, books: Database, clock: FakeClock
) -> None:
    path = control / "state" / "runs.json"
    export_runs(books.runs, path, clock.now())
    with path.open() as old:
        assert books.runs.add(
            Run("run-1", 1, "T", "f", RunStatus.QUEUED, clock.now(), clock.now()), Issue(1, "T")
        )
        export_runs(books.runs, path, clock.now())
        assert json.load(old)["runs"] == []
    assert len(json.loads(path.read_text())["runs"]) == 1
