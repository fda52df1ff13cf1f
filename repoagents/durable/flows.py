"""The pipeline's control flow as durable workflows: one workflow per run and person's turn.

The engine records each step and replays them after a crash. Its own queue and message waits are
not used: they poll the database for every run that waits, and its waits follow the wall clock.
One worker holds the state, so slots and waits live in its event loop, and what they stand for is
kept in the run itself. A workflow's id is `<run>.g<generation>`, so that a repeated start finds
the first one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Never, ParamSpec
from weakref import WeakValueDictionary

from dbos import DBOS, SetWorkflowID
from sqlalchemy.exc import DBAPIError

from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.errors import StateUnreadable, Stopped
from repoagents.pipeline.attempt import run_attempt, run_flow
from repoagents.ports import House
from repoagents.store.faults import fault

P = ParamSpec("P")

UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
PORTION = 200
"""How many ended flows are forgotten in one transaction, so that no other writer waits long."""

PAUSE_SECONDS = 10.0
"""How long a run rests whose flow fell over, for example on a full disk."""


class DurableSteps:
    """`ports.Steps` on the durable engine: a recorded step is not run again.

    `busy` is how many steps run just now. After `close` none begins, and one that was cut off by
    the worker's end is never recorded, so that the next worker runs it again.
    """

    def __init__(self) -> None:
        self.busy = 0
        self._closed = False

    def close(self) -> None:
        """Let no further step begin."""
        self._closed = True

    async def run(
        self,
        name: str,
        step: Callable[P, Coroutine[object, object, str]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str:
        """Run the step once and keep its result."""

        async def once() -> str:
            with self._counted():
                try:
                    return await step(*args, **kwargs)
                except Stopped:
                    self._closed = True
            return await _never()

        if self._closed:
            await _never()
        return await DBOS.run_step_async({"name": name}, once)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1


class DurableFlows:
    """`ports.Flows` and `ports.Waits`: starts, wakes and resumes the workflows.

    Made inside the event loop that runs them; `start` and `wake` are for its other threads.
    `issue` limits this process to one issue. `broken` is set when the state cannot be read any
    more: the worker must end.
    """

    def __init__(self, house: House, issue: int | None = None) -> None:
        self.broken: StateUnreadable | None = None
        self.steps = DurableSteps()
        self._house = house
        self._issue = issue
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(house.settings.agent.max_concurrent_runs)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._bells: dict[str, asyncio.Event] = {}
        self._resting: dict[str, float] = {}
        self.under_way: set[str] = set()

        @DBOS.workflow(name="run")
        async def run(run_id: str, generation: int, first: int) -> str:
            if self._issue is not None and not await asyncio.to_thread(self._ours, run_id):
                await _never()  # Another worker's: left as it is, for the next one.
            with self._watched(run_id, generation):
                return await run_flow(house, self.steps, self, run_id, generation, first)

        self._run = run

    async def resume(self) -> None:
        """Take over what an earlier process left unfinished, each at its interrupted step.

        Only the holder of the worker lock may call this: it would also restart live work.
        """
        left = await DBOS.list_workflows_async(
            status=UNFINISHED, name="run", load_input=False, load_output=False
        )
        ids = [w.workflow_id for w in left]
        if self._issue is not None:
            ids = [i for i in ids if await asyncio.to_thread(self._ours, i.partition(".g")[0])]
        self.under_way.update(workflow_id.partition("-r")[0] for workflow_id in ids)
        if ids:
            await DBOS.resume_workflows_async(ids)

    def start(self, run: Run) -> None:
        """Start the run's flow unless it is under way."""
        asyncio.run_coroutine_threadsafe(self._start(run), self._loop).result()

    def wake(self, run: Run) -> None:
        """End the wait of every flow of the run."""
        self._loop.call_soon_threadsafe(self._ring, run.id)

    def lacks(self, run: Run) -> bool:
        """Whether the run has no flow: it fell over, or another process made the run."""
        under_way = _flow_id(run.id, run.generation) in self.under_way
        return not under_way and self._resting.get(run.id, 0.0) <= self._loop.time()

    async def forget(self, is_over: Callable[[str], bool]) -> None:
        """Forget the ended flows where `is_over` says so of their run, a portion at a time.

        Raises `StoreError`.
        """
        try:
            await _forget(is_over)
        except DBAPIError as error:
            raise fault(error.orig or error, "the durable engine's tables") from error

    def stop_processes(self) -> None:
        """End every process of the runs under way, for this worker ends."""
        for flow_id in tuple(self.under_way):
            self._house.processes.stop(flow_id.partition(".g")[0], FailureClass.INTERRUPTED.value)

    async def attempt(self, run_id: str, generation: int, number: int) -> str:
        """Run an attempt when a slot is free, and the run's earlier turn has let go of it."""
        turn = self._turns.setdefault(run_id, asyncio.Lock())
        async with turn, self._slots:
            return await run_attempt(self._house, self.steps, run_id, generation, number)

    async def wait(self, seconds: float) -> None:
        """Wait in the flow, which holds no slot."""
        bell = self._bells[_this_workflow()]
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return
        bell.clear()

    async def _start(self, run: Run) -> None:
        flow_id = _flow_id(run.id, run.generation)
        if flow_id in self.under_way:
            return
        self.under_way.add(flow_id)
        known = await DBOS.list_workflows_async(
            workflow_id_prefix=flow_id, name="run", load_input=False, load_output=False
        )
        ended = [w for w in known if w.workflow_id.partition("-r")[0] == flow_id]
        # A flow that fell over though its run goes on, is gone on with under a new id.
        workflow_id = f"{flow_id}-r{len(ended)}" if ended else flow_id
        with SetWorkflowID(workflow_id):
            await DBOS.start_workflow_async(self._run, run.id, run.generation, _first(run))

    @contextmanager
    def _watched(self, run_id: str, generation: int) -> Iterator[None]:
        """Keep the flow's bell while it is under way; let its run rest when it falls over."""
        bell = _this_workflow()
        self._bells[bell] = asyncio.Event()
        fell = True
        try:
            yield
            fell = False
        except StateUnreadable as error:
            self.broken = error
            self.steps.close()
            raise
        finally:
            if fell:
                self._resting[run_id] = self._loop.time() + PAUSE_SECONDS
            del self._bells[bell]
            self.under_way.discard(_flow_id(run_id, generation))

    def _ours(self, run_id: str) -> bool:
        run = self._house.runs.find(run_id)
        return run is not None and run.issue_number == self._issue

    def _ring(self, run_id: str) -> None:
        for workflow_id, bell in self._bells.items():
            if workflow_id.startswith(f"{run_id}.g"):
                bell.set()


async def _forget(is_over: Callable[[str], bool]) -> None:
    # `stay` counts what was looked at and is kept: the next portion begins behind it.
    ids, stay = [""] * PORTION, 0
    while len(ids) == PORTION:
        ended = await DBOS.list_workflows_async(
            status=ENDED,
            name="run",
            limit=PORTION,
            offset=stay,
            load_input=False,
            load_output=False,
        )
        ids = [flow.workflow_id for flow in ended]
        over = await asyncio.to_thread(_select_over, ids, is_over)
        if over:
            await DBOS.delete_workflows_async(over)
        stay += len(ids) - len(over)


def _select_over(ids: Sequence[str], is_over: Callable[[str], bool]) -> list[str]:
    return [flow_id for flow_id in ids if is_over(flow_id.partition(".g")[0])]


def _this_workflow() -> str:
    return str(DBOS.workflow_id)


def _flow_id(run_id: str, generation: int) -> str:
    return f"{run_id}.g{generation}"


def _first(run: Run) -> int:
    """The number of the attempt that the run's flow begins with: the open one, or the next."""
    open_ = run.status is RunStatus.IN_PROGRESS or run.failure is not None
    return max(run.attempt, 1) if open_ else run.attempt + 1


async def _never() -> Never:
    """Wait for the end of this process."""
    await asyncio.Event().wait()
    raise AssertionError
