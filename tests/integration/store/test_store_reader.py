"""`status` reads the state without the database toolkit, beside a writer, and never writes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.errors import StateUnreadable, StoreError
from repoagents.store.database import Database, open_database
from repoagents.store.reader import StateOnServer, open_reader
from tests.fakes.clock import FakeClock
from tests.machine import NEEDS_OTHERS

HEAVY = ("sqlalchemy", "dbos", "pydantic", "structlog", "click", "asyncio")


def add_run(books: Database, clock: FakeClock, number: int = 1) -> Run:
    run = Run(f"run-{number}", number, "T", "f", RunStatus.QUEUED, clock.now(), clock.now())
    assert books.runs.add(run, Issue(number, "T"))
    return run


def test_without_a_state_there_is_nothing_to_see(control: Path) -> None:
    reader = open_reader(control)
    assert reader.runs() == ()
    assert reader.run("run-1") is None
    assert reader.counts() == {}
    assert reader.effects("run-1") == ()
    assert reader.timings("run-1") == ()
    assert not (control / "state").exists()


def test_a_live_writer_is_followed(control: Path, books: Database, clock: FakeClock) -> None:
    reader = open_reader(control)
    assert reader.runs() == ()
    run = add_run(books, clock)
    assert reader.runs() == (run,)
    with books.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET title = 'unfinished'")
        # The writer holds the write lock; reading neither waits nor sees half of it.
        assert reader.runs() == (run,)
        assert open_reader(control).counts() == {RunStatus.QUEUED: 1}


def test_a_closed_state_is_read_without_leaving_a_log(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    run = add_run(books, clock)
    books.close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    before = path.read_bytes()
    assert open_reader(control).runs() == (run,)
    assert path.read_bytes() == before


def test_what_a_killed_writer_left_in_its_log_is_seen(
    control: Path, path: Path, books: Database, clock: FakeClock, tmp_path: Path
) -> None:
    run = add_run(books, clock)
    copy = tmp_path / "copy"
    shutil.copytree(control, copy)
    (copy / "state" / f"{path.name}-shm").unlink()
    assert (copy / "state" / f"{path.name}-wal").stat().st_size > 0
    assert open_reader(copy).runs() == (run,)


def test_a_place_that_cannot_be_looked_at_is_named(control: Path) -> None:
    (control / "state").mkdir(parents=True, exist_ok=True)
    (control / "state/location.json").write_text(json.dumps({"database": "x" * 300}))
    with pytest.raises(StoreError, match="xxx cannot be opened: File name too long"):
        open_reader(control)


@NEEDS_OTHERS
def test_a_folder_that_cannot_be_written_can_be_read(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    add_run(books, clock)
    books.close()
    # From Python 3.13 on, pathlib imports urllib as late as it needs it; Python may be only ours.
    code = (
        "import os, sys, urllib.parse\n"
        "from pathlib import Path\n"
        "from repoagents.store.reader import open_reader\n"
        "os.setuid(65534)\n"
        "print(open_reader(Path(sys.argv[1])).runs()[0].id)\n"
    )
    for folder in (control, *control.parents):
        ours = folder.is_relative_to("/tmp") or folder.is_relative_to("/dev/shm")
        if ours and folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    if not all(folder.stat().st_mode & 0o001 for folder in control.parents):
        pytest.skip("the temporary files are in a folder that is closed to others")
    done = subprocess.run(
        [sys.executable, "-c", code, str(control)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "run-1", done.stderr


def test_the_note_says_where_the_state_is(
    control: Path, path: Path, books: Database, clock: FakeClock, tmp_path: Path
) -> None:
    run = add_run(books, clock)
    books.close()
    elsewhere = tmp_path / "elsewhere.sqlite"
    path.rename(elsewhere)
    note = control / "state" / "location.json"
    note.write_text(json.dumps({"version": 1, "database": str(elsewhere)}))
    assert open_reader(control).runs() == (run,)
    note.write_text(json.dumps({"version": 1, "database": "../elsewhere.sqlite"}))
    assert open_reader(control).runs() == (run,)
    note.write_text(json.dumps({"version": 1, "database": None}))
    with pytest.raises(StateOnServer):
        open_reader(control)
    note.write_text("{half")
    assert open_reader(control).runs() == ()


def test_only_light_modules_are_needed(control: Path, books: Database, clock: FakeClock) -> None:
    add_run(books, clock)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from repoagents.store.reader import open_reader\n"
        "from repoagents.store.worker_lock import holder\n"
        "reader = open_reader(Path(sys.argv[1]))\n"
        "assert len(reader.runs()) == 1 and reader.counts() and holder(Path(sys.argv[1])) is None\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(control)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert loaded & {*HEAVY, "repoagents.ports"} == set()
    assert "sqlite3" in loaded


def test_a_reader_cannot_write(control: Path, books: Database) -> None:
    reader = open_reader(control)
    with pytest.raises(StoreError):
        reader._query("UPDATE meta SET value = 'x'", {})


def test_another_schema_is_refused_with_both_versions(control: Path, books: Database) -> None:
    for schema, message in (
        ("99", "schema 99.*knows schema 1"),
        ("0", "schema 0, older.*schema 1"),
    ):
        with books.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE meta SET value = '{schema}' WHERE key = 'schema'")
        with pytest.raises(StateUnreadable, match=message) as caught:
            open_reader(control)
        assert caught.value.next_step


def test_looking_at_the_state_takes_no_lock_away(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    """Closing the file by hand would: the next process to leave would then delete the log."""
    add_run(books, clock, 1)
    assert len(open_reader(control).runs()) == 1
    open_database(path, clock=clock).close()
    code = (
        "import sys\nfrom tests.fakes.clock import FakeClock\n"
        "from repoagents.store.database import open_database\n"
        "open_database(sys.argv[1], clock=FakeClock()).close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.with_name(f"{path.name}-wal").exists()
    add_run(books, clock, 2)
    assert [run.issue_number for run in open_reader(control).runs()] == [2, 1]
