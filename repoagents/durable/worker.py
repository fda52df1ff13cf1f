"""The worker: the one process per state that launches the durable engine and does the work."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import Engine

from repoagents.domain.run import AT_WORK, Run, RunStatus
from repoagents.durable.flows import DurableFlows
from repoagents.errors import Bug, RepoAgentsError, StateUnreadable, StoreError
from repoagents.pipeline import recovery
from repoagents.pipeline.boundary import bugs_told
from repoagents.pipeline.errands import run_errands
from repoagents.pipeline.pulse import beat, first_beat
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.policy import retry
from repoagents.ports import House

PIPELINE_VERSION = "1"
"""The order of steps: raise it only when an old run cannot go on in the new order."""

TICK_SECONDS = 0.5
IDLE_TICK_SECONDS = 1.0
STOP_SECONDS = 20.0
"""How long the agents are given to end before the worker leaves: TERM, then KILL."""

MOST_BUGS = 5
"""Rounds in a row that may end in a bug of ours, each waited after twice as long as the last."""

SOON = timedelta(seconds=60)


@dataclass(frozen=True)
class Assignment:
    """What this worker is for: everything, or one issue; forever, until idle, or one poll."""

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
                await _Shift(house, flows, assignment, changed).work(stop)
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


class _Shift:
    """The rounds of one worker, and what it keeps from each for the next."""

    def __init__(
        self,
        house: House,
        flows: DurableFlows,
        assignment: Assignment,
        changed: Callable[[], None],
    ) -> None:
        self._house = house
        self._flows = flows
        self._assignment = assignment
        self._changed = changed
        self._rhythm = Rhythm(issue=assignment.issue, insists=assignment.ends)
        self._pulse = first_beat(house)
        self._seen: object = None
        self._errand: asyncio.Task[None] | None = None
        self._bugs = 0

    async def work(self, stop: asyncio.Event) -> None:
        """Round after round, until the work is done or the worker is to stop."""
        while not stop.is_set():
            seconds = await self._round()
            if seconds is None:
                return
            await _pause(stop, seconds)

    async def _round(self) -> float | None:
        """One round; the seconds until the next, None when the work is done.

        What goes wrong is told, and the next round tries again. Raised is what cannot be outlived:
        a state that cannot be read, a bug in each of `MOST_BUGS` rounds, and whatever is the answer
        of a worker that is to end.
        """
        try:
            with bugs_told(self._house.journal, "in the worker's loop"):
                seconds = await self._try_round()
        except RepoAgentsError as error:
            if self._assignment.ends or isinstance(error, StateUnreadable):
                raise
            return self._outlive(error)
        self._bugs = 0
        return seconds

    def _outlive(self, error: RepoAgentsError) -> float:
        """Tell what went wrong, unless it has gone wrong too often; the seconds to wait."""
        if isinstance(error, Bug):
            self._bugs += 1
            if self._bugs == MOST_BUGS:
                raise error
            return float(IDLE_TICK_SECONDS * 2**self._bugs)
        told = f"{error}; the worker looks again"
        if isinstance(error, StoreError):
            self._house.journal.warn("state_refused", told)
        else:
            self._house.journal.warn("errand_failed", told)
        return IDLE_TICK_SECONDS

    async def _try_round(self) -> float | None:
        house, rhythm = self._house, self._rhythm
        try:
            active = await asyncio.to_thread(_beat, house, self._flows, rhythm)
        finally:
            self._pulse = await asyncio.to_thread(beat, house, rhythm, self._pulse)
        errand = await self._send()
        rhythm.polls = rhythm.polls and not self._assignment.once
        seen = [(run.id, run.updated_at, run.stage) for run in active]
        if seen != self._seen:
            await asyncio.to_thread(self._changed)
            self._seen = seen
        may_end = self._assignment.ends and errand.done()
        if may_end and await asyncio.to_thread(_idle, house, self._assignment, active):
            await errand
            return None
        return TICK_SECONDS if active else IDLE_TICK_SECONDS

    async def _send(self) -> asyncio.Task[None]:
        """The errands under way, or the next ones; what ended the last ones is raised, once.

        They run alongside the ticks: a base that is merged in is proven anew, and a worktree is
        deleted, which takes time.
        """
        if self._errand is not None and self._errand.done():
            ended, self._errand = self._errand, None
            await ended
        if self._errand is None:
            errands = run_errands(self._house, self._flows, self._rhythm)
            self._errand = asyncio.create_task(errands)
            await asyncio.sleep(0)
        return self._errand


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
    runs = house.runs.select(AT_WORK, limit=10_000)
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
