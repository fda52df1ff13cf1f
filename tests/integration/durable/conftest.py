"""The pipeline's house, worked by the real engine in this process."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.durable.worker import Assignment, run_worker
from tests.pipeline.conftest import Place, new_state, place

__all__ = ["new_state", "place", "work"]


@pytest.fixture
def work(place: Place) -> Callable[..., int]:
    """Be the worker on the real clock; returns how often the export was asked for."""
    place.house = replace(place.house, clock=SystemClock())

    def run(assignment: Assignment) -> int:
        changes: list[None] = []
        engine = place.house.runs._door.engine
        house = replace(place.house, owner=f"test-{len(place.journal.lines)}")
        run_worker(house, engine, assignment, lambda: changes.append(None))
        return len(changes)

    return run
