"""The worker in this process: flows that fall over, that are cut off, that are not ours."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from repoagents.domain.reports import BuildReport, Plan, Role
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.domain.settings import AgentSettings, VerifySettings
from repoagents.durable import flows
from repoagents.durable.worker import Assignment
from repoagents.errors import Exited, StateUnreadable, StoreError, TrackerError
from repoagents.ports import Request, RoleTask
from tests.fakes.agents import good_plan, write_fix
from tests.pipeline.conftest import ISSUE, Place

Work = Callable[[Assignment], int]

UNTIL_IDLE = Assignment(until_idle=True)


def workflows(place: Place) -> dict[str, str]:
    """The engine's own books: status by workflow id."""
    with place.house.runs._door.engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT workflow_uuid, status FROM workflow_status"))
        return {str(name): str(status) for name, status in rows}


def latest(place: Place, number: int = 1) -> Run:
    """The issue's newest run."""
    run = place.house.runs.latest(number)
    assert run is not None
    return run


def crash_twice(task: RoleTask, count: int) -> BuildReport:
    """A builder that falls over two times."""
    if count < 2:
        raise Exited("it fell over")
    return write_fix(task)


def test_a_run_is_one_workflow_and_its_waits_are_real(place: Place, work: Work) -> None:
    place.with_settings(agent=AgentSettings(base_retry_seconds=1))
    place.agents.builder = crash_twice
    place.tracker.issues = {1: ISSUE}
    begun = time.monotonic()
    work(UNTIL_IDLE)
    run = latest(place)
    assert (run.status, run.attempt) == (RunStatus.COMPLETED, 3)
    assert workflows(place) == {f"{run.id}.g0": "SUCCESS"}
    assert time.monotonic() - begun >= 1.5


def test_a_flow_that_falls_over_is_started_again(
    place: Place, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "PAUSE_SECONDS", 0.1)
    place.tracker.issues = {1: ISSUE}
    store = place.house.runs.replace
    refused: list[None] = []

    def refuse(before: Run, after: Run) -> bool:
        if after.status is RunStatus.COMPLETED and len(refused) < 2:
            refused.append(None)
            raise StoreError("the disk is full")
        return store(before, after)

    place.house.runs.replace = refuse
    work(UNTIL_IDLE)
    run = latest(place)
    assert (run.status, run.attempt, run.failures) == (RunStatus.COMPLETED, 1, 0)
    assert place.agents.count(Role.BUILDER) == 1
    assert workflows(place) == {
        f"{run.id}.g0": "ERROR",
        f"{run.id}.g0-r1": "ERROR",
        f"{run.id}.g0-r2": "SUCCESS",
    }


def test_a_state_that_cannot_be_read_in_a_stage_ends_the_worker(place: Place, work: Work) -> None:
    place.tracker.issues = {1: ISSUE}

    def damaged(*_arguments: object) -> None:
        raise StateUnreadable("damaged")

    place.house.stages.record = damaged
    with pytest.raises(StateUnreadable, match="damaged"):
        work(Assignment())


def test_a_flow_of_another_issue_is_left_for_the_next_worker(place: Place, work: Work) -> None:
    place.tracker.issues = {number: replace(ISSUE, number=number) for number in (1, 2)}
    first, second = place.queue(place.tracker.issues[1]), place.queue(place.tracker.issues[2])

    def end(_task: RoleTask, _count: int) -> Plan:
        raise StateUnreadable("the worker dies here")

    honest, place.agents.planner = place.agents.planner, end
    with pytest.raises(StateUnreadable):
        work(UNTIL_IDLE)
    place.agents.planner = honest
    assert workflows(place)[f"{second.id}.g0"] == "PENDING"
    # What a worker leaves that dies just after it asked the engine to go on.
    with place.house.runs._door.engine.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE workflow_status SET status = 'ENQUEUED', queue_name = :queue "
                "WHERE workflow_uuid = :id"
            ),
            {"queue": "_dbos_internal_queue", "id": f"{second.id}.g0"},
        )
    place.agents.reviewer = slow(place.agents.reviewer)
    work(Assignment(issue=1))
    assert place.now(first).status is RunStatus.COMPLETED
    assert place.now(second) == second, "not touched at all"
    work(UNTIL_IDLE)
    assert place.now(second).status is RunStatus.COMPLETED


def slow(script: Callable[..., object]) -> Callable[..., object]:
    """The same, later: the engine looks at its own queue once a second."""

    def later(*arguments: object) -> object:
        time.sleep(2.5)
        return script(*arguments)

    return later


def test_a_retry_waits_until_the_earlier_turn_has_let_go_of_the_worktree(
    place: Place, work: Work
) -> None:
    place.with_settings(agent=AgentSettings(max_concurrent_runs=2))
    place.tracker.issues = {1: ISSUE}
    inside: list[int] = []
    most: list[int] = []
    freeze = place.house.workspaces.freeze

    def long(*arguments: object) -> str:
        inside.append(1)
        most.append(len(inside))
        if len(most) == 1:
            for kind in ("cancel", "retry"):
                request = Request(kind, kind, 1, place.house.clock.now(), by="alex")
                place.house.inbox.put(request)
            time.sleep(2)
        inside.pop()
        return freeze(*arguments)

    place.house.workspaces.freeze = long
    work(UNTIL_IDLE)
    run = latest(place)
    assert (run.status, run.generation) == (RunStatus.COMPLETED, 1)
    assert max(most) == 1
    assert place.agents.count(Role.BUILDER) == 1


def test_many_waiting_runs_hold_no_thread_and_no_slot(place: Place, work: Work) -> None:
    place.with_settings(verify=(), agent=AgentSettings(max_concurrent_runs=1))
    place.tracker.issues = {n: replace(ISSUE, number=n) for n in range(1, 9)}
    threads: list[int] = []

    def count(_task: RoleTask, _count: int) -> Plan:
        threads.append(threading.active_count())
        return good_plan("fixed.txt")

    place.agents.planner = count
    work(UNTIL_IDLE)
    assert {latest(place, n).status for n in range(1, 9)} == {RunStatus.COMPLETED}
    assert threads[0] - threads[-1] < 5


def test_the_export_is_asked_for_when_something_moved(place: Place, work: Work) -> None:
    assert work(UNTIL_IDLE) <= 2
    place.tracker.down = True
    with pytest.raises(TrackerError):
        work(Assignment(once=True))


def test_the_order_of_the_issues_is_kept(place: Place, work: Work) -> None:
    place.with_settings(verify=(VerifySettings("fixed", "true"),))
    place.tracker.issues = {n: replace(ISSUE, number=n) for n in (3, 1, 2)}
    for number in (3, 1, 2):
        place.queue(place.tracker.issues[number])
    work(UNTIL_IDLE)
    finished = {n: latest(place, n).finished_at for n in (1, 2, 3)}
    assert sorted(finished, key=lambda n: str(finished[n])) == [3, 1, 2]
    assert latest(place, 3).stage is Stage.PUBLISH
