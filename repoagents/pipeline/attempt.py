"""An attempt from begin to end, and what follows from it: the control flow of every run.

Everything here is replayed by the durable engine after a crash, so each line either is a step or
depends on nothing but steps' results.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta

from repoagents.domain.reports import VerdictKind
from repoagents.domain.run import FailureClass, Run, RunStatus, Stage
from repoagents.pipeline import outcome, publication, stages
from repoagents.pipeline.boundary import STOPPED, StepResult, change, current, guarded
from repoagents.pipeline.roles import why_no_call
from repoagents.policy import budget, retry
from repoagents.ports import House, Steps, Waits

StageBody = Callable[[stages.Attempt, Run], Coroutine[object, object, StepResult]]
RoundBody = Callable[[stages.Attempt, Run, int], Coroutine[object, object, StepResult]]

OPENING: tuple[tuple[Stage, StageBody], ...] = (
    (Stage.PREPARE, stages.prepare),
    (Stage.BASE_CHECK, stages.check_base),
    (Stage.PLAN, stages.plan),
)
ROUND: tuple[tuple[Stage, RoundBody], ...] = (
    (Stage.BUILD, stages.build),
    (Stage.VERIFY, stages.verify),
    (Stage.REVIEW, stages.review),
    (Stage.VERDICT, stages.decide),
)


@dataclass(frozen=True)
class Settled:
    """What follows from an attempt: the run's status, and for a wait its length in seconds."""

    status: RunStatus
    wait_seconds: float | None = None

    def to_json(self) -> str:
        """As the engine keeps it."""
        return json.dumps({"status": self.status.value, "wait": self.wait_seconds})

    @staticmethod
    def from_json(text: str) -> "Settled":
        """Read back what `to_json` wrote."""
        row = json.loads(text)
        return Settled(RunStatus(row["status"]), row["wait"])


async def run_attempt(house: House, steps: Steps, run_id: str, generation: int, number: int) -> str:
    """All stages of one attempt; returns the last step's result as JSON."""
    limit = house.settings.agent.run_timeout_seconds
    attempt = stages.Attempt(house, run_id, generation, number, house.clock.monotonic() + limit)
    begun = StepResult.from_json(await steps.run("begin", begin, house, run_id, generation, number))
    if begun.word != "done":
        return begun.to_json()
    for stage, body in OPENING:
        result = await steps.run(stage.value, _stage, attempt, stage, body)
        if StepResult.from_json(result).word != "done":
            return result
    round_ = begun.round
    while True:
        result = await _round(steps, attempt, round_)
        if StepResult.from_json(result).word != VerdictKind.REVISE.value:
            break
        round_ += 1
    if StepResult.from_json(result).word == VerdictKind.PUBLISH.value:
        name = f"{Stage.PUBLISH.value}-{round_}"
        return await steps.run(name, _in_round, attempt, Stage.PUBLISH, publication.publish, round_)
    return result


async def _round(steps: Steps, attempt: stages.Attempt, round_: int) -> str:
    result = ""
    for stage, body in ROUND:
        result = await steps.run(f"{stage.value}-{round_}", _in_round, attempt, stage, body, round_)
        if stage is not Stage.VERDICT and StepResult.from_json(result).word != "done":
            break
    return result


async def _stage(attempt: stages.Attempt, stage: Stage, body: StageBody) -> str:
    async def begun(run: Run) -> StepResult:
        attempt.insist_on_time()
        return await body(attempt, run)

    return await guarded(attempt.house, attempt.run_id, attempt.generation, stage, begun)


async def _in_round(attempt: stages.Attempt, stage: Stage, body: RoundBody, round_: int) -> str:
    async def begun(run: Run) -> StepResult:
        # What is proven is published, however late it has become.
        if stage is not Stage.PUBLISH:
            attempt.insist_on_time()
        return await body(attempt, run, round_)

    return await guarded(attempt.house, attempt.run_id, attempt.generation, stage, begun)


async def begin(house: House, run_id: str, generation: int, number: int) -> str:
    """Move the run into its attempt, once; a run that a person ended stays ended."""

    def move(run: Run) -> Run:
        waiting = run.status in (RunStatus.QUEUED, RunStatus.RETRY_PENDING)
        if not waiting or run.attempt >= number or run.generation != generation:
            return run
        return run.start(house.clock.now())

    run = await asyncio.to_thread(change, house, run_id, move)
    waits = run.status is RunStatus.RETRY_PENDING
    if run.status.terminal or waits or run.generation != generation:
        return STOPPED.to_json()
    house.journal.note(
        "attempt_started",
        f"attempt {number} of issue {run.issue_number} started",
        **run.tags,
        attempt=number,
    )
    return StepResult("done", round=run.round).to_json()


async def run_flow(
    house: House, steps: Steps, waits: Waits, run_id: str, generation: int, first: int
) -> str:
    """A run from its first attempt to the end of its waits; returns the last status.

    `generation` is the person's turn that this flow belongs to: when a person sends the run back
    to work a newer flow takes over and this one ends.
    """
    number = first
    while True:
        result = await waits.attempt(run_id, generation, number)
        settled = Settled.from_json(
            await steps.run(f"settle-{number}", settle, house, run_id, generation, result)
        )
        if settled.wait_seconds is None:
            return settled.status.value
        await _wait_out(house, waits, run_id, generation)
        word = await steps.run(f"look-{number}", look, house, run_id, generation)
        if word != RunStatus.RETRY_PENDING.value:
            return word
        number += 1


async def _wait_out(house: House, waits: Waits, run_id: str, generation: int) -> None:
    """Wait until the run is due, or does not wait any more.

    No step: what is left is asked of the run each time, so that a wait goes on after a crash, and
    a wake-up that was meant for something else does not shorten it. Time is measured, not read
    off the clock, which may be set in between.
    """
    begun = house.clock.monotonic()
    length = await asyncio.to_thread(seconds_left, house, run_id, generation)
    left = length
    while left > 0:
        await waits.wait(left)
        rest = length - (house.clock.monotonic() - begun)
        left = min(await asyncio.to_thread(seconds_left, house, run_id, generation), rest)
        if left <= 0 and await asyncio.to_thread(wait_for_room, house, run_id, generation):
            begun = house.clock.monotonic()
            left = length = await asyncio.to_thread(seconds_left, house, run_id, generation)


def seconds_left(house: House, run_id: str, generation: int) -> float:
    """How long the run still waits for its next attempt; 0 when it is due or does not wait."""
    run = current(house, run_id)
    if run.generation != generation or run.status is not RunStatus.RETRY_PENDING:
        return 0.0
    return retry.wait_left(run, house.clock.now()).total_seconds()


def wait_for_room(house: House, run_id: str, generation: int) -> bool:
    """Let a run that waits for a cap wait on while there is no room for a single call or request.

    So the cap is told once, when it is reached, and not by an attempt every few minutes.
    """

    def move(run: Run) -> Run:
        if run.status is not RunStatus.RETRY_PENDING or run.generation != generation:
            return run
        wait, now = _more_to_wait(house, run), house.clock.now()
        return run.wait_longer(now + wait, now) if wait else run

    before = current(house, run_id)
    return change(house, run_id, move) != before


def _more_to_wait(house: House, run: Run) -> timedelta | None:
    """How long until a run that has waited for a cap looks at it again; None when it need not."""
    match run.failure and run.failure.kind:
        case FailureClass.BUDGET:
            refusal = why_no_call(house, run.id, budget.estimate(""))
            return budget.window_wait(refusal.message) if refusal else None
        case FailureClass.PROVIDER_LIMIT:
            sight = house.tracker.inspection
            pause = sight.pause if sight else None
            left = pause.until - house.clock.now() if pause else timedelta(0)
            return min(left, retry.LONGEST_WAIT) if left > timedelta(0) else None
        case _:
            return None


async def settle(house: House, run_id: str, generation: int, result: str) -> str:
    """Turn an attempt's result into the run's next status, once."""
    run = await asyncio.to_thread(
        outcome.conclude, house, run_id, generation, StepResult.from_json(result)
    )
    if run.generation != generation:
        return Settled(RunStatus.SUPERSEDED).to_json()
    await outcome.finish(house, run)
    if run.status is not RunStatus.RETRY_PENDING or run.next_at is None:
        return Settled(run.status).to_json()
    left = retry.wait_left(run, house.clock.now())
    return Settled(run.status, left.total_seconds()).to_json()


async def look(house: House, run_id: str, generation: int) -> str:
    """After a wait: the run's status, or `superseded` when a newer flow has taken over."""
    run = await asyncio.to_thread(current, house, run_id)
    if run.generation != generation:
        return RunStatus.SUPERSEDED.value
    if run.status.terminal:
        await outcome.finish(house, run, attempted=False)
    return run.status.value
