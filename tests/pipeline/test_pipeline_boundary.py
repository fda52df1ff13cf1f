"""The attempt boundary: whatever a stage does, one short result comes out."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.errors import (
    AgentError,
    ConfigError,
    Exited,
    Forbidden,
    GitError,
    GitHubError,
    NotFound,
    OutputInvalid,
    RateLimited,
    RepoAgentsError,
    StateUnreadable,
    Stopped,
    StoreError,
    TimedOut,
    TrackerError,
    Unavailable,
)
from repoagents.pipeline import boundary
from repoagents.pipeline.boundary import (
    DONE,
    MESSAGE_LIMIT,
    STOPPED,
    Halted,
    StepResult,
    change,
    classify,
    current,
    guarded,
)
from tests.pipeline.conftest import Place

ASKED = Failure(FailureClass.QUESTION, "which one?", "answer")

CLASSES = [
    (Halted(ASKED), FailureClass.QUESTION),
    (TimedOut("silent", kind="timeout_idle"), FailureClass.TIMEOUT_IDLE),
    (TimedOut("slow", kind="timeout_hard"), FailureClass.TIMEOUT_HARD),
    (Exited("gone"), FailureClass.ENGINE_CRASH),
    (Exited("log in", kind="auth"), FailureClass.AUTH),
    (OutputInvalid("not JSON"), FailureClass.CONTRACT_INVALID),
    (GitError("refused"), FailureClass.INFRA),
    (GitError("no host", kind="unreachable"), FailureClass.NETWORK),
    (GitError("who are you", kind="auth"), FailureClass.AUTH),
    (GitError("no commit yet", kind="no_base"), FailureClass.INVALID_ARGS),
    (GitHubError("closed by a person", kind="declined"), FailureClass.PULL_REQUEST),
    (GitError("odd", kind="never heard of"), FailureClass.INFRA),
    (GitHubError("422"), FailureClass.INFRA),
    (Unavailable("502"), FailureClass.NETWORK),
    (RateLimited("403", retry_at=datetime(2026, 1, 1, tzinfo=UTC)), FailureClass.PROVIDER_LIMIT),
    (Forbidden("no permission"), FailureClass.AUTH),
    (Forbidden("expired", kind="auth"), FailureClass.AUTH),
    (NotFound("404"), FailureClass.INFRA),
    (ConfigError("no such template"), FailureClass.INVALID_ARGS),
    (TrackerError("down"), FailureClass.INFRA),
    (StoreError("locked"), FailureClass.INFRA),
    (RepoAgentsError("else"), FailureClass.INFRA),
]


def working(place: Place, generation: int = 0) -> Run:
    """A run in its first attempt."""
    run = place.queue()
    return change(
        place.house,
        run.id,
        lambda was: replace(was.start(place.clock.now()), generation=generation),
    )


def raising(error: BaseException) -> Callable[[Run], Awaitable[StepResult]]:
    """A stage that ends so."""

    async def body(_run: Run) -> StepResult:
        raise error

    return body


async def through(
    place: Place, run: Run, body: Callable[[Run], Awaitable[StepResult]]
) -> StepResult:
    """What the boundary makes of a stage of this run's turn."""
    text = await guarded(place.house, run.id, run.generation, Stage.BUILD, body)
    return StepResult.from_json(text)


@pytest.mark.parametrize(("error", "kind"), CLASSES, ids=lambda case: repr(case)[:40])
async def test_each_error_has_its_class_and_is_logged(
    place: Place, error: RepoAgentsError, kind: FailureClass
) -> None:
    error.next_step = error.next_step or "do this"
    failure = classify(error)
    assert (failure.kind, failure.message) == (kind, str(error))
    run = working(place)
    result = await through(place, run, raising(error))
    assert (result.word, result.failure) == ("failed", failure)
    (line,) = [fields for code, _, fields in place.journal.lines if code == "stage_failed"]
    assert line == {
        "run": run.id,
        "issue": 1,
        "stage": "build",
        "attempt": 1,
        "failure": kind.value,
    }
    assert place.now(run).status is RunStatus.IN_PROGRESS, "what follows is decided elsewhere"


@pytest.mark.parametrize("kind", FailureClass)
def test_every_class_can_come_from_an_agent(kind: FailureClass) -> None:
    assert classify(AgentError("x", kind=kind.value, next_step="y")) == Failure(kind, "x", "y")


@pytest.mark.parametrize(
    "bug", [KeyError("x"), ZeroDivisionError(), OSError(28, "full"), TypeError("t")]
)
async def test_a_bug_of_ours_fails_the_run_and_not_the_worker(place: Place, bug: Exception) -> None:
    result = await through(place, working(place), raising(bug))
    assert result.failure is not None
    assert result.failure.kind is FailureClass.INFRA
    assert type(bug).__name__ in result.failure.message
    assert "build" in result.failure.message
    assert result.failure.next_step == "report this as a bug"
    assert "stage_failed" in place.journal.codes()


@pytest.mark.parametrize(
    "error", [StateUnreadable("corrupt"), Stopped("the worker ends", kind="interrupted")]
)
async def test_what_ends_the_worker_is_no_result(place: Place, error: RepoAgentsError) -> None:
    with pytest.raises(type(error)):
        await through(place, working(place), raising(error))
    assert "stage_failed" not in place.journal.codes()


async def test_the_end_of_the_process_passes(place: Place) -> None:
    with pytest.raises(asyncio.CancelledError):
        await through(place, working(place), raising(asyncio.CancelledError()))


async def test_a_cancelled_agent_stops_the_stage_without_a_failure(place: Place) -> None:
    stopped = Stopped("a person said so", kind="cancelled")
    assert await through(place, working(place), raising(stopped)) == STOPPED
    assert "stage_failed" not in place.journal.codes()


async def test_a_run_that_is_gone_is_an_unreadable_state(place: Place) -> None:
    with pytest.raises(StateUnreadable, match="not in the state any more"):
        current(place.house, "nobody")
    with pytest.raises(StateUnreadable):
        await guarded(place.house, "nobody", 0, Stage.BUILD, raising(AssertionError()))


ENDED = [
    lambda run, now: run.cancel(now, "alex"),
    lambda run, now: run.block(ASKED, now),
    lambda run, now: run.complete(now),
    lambda run, now: run.wait_for_retry(ASKED, now, now, spent=True),
]


@pytest.mark.parametrize("end", ENDED)
async def test_a_run_that_is_not_at_work_is_left_alone(
    place: Place, end: Callable[..., Run]
) -> None:
    run = working(place)
    ended = change(place.house, run.id, lambda was: end(was, place.clock.now()))
    assert await through(place, run, raising(AssertionError("must not run"))) == STOPPED
    assert place.now(run) == ended


@pytest.mark.parametrize("generation", [0, 2])
async def test_another_turns_stage_does_nothing(place: Place, generation: int) -> None:
    run = working(place, generation=1)
    text = await guarded(place.house, run.id, generation, Stage.BUILD, raising(AssertionError()))
    assert StepResult.from_json(text) == STOPPED
    assert place.now(run) == run


async def test_a_parked_run_goes_on_but_a_queued_one_never_began(place: Place) -> None:
    run = working(place)
    change(place.house, run.id, lambda was: was.park(ASKED, place.clock.now()))
    seen: list[Run] = []

    async def body(given: Run) -> StepResult:
        seen.append(given)
        return DONE

    assert await through(place, run, body) == DONE
    assert [(one.status, one.attempt) for one in seen] == [(RunStatus.IN_PROGRESS, 1)]
    change(place.house, run.id, lambda was: replace(was.park(ASKED, place.clock.now()), attempt=0))
    assert await through(place, run, raising(AssertionError())) == STOPPED


async def test_entering_notes_the_stage(place: Place) -> None:
    run = working(place)

    async def body(_run: Run) -> StepResult:
        assert place.now(run).stage is Stage.BUILD
        return StepResult("publish")

    assert await through(place, run, body) == StepResult("publish")
    assert "stage_started" in place.journal.codes()


async def test_processes_end_soon_after_their_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "LOOK_SECONDS", 0.01)
    ended, stops = asyncio.Event(), []

    class Processes:
        def stop(self, run_id: str, kind: str) -> None:
            stops.append((run_id, kind))
            ended.set()

    house = replace(place.house, processes=Processes())
    run = working(place)

    async def body(_run: Run) -> StepResult:
        await asyncio.sleep(0.1)
        assert stops == [], "nobody ended the run yet"
        await asyncio.to_thread(change, house, run.id, lambda was: was.cancel(place.clock.now()))
        await asyncio.wait_for(ended.wait(), 100)
        return DONE

    await guarded(house, run.id, 0, Stage.BUILD, body)
    assert stops[0] == (run.id, "cancelled")


def test_a_change_is_made_again_over_what_another_wrote(place: Place) -> None:
    run = place.queue()
    rivals = [True]

    def move(was: Run) -> Run:
        if rivals and rivals.pop():
            place.clock.advance(1)
            theirs = replace(was, note="theirs", updated_at=place.clock.now())
            assert place.house.runs.replace(was, theirs)
        return replace(was, branch="ours")

    changed = change(place.house, run.id, move)
    assert (changed.note, changed.branch) == ("theirs", "ours")
    assert place.now(run) == changed


failures = st.builds(
    Failure, st.sampled_from(FailureClass), st.text(max_size=2100), st.text(max_size=2100)
)


@given(word=st.text(), failure=st.none() | failures, round_=st.integers(0, 99))
def test_a_result_comes_back_as_it_was_kept(
    word: str, failure: Failure | None, round_: int
) -> None:
    kept = StepResult(word, failure, 0 if failure else round_)
    back = StepResult.from_json(kept.to_json())
    assert (back.word, back.round) == (kept.word, kept.round)
    if failure is None:
        assert back == kept
    else:
        assert back.failure == Failure(
            failure.kind, failure.message[:MESSAGE_LIMIT], failure.next_step[:MESSAGE_LIMIT]
        )


def test_a_result_stays_small() -> None:
    huge = StepResult("failed", Failure(FailureClass.INFRA, "x" * 10**6, "y" * 10**6))
    assert len(huge.to_json()) < 3 * MESSAGE_LIMIT
    assert set(json.loads(huge.to_json())) == {"word", "kind", "message", "next_step"}
