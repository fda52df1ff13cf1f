"""The worker: the one process per state that launches the durable engine and does the work."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import Engine

from repoagents.domain.run import Run, RunStatus
from repoagents.durable.flows import DurableFlows
from repoagents.pipeline import recovery
from repoagents.pipeline.tick import Rhythm, sweep_when_due, tick
from repoagents.policy import retry
from repoagents.ports import House

PIPELINE_VERSION = "1"
"""The order of steps: raise it only when an old run cannot go on in the new order."""

TICK_SECONDS = 0.5
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

    `changed` is called at most once a second while something is going on, and at the end.
    Raises `Interrupted` after Ctrl-C or SIGTERM, when every agent has been ended.
    """
    recovered = recovery.recover(house, assignment.issue)
    with _launched(house, engine, assignment.issue) as flows:
        flows.resume()
        for run in recovered:
            flows.start(run)
        with _stop_signals() as stop:
            _work(house, flows, assignment, changed, stop)
        if stop.is_set():
            raise Interrupted(recovery.park_all(house, assignment.issue))
        changed()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets."""
    stop = threading.Event()

    def request(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {name: signal.signal(name, request) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def _launched(house: House, engine: Engine, issue: int | None) -> Iterator[DurableFlows]:
    """The engine, launched under an executor id of this process alone.

    With an id of its own the engine recovers nothing by itself; `DurableFlows.resume` does, under
    the worker lock, so that two processes never take up the same work.
    """
    config: DBOSConfig = {
        "name": "repoagents",
        "system_database_engine": engine,
        "application_version": PIPELINE_VERSION,
        "executor_id": house.owner,
        "serializer": DBOSPortableJSONSerializer(),
        "notification_listener_polling_interval_sec": 0.5,
        "console_log_level": "ERROR",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    flows = DurableFlows(house, issue)
    DBOS.listen_queues([flows.queue])
    DBOS.launch()
    try:
        flows.open_queue()
        yield flows
    finally:
        # Flows that wait are cut off here, and the engine calls each of them an error. The next
        # worker starts them anew from our own records.
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        DBOS.destroy(destroy_registry=True)


def _work(
    house: House,
    flows: DurableFlows,
    assignment: Assignment,
    changed: Callable[[], None],
    stop: threading.Event,
) -> None:
    rhythm = Rhythm(issue=assignment.issue)
    before: tuple[Run, ...] = ()
    beat = 0
    while not stop.is_set():
        tick(house, flows, rhythm)
        asyncio.run(sweep_when_due(house, rhythm))
        rhythm.polls = rhythm.polls and not assignment.once
        active = _active(house, assignment.issue)
        if active != before and beat % 2 == 0:
            changed()
            before = active
        if assignment.ends and _idle(house, assignment, active):
            return
        beat += 1
        stop.wait(TICK_SECONDS)


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
