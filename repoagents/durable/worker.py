"""The worker: the one process per state that launches the durable engine and does the work."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import Engine

from repoagents.domain.run import Run, RunStatus
from repoagents.durable.flows import DurableFlows
from repoagents.errors import StateUnreadable, StoreError
from repoagents.pipeline import recovery
from repoagents.pipeline.tick import Rhythm, run_errands, sweep_when_due, tick
from repoagents.policy import retry
from repoagents.ports import House

PIPELINE_VERSION = "1"
"""The order of steps: raise it only when an old run cannot go on in the new order."""

TICK_SECONDS = 0.5
IDLE_TICK_SECONDS = 1.0
STOP_SECONDS = 20.0
"""How long the agents are given to end before the worker leaves: TERM, then KILL."""

SOON = timedelta(seconds=60)
ACTIVE = (RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.RETRY_PENDING)


@dataclass(frozen=True)
class Assignment:
    """What this worker is for: everything, or one issue; for ever, until idle, or one poll."""

    issue: int | None = None
    until_idle: bool = False
    once: bool = False

    @property
    def ends(self) -> bool:
        """Whether the worker ends by itself."""
        return self.until_idle or self.once or self.issue is not None


class Interrupted(Exception):
    """The worker was asked to stop; `parked` are the runs that the next worker goes on with."""

    def __init__(self, parked: tuple[Run, ...]) -> None:
        super().__init__("interrupted")
        self.parked = parked


def run_worker(
    house: House, engine: Engine, assignment: Assignment, changed: Callable[[], None]
) -> None:
    """Do the assigned work; the caller holds the worker lock.

    `changed` is called at most once a second while runs move, and at the end. Raises `Interrupted`
    after Ctrl-C or SIGTERM, when every agent has been ended; `StateUnreadable` when the state
    cannot be read any more.
    """
    asyncio.run(_serve(house, engine, assignment, changed))


async def _serve(
    house: House, engine: Engine, assignment: Assignment, changed: Callable[[], None]
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    # The signals are held until everything is put away: a second Ctrl-C must not cut that short.
    with _signals(lambda: loop.call_soon_threadsafe(stop.set)):
        recovered = await asyncio.to_thread(recovery.recover, house, assignment.issue)
        async with _launched(house, engine, assignment.issue) as flows:
            await flows.resume()
            for run in recovered:
                await asyncio.to_thread(flows.start, run)
            try:
                await _work(house, flows, assignment, changed, stop)
            finally:
                parked = await _park(house, flows, assignment.issue)
            await asyncio.to_thread(changed)
    if stop.is_set():
        raise Interrupted(parked)


@contextmanager
def _signals(request: Callable[[], object]) -> Iterator[None]:
    """Call this at each Ctrl-C and SIGTERM."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        request()

    before = {name: signal.signal(name, ask) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@asynccontextmanager
async def _launched(house: House, engine: Engine, issue: int | None) -> AsyncIterator[DurableFlows]:
    """The engine, launched in this event loop under an executor id of this process alone.

    With an id of its own the engine recovers nothing by itself; `DurableFlows.resume` does, under
    the worker lock, so that two processes never take up the same work.
    """
    config: DBOSConfig = {
        "name": "repoagents",
        "system_database_engine": engine,
        "application_version": PIPELINE_VERSION,
        "executor_id": house.owner,
        "serializer": DBOSPortableJSONSerializer(),
        "console_log_level": "ERROR",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    flows = DurableFlows(house, issue)
    DBOS.listen_queues([])
    DBOS.launch()
    try:
        yield flows
    finally:
        with _engine_silent():
            await _cut_off()
            DBOS.destroy(destroy_registry=True)


@contextmanager
def _engine_silent() -> Iterator[None]:
    """What is cut off at the end stays unfinished in the engine's books; that is no news."""
    logger = logging.getLogger("dbos")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def _cut_off() -> None:
    """Cancel every workflow of this loop."""
    here = asyncio.current_task()
    rest = [task for task in asyncio.all_tasks() if task is not here]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _work(
    house: House,
    flows: DurableFlows,
    assignment: Assignment,
    changed: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    rhythm = Rhythm(issue=assignment.issue, insists=assignment.ends)
    before: object = None
    errand: asyncio.Task[None] | None = None
    while not stop.is_set():
        active: tuple[Run, ...] = ()
        try:
            await sweep_when_due(house, rhythm)
            active = await asyncio.to_thread(_beat, house, flows, rhythm)
            # Beside the ticks: a base that is merged in is proven anew, which takes its time.
            errand = await _sent(errand, run_errands(house, rhythm))
            rhythm.polls = rhythm.polls and not assignment.once
            seen = [(run.id, run.updated_at, run.stage) for run in active]
            if seen != before:
                await asyncio.to_thread(changed)
                before = seen
            if (
                assignment.ends
                and errand.done()
                and await asyncio.to_thread(_idle, house, assignment, active)
            ):
                await errand
                return
        except StoreError as error:
            if assignment.ends or isinstance(error, StateUnreadable):
                raise
            house.journal.warn("state_refused", f"{error}; the worker looks again")
        await _pause(stop, TICK_SECONDS if active else IDLE_TICK_SECONDS)


async def _sent(
    errand: asyncio.Task[None] | None, again: Coroutine[object, object, None]
) -> asyncio.Task[None]:
    """The errand that is under way, or the next one when it is done; raises what ended it."""
    if errand is not None and not errand.done():
        again.close()
        return errand
    if errand is not None:
        await errand
    task = asyncio.create_task(again)
    await asyncio.sleep(0)
    return task


def _beat(house: House, flows: DurableFlows, rhythm: Rhythm) -> tuple[Run, ...]:
    """One tick; returns the active runs, each of which has a flow afterwards."""
    if flows.broken is not None:
        raise flows.broken
    tick(house, flows, rhythm)
    active = _active(house, rhythm.issue)
    for run in active:
        if flows.lacks(run):
            flows.start(run)
    return active


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _park(house: House, flows: DurableFlows, issue: int | None) -> tuple[Run, ...]:
    """End what runs, let what cannot be ended finish, and park the runs for the next worker."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STOP_SECONDS
    flows.steps.close()
    while flows.steps.busy and loop.time() < until:
        # Again and again: a process may have been about to start.
        await asyncio.to_thread(flows.stop_processes)
        await asyncio.sleep(0.05)
    return await asyncio.to_thread(recovery.park_all, house, issue)


def _active(house: House, issue: int | None) -> tuple[Run, ...]:
    runs = house.runs.select(ACTIVE, limit=10_000)
    return tuple(run for run in runs if issue is None or run.issue_number == issue)


def _idle(house: House, assignment: Assignment, active: tuple[Run, ...]) -> bool:
    """Whether nothing is queued, running or due within a minute."""
    now = house.clock.now()
    soon = timedelta(0) if assignment.once else SOON
    return all(_waits(run, now, soon) for run in active) and not any(
        assignment.issue in (None, request.issue_number) for request in house.inbox.pending()
    )


def _waits(run: Run, now: datetime, soon: timedelta) -> bool:
    """Whether the run waits for longer than is worth staying for, or for its operator."""
    if run.status is not RunStatus.RETRY_PENDING:
        return False
    parked = run.failure is not None and run.failure.kind in retry.PARKED
    return parked or retry.wait_left(run, now) > soon
