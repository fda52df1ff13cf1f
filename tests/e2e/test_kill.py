"""kill -9 of the worker in every stage: nothing is lost, no finished stage is run again."""

import contextlib
import os
import random
import signal
import time

import pytest

from repoagents.domain.run import RunStatus, Stage
from repoagents.store.reader import open_reader
from tests.e2e.conftest import Project, is_running

ROLE_STAGE = {"planner": Stage.PLAN, "builder": Stage.BUILD, "reviewer": Stage.REVIEW}
KILLED_IN = [
    Stage.PREPARE,
    Stage.BASE_CHECK,
    Stage.PLAN,
    Stage.BUILD,
    Stage.VERIFY,
    Stage.REVIEW,
    Stage.VERDICT,
    Stage.PUBLISH,
    Stage.BUILD,
    Stage.REVIEW,
]


def _wait_for(project: Project, stage: Stage, seconds: float = 300) -> bool:
    """Whether the stage was seen before the run ended."""
    order = list(Stage)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = project.latest()
        if run is not None and run.stage is not None:
            if order.index(run.stage) >= order.index(stage):
                return True
            if run.status.terminal:
                return False
        time.sleep(0.005)
    raise AssertionError(f"stage {stage} never came")


def _calls(project: Project) -> list[tuple[str, str, int]]:
    rows = (line.split() for line in project.calls.read_text().splitlines())
    return [(word, role, int(pid)) for word, role, pid, _ in rows]


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "stage"), list(enumerate(KILLED_IN)))
def test_a_killed_worker_loses_and_repeats_nothing(
    project: Project, seed: int, stage: Stage
) -> None:
    chance = random.Random(seed)
    before = project.print_of_checkout()
    worker = project.start("trigger", "1", AGENT_SECONDS="0.4")
    _wait_for(project, stage)
    time.sleep(chance.uniform(0, 0.3))
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    run = project.latest()
    assert run is not None
    finished = {done for done, _round, _seconds in open_reader(project.control).timings(run.id)}
    calls_before = len(_calls(project))

    project.run("trigger", "1", AGENT_SECONDS="0.1")

    after = project.latest()
    assert after is not None
    assert (after.id, after.status) == (run.id, RunStatus.COMPLETED)
    repeated = [
        role
        for word, role, _pid in _calls(project)[calls_before:]
        if word == "start" and ROLE_STAGE[role] in finished
    ]
    assert repeated == []
    timings = [(done, round_) for done, round_, _ in open_reader(project.control).timings(run.id)]
    assert len(timings) == len(set(timings))
    assert not [pid for _word, _role, pid in _calls(project) if is_running(pid)]
    assert project.print_of_checkout() == before
    patch = project.control / "artifacts" / "issue-1" / run.id / "changes.patch"
    assert "+    return a + b" in patch.read_text()
