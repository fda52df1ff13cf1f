"""A state on disk, with some runs in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repoagents.store.database import Database, open_database
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """A control plane's folder."""
    control = tmp_path / ".ai-repoagents"
    control.mkdir()
    return control


@pytest.fixture
def path(control: Path) -> Path:
    """Where the state goes."""
    return control / "state" / "repoagents.sqlite"


@pytest.fixture
def books(path: Path, clock: FakeClock) -> Iterator[Database]:
    """A new state, open for writing."""
    database = open_database(path, clock=clock)
    yield database
    database.close()
