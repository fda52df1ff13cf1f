"""What every record of steps promises, on the durable engine and on the twin without one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Never, Protocol

import pytest
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from repoagents.durable.flows import DurableSteps
from repoagents.errors import Stopped
from repoagents.ports import Steps
from repoagents.store.database import open_database
from tests.fakes.clock import FakeClock
from tests.fakes.world import DirectSteps

Die = Callable[[], Awaitable[Never]]
Flow = Callable[[Steps, Die], Awaitable[str]]


class Stage(Protocol):
    """Where one flow is played, in as many lives as its process has."""

    async def live(self, flow: Flow) -> str | None:
        """Play the flow from its beginning; its result, or None when its process died."""


class DirectStage:
    """The twin: the record outlives the flow because it is the same object."""

    def __init__(self, _folder: Path) -> None:
        self._steps = DirectSteps()

    async def live(self, flow: Flow) -> str | None:
        """Play the flow."""
        died = asyncio.Event()
        return await until(died, asyncio.create_task(played(flow, self._steps, died)))


class DurableStage:
    """The engine on SQLite: each life launches it anew and takes up what the last one left."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / "state" / "repoagents.sqlite"
        self._lives = 0

    async def live(self, flow: Flow) -> str | None:
        """Launch the engine, start or resume the flow, and put the engine away."""
        self._lives += 1
        died, steps = asyncio.Event(), DurableSteps()
        async with self._launched(lambda: played(flow, steps, died)) as workflow:
            if self._lives == 1:
                with SetWorkflowID("flow"):
                    await DBOS.start_workflow_async(workflow)
            else:
                await DBOS.resume_workflows_async(["flow"])
            handle = await DBOS.retrieve_workflow_async("flow")
            return await until(died, asyncio.create_task(ended(handle)))

    @asynccontextmanager
    async def _launched(
        self, body: Callable[[], Awaitable[str]]
    ) -> AsyncIterator[Callable[[], Awaitable[str]]]:
        database = open_database(str(self._place), clock=FakeClock())
        config: DBOSConfig = {
            "name": "contract",
            "system_database_engine": database.engine,
            "application_version": "1",
            "executor_id": f"life-{self._lives}",
            "serializer": DBOSPortableJSONSerializer(),
            "console_log_level": "ERROR",
            "log_level": "ERROR",
        }
        DBOS(config=config)

        @DBOS.workflow(name="flow")
        async def workflow() -> str:
            return await body()

        DBOS.listen_queues([])
        DBOS.launch()
        try:
            yield workflow
        finally:
            engine = logging.getLogger("dbos")
            level = engine.level
            engine.setLevel(logging.CRITICAL)
            await cut_off()
            DBOS.destroy(destroy_registry=True)
            engine.setLevel(level)
            database.close()


async def played(flow: Flow, steps: Steps, died: asyncio.Event) -> str:
    """The flow, with a way to die in the middle of it."""

    async def die() -> Never:
        died.set()
        await asyncio.Event().wait()
        raise AssertionError

    return await flow(steps, die)


async def ended(handle: object) -> str:
    """The result of a workflow."""
    result: str = await handle.get_result()  # type: ignore[attr-defined]
    return result


async def until(died: asyncio.Event, life: "asyncio.Task[str]") -> str | None:
    """The flow's result, or None when it died first."""
    death = asyncio.create_task(died.wait())
    async with asyncio.timeout(300):
        await asyncio.wait({death, life}, return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        death.cancel()
        return life.result()
    life.cancel()
    return None


async def cut_off() -> None:
    """End whatever still runs in this loop, as the death of a process does."""
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@pytest.fixture(params=[DirectStage, DurableStage], ids=lambda cls: cls.__name__)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """Each record of steps in turn, empty."""
    made: Stage = request.param(tmp_path)
    return made


class Counted:
    """A step that notes each time it is really run."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def step(self, name: str, *, result: str = "") -> str:
        """Note the call; the result tells calls apart."""
        self.calls.append(name)
        return result or f"{name} no. {len(self.calls)}"


async def test_a_step_gets_its_arguments_and_gives_its_result(stage: Stage) -> None:
    counted = Counted()

    async def flow(steps: Steps, _die: Die) -> str:
        return await steps.run("plan", counted.step, "a", result="b")

    assert await stage.live(flow) == "b"
    assert counted.calls == ["a"]


async def test_each_name_is_a_step_of_its_own(stage: Stage) -> None:
    counted = Counted()

    async def flow(steps: Steps, _die: Die) -> str:
        names = ("a1.plan", "a1.build.r1", "a1.build.r2")
        return " ".join([await steps.run(name, counted.step, name) for name in names])

    assert await stage.live(flow) == "a1.plan no. 1 a1.build.r1 no. 2 a1.build.r2 no. 3"


async def test_after_a_death_what_was_recorded_is_not_run_again(stage: Stage) -> None:
    counted = Counted()
    lives: list[str] = []

    async def flow(steps: Steps, die: Die) -> str:
        lives.append("a life")
        first = await steps.run("plan", counted.step, "plan")
        second = await steps.run("build", counted.step, "build")
        if len(lives) == 1:
            await die()
        return f"{first}, {second}, {await steps.run('review', counted.step, 'review')}"

    assert await stage.live(flow) is None
    assert counted.calls == ["plan", "build"]
    assert await stage.live(flow) == "plan no. 1, build no. 2, review no. 3"
    assert counted.calls == ["plan", "build", "review"]


async def test_a_step_that_was_cut_off_is_run_again(stage: Stage) -> None:
    begun: list[str] = []

    async def flow(steps: Steps, die: Die) -> str:
        async def build() -> str:
            begun.append("build")
            if len(begun) == 1:
                await die()
            return "built"

        return await steps.run("build", build)

    assert await stage.live(flow) is None
    assert await stage.live(flow) == "built"
    assert begun == ["build", "build"]


async def test_any_number_of_deaths_is_one_run_of_each_step(stage: Stage) -> None:
    counted = Counted()
    lives: list[int] = []

    async def flow(steps: Steps, die: Die) -> str:
        lives.append(len(counted.calls))
        told = []
        for name in ("plan", "build", "review"):
            told.append(await steps.run(name, counted.step, name))
            if len(told) == len(lives):
                await die()
        return ", ".join(told)

    for _ in range(3):
        assert await stage.live(flow) is None
    assert await stage.live(flow) == "plan no. 1, build no. 2, review no. 3"
    assert lives == [0, 1, 2, 3]


async def test_after_its_end_no_step_of_the_engine_begins() -> None:
    counted, steps = Counted(), DurableSteps()
    steps.close()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await steps.run("plan", counted.step, "plan")
    assert (counted.calls, steps.busy) == ([], 0)


async def test_a_step_that_was_told_to_stop_leaves_no_result(tmp_path: Path) -> None:
    begun: list[str] = []
    stage = DurableStage(tmp_path)

    async def flow(steps: Steps, die: Die) -> str:
        async def build() -> str:
            begun.append("build")
            if len(begun) == 1:
                # The process is about to end: the engine must not take this for an outcome.
                asyncio.get_running_loop().call_later(0.1, asyncio.ensure_future, die())
                raise Stopped("ended with the worker", kind="interrupted")
            return "built"

        return await steps.run("build", build)

    assert await stage.live(flow) is None
    assert await stage.live(flow) == "built"
