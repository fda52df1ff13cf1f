"""Crashes between any two steps, and clocks, wake-ups and budgets in the middle of a run."""

import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import ParamSpec

import pytest

from repoagents.domain.issue import IssueState
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import (
    AgentSettings,
    LimitSettings,
    SafetySettings,
    VerifySettings,
)
from repoagents.errors import Exited, StateUnreadable, Stopped, StoreError
from repoagents.pipeline import recovery, roles
from repoagents.pipeline.attempt import run_attempt, run_flow, settle
from repoagents.pipeline.boundary import DONE, StepResult, guarded
from repoagents.ports import Checks, RoleTask, Worktree
from tests.fakes.agents import good_plan, write_fix
from tests.fakes.world import DirectSteps, DirectWaits
from tests.pipeline.conftest import ISSUE, Place

P = ParamSpec("P")

STEPS = (
    *("begin", "prepare", "base_check", "plan"),
    *("build-1", "verify-1", "review-1", "verdict-1"),
    *("build-2", "verify-2", "review-2", "verdict-2"),
    *("publish-2", "settle-1"),
)


class Died(BaseException):
    """The process is gone."""


class DyingSteps(DirectSteps):
    """Dies once, after the named step's work and before its record."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.last = last
        self.names: list[str] = []

    async def run(
        self,
        name: str,
        step: Callable[P, Coroutine[object, object, str]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str:
        """The recorded result, or the step's; or death."""
        if name == self.last:
            self.last = ""
            await step(*args, **kwargs)
            raise Died
        self.names.append(name)
        return await super().run(name, step, *args, **kwargs)


class SameSteps(DirectWaits):
    """An attempt's steps are the flow's own, as in the engine."""

    steps: DirectSteps

    async def attempt(self, run_id: str, generation: int, number: int) -> str:
        """Run it here."""
        return await run_attempt(self.house, self.steps, run_id, generation, number)


@pytest.mark.parametrize("name", STEPS)
async def test_a_step_that_was_done_and_not_recorded_is_done_again_without_harm(
    place: Place, name: str
) -> None:
    place.with_settings(safety=SafetySettings(allow_write_comments=True, allow_open_pr=True))
    place.agents.builder = lambda task, count: write_fix(task, "fixed\n" if count else "not yet\n")
    run = place.queue()
    steps, waits = DyingSteps(name), SameSteps(place.house)
    waits.steps = steps
    with pytest.raises(Died):
        await run_flow(place.house, steps, waits, run.id, 0, 1)
    recovery.recover(place.house)
    await run_flow(place.house, steps, waits, run.id, 0, 1)
    ended = place.now(run)
    assert (ended.status, ended.attempt, ended.round) == (RunStatus.COMPLETED, 1, 2)
    assert tuple(dict.fromkeys(steps.names)) == STEPS
    asked = {role: place.agents.count(role) for role in Role}
    assert asked == {Role.PLANNER: 1, Role.BUILDER: 2, Role.REVIEWER: 2}
    assert place.house.workspaces.branch_head(ended.branch) == ended.head_sha
    assert (len(place.tracker.pull_requests), len(place.tracker.comments)) == (1, 1)
    assert all(row.state == "done" for row in place.house.ledger.rows(run.id))
    timings = [(stage, round_) for stage, round_, _ in place.house.stages.timings(run.id)]
    assert len(timings) == len(set(timings))


async def test_settling_twice_spends_one_retry(place: Place) -> None:
    place.agents.builder = crash
    run = place.queue()
    result = await run_attempt(place.house, DirectSteps(), run.id, 0, 1)
    first = await settle(place.house, run.id, 0, result)
    assert await settle(place.house, run.id, 0, result) == first
    assert place.now(run).failures == 1


def crash(_task: RoleTask, _count: int) -> BuildReport:
    """A builder that falls over."""
    raise Exited("it fell over")


# --- what others do in the middle of a run --------------------------------------------------------


@pytest.mark.parametrize("last", [Role.PLANNER, Role.BUILDER, Role.REVIEWER])
@pytest.mark.parametrize("gone", [True, False])
async def test_an_issue_that_goes_away_stops_the_run_before_the_next_call_and_publication(
    place: Place, last: Role, gone: bool
) -> None:
    place.with_settings(safety=SafetySettings(allow_open_pr=True))
    honest = getattr(place.agents, last.value)

    def close(task: RoleTask, count: int) -> object:
        if gone:
            del place.tracker.issues[1]
        else:
            place.tracker.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
        return honest(task, count)

    setattr(place.agents, last.value, close)
    run = await place.flow(place.queue())
    assert run.status is RunStatus.CANCELLED
    assert run.failure is not None
    assert ("gone" if gone else "closed") in run.failure.message
    assert place.agents.asked[-1][0] is last
    assert place.tracker.pull_requests == {}
    assert place.house.workspaces.branch_head(run.branch or "repoagents/none") is None


async def test_an_outage_between_the_roles_stops_nothing(place: Place) -> None:
    def down(_task: RoleTask, _count: int) -> object:
        place.tracker.down = True
        return good_plan("fixed.txt")

    def up(task: RoleTask, _count: int) -> BuildReport:
        place.tracker.down = False
        return write_fix(task)

    place.agents.planner, place.agents.builder = down, up
    run = await place.flow(place.queue())
    assert (run.status, run.attempt) == (RunStatus.COMPLETED, 1)
    assert "issue_unread" in place.journal.codes()


async def test_the_frozen_text_is_used_whatever_becomes_of_the_issue(place: Place) -> None:
    def edit(_task: RoleTask, _count: int) -> object:
        place.tracker.issues[1] = replace(ISSUE, body="Now do something else.")
        return good_plan("fixed.txt")

    place.agents.planner = edit
    run = await place.flow(place.queue())
    assert run.status is RunStatus.COMPLETED
    assert not any("something else" in prompt for _, prompt in place.agents.asked)


async def test_a_run_cancelled_between_two_processes_starts_no_other(place: Place) -> None:
    run = place.queue()
    freeze = place.house.workspaces.freeze

    def cancelled(*args: object) -> str:
        now = place.now(run)
        if now.stage is Stage.BUILD and not now.status.terminal:
            place.house.runs.replace(now, now.cancel(place.clock.now(), "alex"))
        return freeze(*args)

    place.house.workspaces.freeze = cancelled
    ended = await place.flow(run)
    assert ended.status is RunStatus.CANCELLED
    assert place.agents.count(Role.BUILDER) == 0


async def test_a_process_ends_with_its_run_whoever_ended_that(place: Place) -> None:
    place.with_settings(verify=(VerifySettings("slow", "sleep 60", kind="custom"),))
    run = place.queue()

    async def body(_run: Run) -> StepResult:
        worktree, _ = place.house.workspaces.open(1, run.id, place.house.workspaces.refresh().sha)
        now = place.now(run)
        place.house.runs.replace(now, now.cancel(place.clock.now()))
        await place.house.checks.verify(place.house.settings.verify[0], worktree, "slow", 60)
        return DONE

    place.house.runs.replace(run, run.start(place.clock.now()))
    assert "stopped" in await guarded(place.house, run.id, 0, Stage.VERIFY, body)


# --- time ----------------------------------------------------------------------------------------


async def test_the_runs_time_caps_a_check(place: Place) -> None:
    place.with_settings(
        verify=(VerifySettings("slow", "sleep 60", kind="custom"),),
        agent=AgentSettings(run_timeout_seconds=1, retry_limit=1),
    )
    run = await place.flow(place.queue())
    assert run.status is RunStatus.FAILED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.TIMEOUT_HARD
    assert "agent.run_timeout_seconds" in run.failure.message


async def test_no_stage_begins_when_the_runs_time_is_up_and_the_next_attempt_goes_on(
    place: Place,
) -> None:
    def slow(_task: RoleTask, _count: int) -> object:
        place.clock.advance(10_000)
        return good_plan("fixed.txt")

    place.agents.planner = slow
    run = await place.flow(place.queue())
    assert (run.status, run.attempt, run.failures) == (RunStatus.COMPLETED, 2, 1)
    assert place.agents.count(Role.PLANNER) == 1


class RestlessWaits(DirectWaits):
    """Waits that somebody ends long before their time."""

    async def wait(self, seconds: float) -> None:
        """A tenth of it."""
        self.waited.append(seconds)
        await self.house.clock.sleep(max(seconds / 10, 1))


async def test_a_wake_up_does_not_shorten_the_wait_for_a_retry(place: Place) -> None:
    starts: list[float] = []

    def fall(_task: RoleTask, _count: int) -> BuildReport:
        starts.append(place.clock.monotonic())
        raise Exited("it fell over")

    place.agents.builder = fall
    place.waits = RestlessWaits(place.house)
    await place.flow(place.queue())
    first, second, third = starts
    assert second - first >= 15
    assert third - second >= 30


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1)])
async def test_a_clock_that_is_set_neither_loses_nor_doubles_a_retry(
    place: Place, jump: timedelta
) -> None:
    class Jump(DirectWaits):
        async def wait(self, seconds: float) -> None:
            await super().wait(seconds)
            place.clock.instant += jump

    place.agents.builder = crash
    place.waits = Jump(place.house)
    run = await place.flow(place.queue())
    assert (run.status, run.attempt) == (RunStatus.FAILED, 3)
    assert len(place.waits.waited) == 2
    assert sum(place.waits.waited) <= 90


# --- money ---------------------------------------------------------------------------------------


async def test_a_cap_reached_in_mid_run_is_told_once_and_waited_for(place: Place) -> None:
    place.with_settings(limits=LimitSettings(calls_per_hour=1))
    run = await place.flow(place.queue())
    assert (run.status, run.attempt, run.failures) == (RunStatus.COMPLETED, 3, 0)
    told = [line for line in place.journal.lines if line[0] == "stage_failed"]
    assert len(told) == 2, "once for the builder, once for the reviewer"


async def test_a_repair_is_a_call_of_its_own(place: Place) -> None:
    place.with_settings(limits=LimitSettings(calls_per_hour=1))
    place.agents.invalid = [Role.PLANNER]
    run = place.queue()
    result = await run_attempt(place.house, DirectSteps(), run.id, 0, 1)
    assert "limits.calls_per_hour" in result
    assert place.agents.count(Role.PLANNER) == 1


async def test_runs_side_by_side_cannot_pass_a_cap(place: Place) -> None:
    place.with_settings(limits=LimitSettings(calls_per_hour=3))
    run = place.queue()
    begin = threading.Barrier(12)
    reserved: list[int] = []

    def ask() -> None:
        begin.wait()
        try:
            reserved.append(roles._reserve(place.house, run, Stage.PLAN, "prompt"))
        except roles.Halted:
            return

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reserved) == 3


# --- the state itself ----------------------------------------------------------------------------


async def test_a_state_that_refuses_fails_the_attempt_and_an_unreadable_one_the_worker(
    place: Place,
) -> None:
    run = place.queue()
    progress = place.house.runs.progress
    errors: list[StoreError] = [StoreError("the disk is full")]

    def refuse(*args: object) -> None:
        if errors:
            raise errors.pop()
        progress(*args)

    place.house.runs.progress = refuse
    ended = await place.flow(run)
    assert (ended.status, ended.attempt, ended.failures) == (RunStatus.COMPLETED, 2, 1)
    again = place.queue(replace(ISSUE, number=2))
    errors.append(StateUnreadable("damaged"))
    with pytest.raises(StateUnreadable):
        await place.flow(again)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), StoreError("locked")])
async def test_a_last_word_that_cannot_be_written_changes_no_outcome(
    place: Place, error: Exception
) -> None:
    run = place.queue()
    write = place.house.artifacts.write

    def refuse(issue: int, run_id: str, name: str, text: str) -> object:
        if name == "handoff.md":
            raise error
        return write(issue, run_id, name, text)

    place.house.artifacts.write = refuse
    ended = await place.flow(run)
    assert ended.status is RunStatus.COMPLETED
    assert "handoff_failed" in place.journal.codes()


@pytest.mark.parametrize("kind", ["cancelled", "interrupted"])
async def test_an_interrupted_stage_is_left_to_the_next_worker(place: Place, kind: str) -> None:
    async def body(_run: Run) -> StepResult:
        raise Stopped("ended", kind=kind)

    run = place.queue()
    place.house.runs.replace(run, run.start(place.clock.now()))
    if kind == "cancelled":
        assert "stopped" in await guarded(place.house, run.id, 0, Stage.BUILD, body)
    else:
        with pytest.raises(Stopped):
            await guarded(place.house, run.id, 0, Stage.BUILD, body)


async def test_recovery_goes_on_with_the_oldest_run_first(place: Place) -> None:
    runs = []
    for number in (3, 1, 2):
        runs.append(place.queue(replace(ISSUE, number=number)))
        place.clock.advance(1)
    assert [run.id for run in recovery.recover(place.house)] == [run.id for run in runs]


class SetUp:
    """Checks whose set-up hook leaves a file; the rest is the real thing."""

    def __init__(self, real: Checks) -> None:
        self.verify = real.verify

    async def hook(self, name: str, worktree: Worktree) -> str:
        """Leave the file."""
        if name == "after_create":
            (worktree.path / "made-by-hook").write_text("ready\n")
        return ""


async def test_a_crash_between_worktree_and_hook_does_not_skip_the_hook(place: Place) -> None:
    place.house = replace(place.house, checks=SetUp(place.house.checks))
    place.waits.house = place.house
    run = place.queue()
    base = place.house.workspaces.refresh()
    _, created = place.house.workspaces.open(run.issue_number, run.id, base.sha)
    assert created, "as a worker leaves it that dies right here"
    seen: list[bool] = []

    def look(task: RoleTask, _count: int) -> BuildReport:
        seen.append((task.worktree / "made-by-hook").exists())
        return write_fix(task)

    place.agents.builder = look
    ended = await place.flow(run)
    assert (ended.status, seen) == (RunStatus.COMPLETED, [True])
    assert "made-by-hook" not in place.artifact(run, "changes.patch")
