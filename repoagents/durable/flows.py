"""The pipeline's control flow as durable workflows: `run` waits, `attempt` holds a slot.

A flow starts directly; only attempts go through a queue, the one that limits concurrency.
Workflow ids are made from the run: `<run>.g<generation>` for a flow, `<flow>.a<n>` for its
attempts, so that a repeated start finds the first one.
"""

from collections.abc import Callable, Coroutine
from typing import ParamSpec

from dbos import DBOS, SetWorkflowID

from repoagents.domain.run import Run
from repoagents.pipeline.attempt import run_attempt, run_flow
from repoagents.ports import House

P = ParamSpec("P")

WAKE = "wake"
UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED")
QUEUE_POLL_SECONDS = 0.25


class DurableSteps:
    """`ports.Steps` on the durable engine: a recorded step is not run again."""

    async def run(
        self,
        name: str,
        step: Callable[P, Coroutine[object, object, str]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> str:
        """Run the step once and keep its result."""
        return await DBOS.run_step_async({"name": name}, step, *args, **kwargs)


class DurableFlows:
    """`ports.Flows` and `ports.Waits`: registers the workflows, starts, wakes and resumes them.

    `issue` limits this process to one issue: it then uses a queue of its own, so that work left in
    the common queue by another process stays there.
    """

    def __init__(self, house: House, issue: int | None = None) -> None:
        self._house = house
        self._issue = issue
        self.queue = "attempts" if issue is None else f"attempts-issue-{issue}"
        steps = DurableSteps()

        @DBOS.workflow(name="attempt")
        async def attempt(run_id: str, generation: int, number: int) -> str:
            return await run_attempt(house, steps, run_id, generation, number)

        @DBOS.workflow(name="run")
        async def run(run_id: str, generation: int, first: int) -> str:
            return await run_flow(house, steps, self, run_id, generation, first)

        self._attempt = attempt
        self._run = run

    def open_queue(self) -> None:
        """Register the queue that limits how many attempts run at the same time."""
        slots = self._house.settings.agent.max_concurrent_runs
        DBOS.register_queue(
            self.queue, worker_concurrency=slots, polling_interval_sec=QUEUE_POLL_SECONDS
        )

    def resume(self) -> None:
        """Take over what an earlier process left unfinished, each at its interrupted step.

        Only the holder of the worker lock may call this: it would also restart live work.
        """
        left = DBOS.list_workflows(
            status=list(UNFINISHED), name=["run", "attempt"], load_input=False, load_output=False
        )
        attempts: list[str] = []
        flows: list[str] = []
        for workflow in left:
            run = self._house.runs.find(workflow.workflow_id.partition(".g")[0])
            if self._issue is not None and (run is None or run.issue_number != self._issue):
                continue
            (attempts if workflow.name == "attempt" else flows).append(workflow.workflow_id)
        if attempts:
            DBOS.resume_workflows(attempts, queue_name=self.queue)
        if flows:
            DBOS.resume_workflows(flows)

    def start(self, run: Run) -> None:
        """Start the run's flow unless it is under way."""
        flow_id = f"{run.id}.g{run.generation}"
        known = DBOS.list_workflows(
            workflow_id_prefix=flow_id, name="run", load_input=False, load_output=False
        )
        if any(workflow.status in UNFINISHED for workflow in known):
            return
        if known:
            # The flow ended though the run did not (a bug of ours): go on under a new id.
            flow_id = f"{flow_id}-{len(known)}"
        first = max(run.attempt, 1) if run.failure is not None else run.attempt + 1
        with SetWorkflowID(flow_id):
            DBOS.start_workflow(self._run, run.id, run.generation, first)

    def wake(self, run: Run) -> None:
        """End the wait of every unfinished flow of the run."""
        waiting = DBOS.list_workflows(
            workflow_id_prefix=f"{run.id}.g",
            name="run",
            status=list(UNFINISHED),
            load_input=False,
            load_output=False,
        )
        for workflow in waiting:
            DBOS.send(workflow.workflow_id, "look", topic=WAKE)

    async def attempt(self, run_id: str, generation: int, number: int) -> str:
        """Run an attempt as a child workflow when a slot is free."""
        with SetWorkflowID(f"{DBOS.workflow_id}.a{number}"):
            child = await DBOS.enqueue_workflow_async(
                self.queue, self._attempt, run_id, generation, number
            )
        return await child.get_result()

    async def wait(self, seconds: float) -> None:
        """Wait in the flow, which holds no slot."""
        await DBOS.recv_async(WAKE, timeout_seconds=seconds)
