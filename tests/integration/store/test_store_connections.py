"""Our own connections to the file: one thread at a time, few kept, none left behind."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from repoagents.errors import StoreError
from repoagents.store import connections as room
from repoagents.store.connections import IDLE, FileConnections
from repoagents.store.database import Database
from repoagents.store.engine import Door
from repoagents.store.faults import Conflict
from repoagents.store.rows import Column

NOTE = "INSERT INTO meta (key, value) VALUES (:key, :value)"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Every connection that is opened from now on."""
    connections: list[sqlite3.Connection] = []
    connect = room.connect

    def record(path: Path) -> sqlite3.Connection:
        connections.append(connect(path))
        return connections[-1]

    monkeypatch.setattr(room, "connect", record)
    return connections


@pytest.fixture
def pool(path: Path, books: Database) -> Iterator[FileConnections]:
    """New connections to a state that is there."""
    books.close()
    connections = FileConnections(path)
    yield connections
    connections.close()


def is_open(connection: sqlite3.Connection) -> bool:
    with suppress(sqlite3.ProgrammingError):
        return connection.total_changes >= 0
    return False


def living(opened: list[sqlite3.Connection]) -> int:
    return sum(is_open(connection) for connection in opened)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run it in as many threads at once; what one raises is raised here."""
    errors: list[BaseException] = []

    def go(n: int) -> None:
        try:
            work(n)
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=go, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def write(place: Door | FileConnections, *statements: tuple[str, dict[str, Column]]) -> None:
    """Execute them in one transaction."""
    with place.begin() as execute:
        for sql, values in statements:
            execute(sql, values)


def note(key: str) -> tuple[str, dict[str, Column]]:
    return NOTE, {"key": key, "value": ""}


def noted(door: Door) -> set[str]:
    return {row["key"] for row in door.query("SELECT key FROM meta", {})}


def descriptors(path: Path) -> int:
    """How many descriptors of the file this process holds."""
    count, wanted = 0, path.stat()
    for descriptor in Path("/dev/fd").iterdir():
        with suppress(OSError):
            count += os.path.samestat(os.fstat(int(descriptor.name)), wanted)
    return count


def is_locked(path: Path) -> bool:
    """Whether another writer would have to wait."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        other.execute("ROLLBACK")
    return False


# --- how they are opened --------------------------------------------------------------------


def test_ours_are_opened_as_safely_as_the_engines(books: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys")
    pragmas = {name: books.door.query(f"PRAGMA {name}", {})[0][name] for name in names}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    (row,) = books.door.query("PRAGMA busy_timeout", {})
    assert row["timeout"] == 30_000


def test_a_state_that_is_gone_is_not_made_anew(path: Path, books: Database) -> None:
    books.close()
    path.unlink()
    with pytest.raises(StoreError, match="cannot be opened"):
        books.door.query("SELECT key FROM meta", {})
    assert not path.exists()


def test_what_cannot_be_set_up_is_closed(path: Path, pool: FileConnections) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        write(pool)
    # The traceback would keep a connection that was only let go of.
    assert caught.value.sqlite_errorname == "SQLITE_NOTADB"
    assert descriptors(path) == 0


# --- who has them ---------------------------------------------------------------------------


def test_one_is_enough_for_one_thread(
    pool: FileConnections, opened: list[sqlite3.Connection]
) -> None:
    for _ in range(5):
        with pool.read() as execute:
            assert execute("SELECT 1 AS one", {})[0]["one"] == 1
        with pool.begin() as execute:
            assert execute("UPDATE meta SET value = value", {}) == []
    assert len(opened) == 1


def test_no_two_threads_have_the_same_one(
    pool: FileConnections, opened: list[sqlite3.Connection]
) -> None:
    gate = threading.Barrier(12, timeout=300)

    def work(n: int) -> None:
        for _ in range(3):
            with pool.read() as execute:
                # A temporary table is its connection's own.
                execute("CREATE TEMP TABLE mine AS SELECT :n AS n", {"n": n})
                gate.wait()
                assert [row["n"] for row in execute("SELECT n FROM mine", {})] == [n]
                execute("DROP TABLE mine", {})
                gate.wait()

    in_threads(12, work)
    assert len(opened) >= 12
    assert living(opened) == len(pool._idle) == IDLE


def test_writers_take_turns(books: Database) -> None:
    books.door.query("SELECT 1", {})

    def work(n: int) -> None:
        for round_ in range(5):
            with books.door.begin() as execute:
                (row,) = execute("SELECT count(*) AS count FROM meta", {})
                key = f"{n}.{round_}"
                execute(NOTE, {"key": key, "value": str(row["count"])})

    before = len(noted(books.door))
    in_threads(8, work)
    rows = books.door.query("SELECT value FROM meta WHERE key LIKE '%.%'", {})
    # No two counted the same rows: each transaction saw all that were before it.
    assert sorted(int(row["value"]) for row in rows) == list(range(before, before + 40))


# --- what fails -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (NOTE, Conflict),
        ("INSERT INTO meta (key, value) VALUES (:key, NULL)", Conflict),
        ("INSERT INTO nowhere VALUES (:key, :value)", StoreError),
    ],
)
def test_a_write_that_fails_leaves_nothing_behind(
    path: Path, books: Database, statement: str, error: type[StoreError]
) -> None:
    with pytest.raises(error, match="refused"):
        write(books.door, note("first"), (statement, {"key": "schema", "value": ""}))
    assert not is_locked(path)
    assert "first" not in noted(books.door)
    with books.door.begin() as execute:
        assert is_locked(path)
        execute(*note("second"))
    assert "second" in noted(books.door)


def test_an_exception_of_the_caller_takes_the_write_back(path: Path, books: Database) -> None:
    def interrupted() -> None:
        with books.door.begin() as execute:
            execute(*note("first"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_locked(path)
    assert "first" not in noted(books.door)


def test_a_commit_that_fails_takes_the_write_back(
    pool: FileConnections, opened: list[sqlite3.Connection], path: Path
) -> None:
    orphan = "INSERT INTO issues (run_id, issue) VALUES (:id, :id)"
    with pytest.raises(sqlite3.IntegrityError):
        write(pool, ("PRAGMA defer_foreign_keys = ON", {}), (orphan, {"id": "unknown"}))
    assert not is_locked(path)
    assert living(opened) == 0
    with pool.read() as execute:
        assert execute("SELECT * FROM issues", {}) == []


def test_one_that_failed_is_not_used_again(
    pool: FileConnections, opened: list[sqlite3.Connection]
) -> None:
    def break_it() -> None:
        with pool.read() as execute:
            opened[0].close()
            execute("SELECT 1", {})

    with pytest.raises(sqlite3.ProgrammingError):
        break_it()
    with pool.read() as execute:
        assert len(execute("SELECT 1", {})) == 1
    assert len(opened) == 2


# --- when it is over ------------------------------------------------------------------------


def test_closing_leaves_no_connection_and_no_log(
    path: Path, pool: FileConnections, opened: list[sqlite3.Connection]
) -> None:
    with pool.begin() as execute, pool.read() as other:
        execute(*note("first"))
        assert other("SELECT * FROM meta WHERE key = 'first'", {}) == []
    assert living(opened) == 2
    pool.close()
    assert living(opened) == 0
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_one_in_use_is_closed_when_its_use_ends(
    pool: FileConnections, opened: list[sqlite3.Connection]
) -> None:
    with pool.begin() as execute:
        pool.close()
        execute(*note("late"))
    assert living(opened) == 0
    with pool.read() as execute:
        assert len(execute("SELECT * FROM meta WHERE key = 'late'", {})) == 1
    assert len(opened) == 2
    assert living(opened) == 0


def test_closing_amid_many_users_forgets_none(
    pool: FileConnections, opened: list[sqlite3.Connection]
) -> None:
    def work(n: int) -> None:
        for round_ in range(50):
            if n == 0 and round_ == 25:
                pool.close()
            with pool.read() as execute:
                execute("SELECT 1", {})

    in_threads(6, work)
    assert living(opened) == 0


def test_the_books_close_their_own_too(
    books: Database, opened: list[sqlite3.Connection], path: Path
) -> None:
    books.door.close()
    books.door.query("SELECT 1", {})
    books.close()
    assert living(opened) == 0
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_log_that_grew_is_cut_when_it_is_begun_anew(
    path: Path, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that takes its time, such as a backup, lets it grow."""
    limit = "journal_size_limit=100000"
    changed = tuple(limit if one.startswith("journal_size") else one for one in room.PRAGMAS)
    assert changed != room.PRAGMAS
    monkeypatch.setattr(room, "PRAGMAS", changed)
    books.close()
    log = path.with_name(f"{path.name}-wal")
    with closing(room.connect(path)) as writer:
        with closing(room.connect(path)) as reader:
            reader.execute("BEGIN").execute("SELECT * FROM meta").fetchall()
            for number in range(100):
                writer.execute(NOTE, {"key": f"key-{number}", "value": "x" * 10_000})
            reader.execute("COMMIT")
        assert log.stat().st_size > 1_000_000
        writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        writer.execute(NOTE, {"key": "later", "value": "x"})
        assert log.stat().st_size <= 100_000
