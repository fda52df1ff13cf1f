"""The event loop waits for no disk: whatever a run writes is written by another thread."""

import threading
from dataclasses import replace

import pytest

from repoagents.domain.reports import CriterionRow, Decision, Review
from repoagents.domain.run import RunStatus
from repoagents.domain.settings import HookSettings
from repoagents.ports import RoleTask
from repoagents.store import artifacts
from repoagents.store.engine import Door
from tests.fakes.agents import approve
from tests.pipeline.conftest import Place


def content_at_last(task: RoleTask, count: int) -> Review:
    """A reviewer who wants a second round."""
    if count:
        return approve(task)
    rows = tuple(CriterionRow(one, met=False, evidence="no") for one in task.criteria)
    return Review(Decision.REQUEST_CHANGES, rows)


async def test_no_write_of_a_run_holds_up_the_loop(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = HookSettings(after_create="true", before_run="true", after_run="true")
    place.with_settings(workspace=replace(place.house.settings.workspace, hooks=hooks))
    place.agents.reviewer = content_at_last
    run = place.queue()
    begin, write, there = Door.begin, artifacts.write_atomically, []

    def note() -> None:
        there.append(threading.current_thread() is threading.main_thread())

    def begin_noted(door: Door) -> object:
        note()
        return begin(door)

    def write_noted(path: object, content: object) -> None:
        note()
        write(path, content)

    with monkeypatch.context() as noted:
        noted.setattr(Door, "begin", begin_noted)
        noted.setattr(artifacts, "write_atomically", write_noted)
        run = await place.flow(run)
    assert (run.status, run.round) == (RunStatus.COMPLETED, 2)
    assert len(there) > 20
    assert sum(there) == 0
