"""The durable engine works on our engine, in the same file as our tables."""

import json
import subprocess
import sys
from pathlib import Path

from repoagents.domain.run import RunStatus
from repoagents.store.reader import open_reader

SCRIPT = """
import json, sqlite3, sys
import sqlalchemy as sa
from dbos import DBOS, DBOSPortableJSONSerializer
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.store import connections as room
from repoagents.store.database import open_database
from tests.fakes.clock import FakeClock

clock = FakeClock()
books = open_database(sys.argv[1], clock=clock)
# What Python 3.12 needs beside an old SQLite must do no harm anywhere.
sa.event.listen(books.engine, "connect", lambda c, _: room.add_subsecond_clock(c))
books.engine.dispose()
DBOS(config={
    "name": "repoagents",
    "system_database_engine": books.engine,
    "application_version": "1",
    "executor_id": "tests",
    "serializer": DBOSPortableJSONSerializer(),
    "log_level": "ERROR",
})

@DBOS.step()
def begin(number):
    run = Run(f"run-{number}", number, "T", "f", RunStatus.QUEUED, clock.now(), clock.now())
    added = books.runs.add(run, Issue(number, "T"))
    books.runs.replace(run, run.start(clock.now()))
    return added

@DBOS.workflow()
def work(number):
    return begin(number)

DBOS.launch()
started = [DBOS.start_workflow(work, number) for number in range(1, 21)]
print(json.dumps([handle.get_result() for handle in started]))
DBOS.destroy()
books.close()
"""


def test_workflows_and_books_share_one_file(control: Path, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        cwd=control,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True] * 20
    assert open_reader(control).counts() == {RunStatus.IN_PROGRESS: 20}
    # Everything is in the one file: the engine made none of its own where it was started.
    assert [entry.name for entry in control.iterdir()] == ["state"]
    assert {entry.name for entry in path.parent.iterdir()} <= {
        path.name,
        f"{path.name}-wal",
        f"{path.name}-shm",
    }
