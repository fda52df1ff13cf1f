"""Servers on this machine in the place of GitHub, and clients that ask them."""

from collections.abc import Iterator

import pytest

from tests.fakes.clock import FakeClock
from tests.integration.github.stub import Bed, Stub, build, serve


@pytest.fixture
def stub() -> Iterator[Stub]:
    """GitHub, as far as the test says."""
    yield from serve()


@pytest.fixture
def elsewhere() -> Iterator[Stub]:
    """Another host: no credential of ours may ever arrive here."""
    yield from serve()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bed(stub: Stub, clock: FakeClock) -> Iterator[Bed]:
    """A client with a token."""
    made = build(stub, clock)
    yield made
    made.door.close()
