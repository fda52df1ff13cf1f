"""Opening the state twice in one process costs neither opening its locks.

POSIX locks belong to the process: when it closes any descriptor of the file, all of them are gone
(https://sqlite.org/howtocorrupt.html, section 2.2), and the next process to leave believes itself
the last one and deletes the write-ahead log that we go on writing to.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.store.database import Database, open_database
from repoagents.store.reader import open_reader
from tests.fakes.clock import FakeClock

VISIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
connection.close()
"""


def visit(path: Path) -> int:
    """Another process opens the state, counts the runs, and leaves."""
    command = [sys.executable, "-c", VISIT, str(path)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def add(books: Database, clock: FakeClock, number: int) -> None:
    """Store a run."""
    at = clock.now()
    run = Run(f"run-{number}", number, "T", "f", RunStatus.QUEUED, at, at)
    assert books.runs.add(run, Issue(number, "T"))


@pytest.mark.parametrize(
    "again",
    [
        lambda control, path, clock: open_reader(control).runs(),
        lambda control, path, clock: open_database(path, clock=clock).close(),
    ],
    ids=["reader", "writer"],
)
def test_a_second_opening_keeps_the_first_ones_locks(
    control: Path,
    path: Path,
    books: Database,
    clock: FakeClock,
    again: Callable[[Path, Path, FakeClock], object],
) -> None:
    add(books, clock, 1)
    again(control, path, clock)
    assert visit(path) == 1
    add(books, clock, 2)
    assert visit(path) == 2
