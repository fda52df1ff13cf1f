"""The attempt boundary: every exception of a stage becomes one `Failure`, once, here.

What nobody expected becomes a `Bug` here too, in a stage and in the errands of the worker's loop
alike, so that what goes wrong with one thing ends neither the loop nor what is next to it.
"""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.errors import (
    AgentError,
    Bug,
    ConfigError,
    GitError,
    GitHubError,
    RepoAgentsError,
    StateUnreadable,
    Stopped,
    StoreError,
)
from repoagents.ports import House, Journal

MESSAGE_LIMIT = 2000

LOOK_SECONDS = 1.0
"""How often a stage looks whether its run is still at work."""


class Halted(RepoAgentsError):
    """A stage ends the attempt on purpose; carries the failure as it shall be recorded."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, next_step=failure.next_step)
        self.failure = failure


@dataclass(frozen=True)
class StepResult:
    """A step's short result, the only thing that the durable engine keeps of it.

    `word` is `done`, `stopped`, `failed` or a verdict's kind; `failure` is set for `failed`,
    `round` where the attempt begins.
    """

    word: str
    failure: Failure | None = None
    round: int = 0

    def to_json(self) -> str:
        """The result as the engine keeps it."""
        if self.failure is None:
            return json.dumps({"word": self.word, "round": self.round})
        failed = self.failure
        return json.dumps(
            {
                "word": self.word,
                "kind": failed.kind.value,
                "message": failed.message[:MESSAGE_LIMIT],
                "next_step": failed.next_step[:MESSAGE_LIMIT],
            }
        )

    @staticmethod
    def from_json(text: str) -> "StepResult":
        """Read back what `to_json` wrote."""
        row = json.loads(text)
        if "kind" not in row:
            return StepResult(row["word"], round=row["round"])
        failure = Failure(FailureClass(row["kind"]), row["message"], row["next_step"])
        return StepResult(row["word"], failure)


DONE = StepResult("done")
STOPPED = StepResult("stopped")

_KINDS = {
    "unreachable": FailureClass.NETWORK,
    "rate_limited": FailureClass.PROVIDER_LIMIT,
    "auth": FailureClass.AUTH,
    "forbidden": FailureClass.AUTH,
    "no_base": FailureClass.INVALID_ARGS,
    "declined": FailureClass.PULL_REQUEST,
}
"""What git's and GitHub's own kinds of trouble come to."""


def classify(error: RepoAgentsError) -> Failure:
    """The failure that an expected exception stands for."""
    match error:
        case Halted():
            return error.failure
        case AgentError():
            kind = FailureClass(error.kind)
        case GitError() | GitHubError():
            kind = _KINDS.get(error.kind, FailureClass.INFRA)
        case ConfigError():
            kind = FailureClass.INVALID_ARGS
        case _:
            kind = FailureClass.INFRA
    return Failure(kind, str(error), error.next_step)


def current(house: House, run_id: str) -> Run:
    """The run as it stands now; it must exist."""
    run = house.runs.find(run_id)
    if run is None:
        raise StateUnreadable(f"run {run_id} is not in the state any more")
    return run


def change(house: House, run_id: str, move: Callable[[Run], Run]) -> Run:
    """Apply a move to the run as it stands now, again when somebody was faster."""
    while True:
        before = current(house, run_id)
        after = move(before)
        if after == before or house.runs.replace(before, after):
            return after


def note_failure(house: House, run: Run, stage: Stage, failure: Failure) -> None:
    """Log a failed stage."""
    house.journal.warn(
        "stage_failed",
        f"{stage} failed: {failure.message}",
        **run.tags,
        stage=stage.value,
        attempt=run.attempt,
        failure=failure.kind.value,
    )


async def guarded(
    house: House,
    run_id: str,
    generation: int,
    stage: Stage,
    body: Callable[[Run], Awaitable[StepResult]],
) -> str:
    """Run one stage's body; returns its result as JSON, whatever happened inside.

    A run that a person cancelled, or sent back to work since (a newer `generation`), is left
    alone. Raises `Stopped` when the worker is being stopped: the engine must not record the stage,
    so that the next worker runs it again; and `StateUnreadable`, which ends the worker.
    """
    run: Run | None = None
    try:
        with bugs_told(house.journal, f"in {stage}", run=run_id, stage=stage.value):
            run = await asyncio.to_thread(_enter, house, run_id, generation, stage)
            if not stands(run, generation):
                return STOPPED.to_json()
            async with _ended_with_its_run(house, run):
                result = await body(run)
    except Stopped as stop:
        if stop.kind == FailureClass.INTERRUPTED:
            raise
        result = STOPPED
    except StateUnreadable:
        raise
    except RepoAgentsError as error:
        result = StepResult("failed", classify(error))
    if result.failure is not None and run is not None:
        await asyncio.to_thread(note_failure, house, run, stage, result.failure)
    return result.to_json()


@contextmanager
def bugs_told(journal: Journal, where: str, **fields: object) -> Iterator[None]:
    """Raise as a `Bug` what nobody expected, and log where it came from.

    `where` completes "unexpected ValueError"; `fields` are the log line's.
    """
    try:
        yield
    except RepoAgentsError:
        raise
    except Exception as error:
        words = f"unexpected {type(error).__name__} {where}: {error}"
        trace = "".join(traceback.format_exception(error))
        journal.warn("bug_met", words, traceback=trace, **fields)
        raise Bug(words, next_step="report this as a bug") from error


def stands(run: Run, generation: int) -> bool:
    """Whether the run is still at work for this turn."""
    return run.status is RunStatus.IN_PROGRESS and run.generation == generation


@asynccontextmanager
async def _ended_with_its_run(house: House, run: Run) -> AsyncIterator[None]:
    """End the stage's processes as soon as its run is not at work any more, whoever said so.

    Ending them once, at the word, is not enough: a process that was about to start at that moment
    would live on.
    """

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(StoreError):
                now = await asyncio.to_thread(current, house, run.id)
                if not stands(now, run.generation):
                    house.processes.stop(run.id, FailureClass.CANCELLED.value)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()


def _enter(house: House, run_id: str, generation: int, stage: Stage) -> Run:
    """Note the stage; a parked run goes on."""
    run = current(house, run_id)
    if run.generation != generation:
        return run
    if run.status is RunStatus.QUEUED and run.attempt:
        run = change(house, run_id, lambda parked: parked.resume(house.clock.now()))
    if run.status is RunStatus.IN_PROGRESS:
        house.runs.progress(run_id, stage, "", house.clock.now())
        house.journal.note(
            "stage_started",
            f"{stage} of issue {run.issue_number} started",
            **run.tags,
            stage=stage.value,
            attempt=run.attempt,
        )
    return run
