"""A state that is damaged, foreign or newer is never an empty queue, and is never touched."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.errors import ConfigError, StateUnreadable, StoreError
from repoagents.store.connections import add_subsecond_clock
from repoagents.store.database import Database, open_database, open_server_reader
from repoagents.store.engine import make_engine
from repoagents.store.migrations import migrate
from repoagents.store.reader import open_reader
from tests.fakes.clock import FakeClock


def fill(books: Database, clock: FakeClock, count: int = 50) -> None:
    for number in range(1, count + 1):
        run = Run(
            f"run-{number}", number, "T" * 200, "f", RunStatus.QUEUED, clock.now(), clock.now()
        )
        assert books.runs.add(run, Issue(number, "T"))


def unreadable(control: Path, path: Path, clock: FakeClock, match: str) -> None:
    """Assert that reader and writer refuse the state and leave each of its bytes alone."""
    before = path.read_bytes() if path.exists() else None
    for attempt in (lambda: open_database(path, clock=clock), lambda: open_reader(control).runs()):
        with pytest.raises(StateUnreadable, match=match) as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert caught.value.next_step
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it is empty"),
        (b"{}\n" * 2000, "not a database"),
        (b"SQLite format 3\0" + b"\xff" * 8000, "damaged|cannot be used"),
    ],
)
def test_what_is_no_database_is_refused(
    control: Path, path: Path, clock: FakeClock, content: bytes, match: str
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    unreadable(control, path, clock, match)


def test_a_truncated_state_is_refused(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    fill(books, clock)
    books.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StateUnreadable, match="damaged"):
        open_database(path, clock=clock)
    assert path.read_bytes() == content[: len(content) // 2]


def test_a_scribbled_page_is_refused_before_anything_is_written(
    path: Path, books: Database, clock: FakeClock
) -> None:
    fill(books, clock)
    with books.engine.begin() as connection:
        page = connection.scalar(
            sa.text("SELECT rootpage FROM sqlite_master WHERE name = 'runs_by_status'")
        )
        size = connection.scalar(sa.text("PRAGMA page_size"))
    books.close()
    content = bytearray(path.read_bytes())
    start = (page - 1) * size
    content[start : start + size] = b"\xa5" * size
    path.write_bytes(content)
    with pytest.raises(StateUnreadable, match="damaged") as caught:
        open_database(path, clock=clock)
    assert "Restore a backup" in caught.value.next_step
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(
    control: Path, path: Path, clock: FakeClock
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title)")
    unreadable(control, path, clock, "not a state of repoagents")


def test_a_log_without_its_database_is_refused(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    fill(books, clock)
    path.rename(path.with_name("gone"))
    unreadable(control, path, clock, "the file is missing")


def test_a_newer_schema_is_refused(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    with books.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '2' WHERE key = 'schema'")
    books.close()
    unreadable(control, path, clock, "has schema 2; this program knows schema 1")


# --- migrations -----------------------------------------------------------------------------


def add_mood(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")


def add_weather(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN weather TEXT")
    connection.exec_driver_sql("UPDATE runs SET weather = mood || ' wind'")


def test_an_older_state_moves_forward_with_a_backup(
    path: Path, books: Database, clock: FakeClock
) -> None:
    fill(books, clock, 3)
    door = books.door
    steps = {2: add_mood, 3: add_weather}
    assert migrate(door, clock, steps, 3) == books.installation
    assert [row["weather"] for row in door.query("SELECT weather FROM runs", {})] == [
        "calm wind"
    ] * 3
    # The backup was taken while the log held everything: it must hold it too.
    backup = path.with_name(f"{path.name}.schema-1.bak")
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (3,)
        assert connection.execute("SELECT value FROM meta WHERE key='schema'").fetchone() == ("1",)
    assert migrate(door, clock, {}, 3) == books.installation
    with pytest.raises(StateUnreadable, match="has schema 3; this program knows schema 1"):
        migrate(door, clock)


def test_a_step_that_fails_leaves_the_state_as_it_was(books: Database, clock: FakeClock) -> None:
    fill(books, clock, 3)
    door = books.door

    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("UPDATE runs SET mood = 'gone'")
        connection.exec_driver_sql("SELECT no_such_column FROM runs")

    with pytest.raises(StoreError):
        migrate(door, clock, {2: add_mood, 3: fail}, 3)
    assert len(books.runs.select()) == 3
    assert "mood" not in [c["name"] for c in sa.inspect(books.engine).get_columns("runs")]
    assert migrate(door, clock) == books.installation


# --- the engine -----------------------------------------------------------------------------


def test_the_file_is_opened_for_safety(path: Path, books: Database) -> None:
    with books.engine.begin() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
        # Writers take their turn at the first write, not when they are half done.
        assert connection.connection.dbapi_connection.isolation_level == "IMMEDIATE"
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "busy_timeout": 30_000,
        "foreign_keys": 1,
    }
    assert make_engine(path).url == make_engine(f"sqlite:///{path}").url == books.engine.url


def test_milliseconds_are_taught_to_an_old_sqlite() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        if sqlite3.sqlite_version_info < (3, 42):
            before = connection.execute("SELECT unixepoch('subsec')").fetchone()
            assert before == (None,)
        add_subsecond_clock(connection)
        precise, whole, also = connection.execute(
            "SELECT unixepoch('subsec'), unixepoch(), unixepoch('now', 'subsec')"
        ).fetchone()
    assert isinstance(precise, float)
    assert isinstance(whole, int)
    assert 0 <= precise - whole < 2
    assert also >= precise


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:hunter2hunter2@host/db",
        "sqlite://",
        "postgresql://me:hunter2hunter2@host:port/db",
        "://hunter2hunter2",
    ],
)
def test_another_scheme_is_a_mistake_of_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"state\.database_url") as caught:
        make_engine(url)
    assert "hunter2" not in str(caught.value)
    assert "postgresql://" in caught.value.next_step


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2hunter2@127.0.0.1:9/work",
        "postgres://me@127.0.0.1:9/work?password=hunter2hunter2",
    ],
)
def test_no_password_is_shown_when_the_server_is_away(url: str, clock: FakeClock) -> None:
    for attempt in (lambda: open_database(url, clock=clock), lambda: open_server_reader(url)):
        with pytest.raises(StoreError, match=r"PostgreSQL at 127\.0\.0\.1:9/work") as caught:
            attempt()
        error: BaseException | None = caught.value
        while error is not None:
            assert "hunter2" not in f"{error} {error!r}"
            error = error.__cause__


def test_a_folder_that_is_a_file_is_named(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError, match=r"repoagents\.sqlite"):
        open_database(tmp_path / "state" / "repoagents.sqlite", clock=clock)


def test_a_pipe_in_the_place_of_the_note_is_not_waited_for(
    control: Path, path: Path, books: Database, clock: FakeClock
) -> None:
    fill(books, clock, count=1)
    (control / "state" / "location.json").unlink(missing_ok=True)
    os.mkfifo(control / "state" / "location.json")
    assert len(open_reader(control).runs()) == 1
