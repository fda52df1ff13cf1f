"""What becomes of a run: its status after each result, and its last word."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.reports import Verdict, VerdictKind
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import AgentSettings, SafetySettings, TrackerSettings
from repoagents.errors import RepoAgentsError, StateUnreadable, Stopped, StoreError
from repoagents.pipeline import outcome
from repoagents.pipeline.boundary import StepResult, change
from repoagents.ports import StageKey, Worktree
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import Place

LOUD = SafetySettings(allow_write_comments=True)
WHY = Failure(FailureClass.ENVIRONMENT, "make is not installed", "install make")


@pytest.fixture
def run(place: Place) -> Run:
    """A run in its first attempt, over a repository in memory."""
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=spaces)
    queued = place.queue()
    return change(place.house, queued.id, lambda was: was.start(place.clock.now()))


def concluded(place: Place, run: Run, result: StepResult) -> Run:
    """The run after this result of its turn."""
    return outcome.conclude(place.house, run.id, run.generation, result)


def decide(place: Place, run: Run, kind: VerdictKind, failure_class: str) -> None:
    """Keep a verdict."""
    decided = Verdict(kind, ("first reason", "second reason"), failure_class=failure_class)
    key = StageKey(run.id, 1, Stage.VERDICT, 1, "hash")
    place.house.stages.record(key, decided, place.clock.now(), 0.0)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("publish", RunStatus.COMPLETED),
        ("no_change", RunStatus.NO_CHANGE),
        ("ask", RunStatus.BLOCKED),
        ("hand_off", RunStatus.BLOCKED),
        ("stopped", RunStatus.CANCELLED),
    ],
)
def test_each_result_has_its_status(place: Place, run: Run, word: str, status: RunStatus) -> None:
    after = concluded(place, run, StepResult(word))
    assert after.status is status
    assert place.now(run) == after
    assert after.finished_at == place.clock.now()
    (told,) = [fields for code, _, fields in place.journal.lines if code == "run_settled"]
    named = {"run": run.id, "issue": run.issue_number}
    assert told == {**named, "attempt": after.attempt, "status": status.value}
    again = concluded(place, run, StepResult(word))
    assert again == after, "a repeat after a crash changes nothing"


VERDICTS = [
    (VerdictKind.ASK, FailureClass.QUESTION, "retry 1 --note ANSWER"),
    (VerdictKind.HAND_OFF, FailureClass.REQUEST_CHANGES, "take changes.patch"),
    (VerdictKind.HAND_OFF, FailureClass.POLICY_BLOCK, "read handoff.md"),
]


@pytest.mark.parametrize(("kind", "failure_class", "step"), VERDICTS)
def test_a_person_is_told_the_verdicts_reasons_and_the_way_on(
    place: Place, run: Run, kind: VerdictKind, failure_class: FailureClass, step: str
) -> None:
    decide(place, run, kind, failure_class.value)
    after = concluded(place, run, StepResult(kind.value))
    assert after.failure is not None
    assert after.failure.kind is failure_class
    assert after.failure.message == "first reason; second reason"
    assert step in after.failure.next_step


BLOCKING = {
    FailureClass.CANCELLED,
    FailureClass.ENGINE_MISSING,
    FailureClass.INVALID_ARGS,
    FailureClass.TAMPERED,
    FailureClass.ENVIRONMENT,
    FailureClass.REQUEST_CHANGES,
    FailureClass.QUESTION,
    FailureClass.POLICY_BLOCK,
    FailureClass.PULL_REQUEST,
    FailureClass.BUDGET,
}
FREE = {
    FailureClass.AUTH,
    FailureClass.PROVIDER_LIMIT,
    FailureClass.NETWORK,
    FailureClass.INTERRUPTED,
}


def first_and_last(kind: FailureClass) -> tuple[RunStatus, RunStatus, int]:
    """The status after a first and after a last try, and the retries that the first one spent."""
    if kind in BLOCKING:
        return RunStatus.BLOCKED, RunStatus.BLOCKED, 0
    if kind in FREE:
        return RunStatus.RETRY_PENDING, RunStatus.RETRY_PENDING, 0
    if kind is FailureClass.CRASH_LOOP:
        return RunStatus.FAILED, RunStatus.FAILED, 0
    return RunStatus.RETRY_PENDING, RunStatus.FAILED, 1


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", FailureClass)
def test_each_failure_has_its_status(
    place: Place, run: Run, kind: FailureClass, last: bool
) -> None:
    place.with_settings(agent=AgentSettings(retry_limit=1 if last else 3))
    failure = Failure(kind, "what happened", "what to do")
    after = concluded(place, run, StepResult("failed", failure))
    first, at_last, spent = first_and_last(kind)
    assert after.status is (at_last if last else first)
    assert after.failure == failure
    waits = after.status is RunStatus.RETRY_PENDING
    assert (after.next_at is not None) is waits
    assert after.failures == (spent if waits else 0)
    if after.next_at is not None:
        assert after.next_at > place.clock.now()


def test_a_budget_whose_window_frees_itself_waits(place: Place, run: Run) -> None:
    hourly = Failure(FailureClass.BUDGET, "100 of 100 agent calls are used in the last hour")
    after = concluded(place, run, StepResult("failed", hourly))
    assert (after.status, after.failures) == (RunStatus.RETRY_PENDING, 0)


def test_a_word_without_its_failure_ends_the_run(place: Place, run: Run) -> None:
    assert concluded(place, run, StepResult("failed")).status is RunStatus.CANCELLED


def test_what_a_person_ended_meanwhile_stays_ended(place: Place, run: Run) -> None:
    cancelled = change(place.house, run.id, lambda was: was.cancel(place.clock.now(), "alex"))
    assert concluded(place, run, StepResult("publish")) == cancelled


def test_another_turns_result_changes_nothing_and_is_not_logged(place: Place, run: Run) -> None:
    change(place.house, run.id, lambda was: replace(was, generation=1))
    assert concluded(place, run, StepResult("publish")).status is RunStatus.IN_PROGRESS
    assert "run_settled" not in place.journal.codes()


def test_a_result_of_a_parked_run_still_counts(place: Place, run: Run) -> None:
    change(place.house, run.id, lambda was: was.park(WHY, place.clock.now()))
    assert concluded(place, run, StepResult("publish")).status is RunStatus.COMPLETED


# --- the last word --------------------------------------------------------------------------------


def blocked(place: Place, run: Run) -> Run:
    """The run, waiting for a person."""
    return change(place.house, run.id, lambda was: was.block(WHY, place.clock.now()))


ENDS: dict[str, Callable[[Run, Place], Run]] = {
    "completed": lambda run, place: run.complete(place.clock.now()),
    "no_change": lambda run, place: run.end_without_change(place.clock.now()),
    "blocked": lambda run, place: run.block(WHY, place.clock.now()),
    "failed": lambda run, place: run.fail(WHY, place.clock.now()),
}


@pytest.mark.parametrize("end", ENDS)
async def test_every_end_has_a_handoff_and_a_comment(place: Place, run: Run, end: str) -> None:
    place.with_settings(safety=LOUD)
    ended = change(place.house, run.id, lambda was: ENDS[end](was, place))
    await outcome.finish(place.house, ended)
    written = place.artifact(run, "handoff.md")
    (comment,) = place.tracker.comments.values()
    assert comment.startswith(f"<!-- repoagents:{place.house.installation}:issue=1 -->")
    if ended.failure is not None:
        assert ended.failure.message in written
        assert ended.failure.message in comment
    assert "comment-1" in written, "the handoff tells where the comment stands"


def waits(run: Run, place: Place) -> Run:
    """The run, until its next attempt."""
    now = place.clock.now()
    return run.wait_for_retry(WHY, now, now, spent=True)


QUIET: dict[str, Callable[[Run, Place], Run]] = {
    "retry_pending": waits,
    "cancelled": lambda run, place: run.cancel(place.clock.now(), "alex"),
}


@pytest.mark.parametrize("loud", [True, False])
@pytest.mark.parametrize("end", QUIET)
async def test_what_was_called_off_or_goes_on_makes_no_comment_of_its_own(
    place: Place, run: Run, end: str, loud: bool
) -> None:
    place.with_settings(safety=SafetySettings(allow_write_comments=loud))
    ended = change(place.house, run.id, lambda was: QUIET[end](was, place))
    await outcome.finish(place.house, ended)
    assert place.tracker.comments == {}
    assert place.house.ledger.rows(run.id) == (), "nor is one withheld"
    assert "Asked of you" in place.artifact(run, "handoff.md")


async def test_a_comment_that_is_withheld_is_in_the_handoff(place: Place, run: Run) -> None:
    await outcome.finish(place.house, blocked(place, run))
    assert "safety.allow_write_comments" in place.artifact(run, "handoff.md")
    assert place.tracker.comments == {}


async def test_a_fixture_takes_no_comment(place: Place, run: Run) -> None:
    place.with_settings(safety=LOUD, tracker=TrackerSettings(mode="fixture"))
    await outcome.finish(place.house, blocked(place, run))
    assert place.tracker.comments == {}
    assert "tracker.mode" in place.artifact(run, "handoff.md")


async def test_a_comment_that_fails_keeps_the_outcome_and_its_intent(
    place: Place, run: Run
) -> None:
    place.with_settings(safety=LOUD)
    ended = blocked(place, run)
    place.tracker.down = True
    await outcome.finish(place.house, ended)
    assert place.now(run) == ended
    assert "effect_failed" in place.journal.codes()
    assert "make is not installed" in place.artifact(run, "handoff.md")
    assert [row.state for row in place.house.ledger.rows(run.id)] == ["intended"]


async def test_a_word_that_was_said_is_not_said_again(place: Place, run: Run) -> None:
    place.with_settings(safety=LOUD)
    ended = blocked(place, run)
    await outcome.finish(place.house, ended)
    await outcome.finish(place.house, ended)
    assert place.tracker.writes == 1


async def test_a_comment_that_failed_is_made_up_for(place: Place, run: Run) -> None:
    place.with_settings(safety=LOUD)
    ended = blocked(place, run)
    place.tracker.down = True
    await outcome.finish(place.house, ended)
    place.tracker.down = False
    await outcome.finish(place.house, ended)
    assert [row.state for row in place.house.ledger.rows(run.id)] == ["done"]


class Hooks:
    """`ports.Checks` of which only hooks are used: each says what went wrong, or raises."""

    def __init__(self, problem: str | RepoAgentsError) -> None:
        self.problem = problem
        self.ran: list[str] = []

    async def hook(self, name: str, _worktree: Worktree) -> str:
        self.ran.append(name)
        if isinstance(self.problem, RepoAgentsError):
            raise self.problem
        return self.problem


def with_hook(place: Place, run: Run, problem: str | RepoAgentsError) -> Hooks:
    """The run's worktree stands, and its hook ends so."""
    hooks = Hooks(problem)
    spaces = place.house.workspaces
    spaces.open(1, run.id, spaces.refresh().sha)
    place.house = replace(place.house, checks=hooks)
    return hooks


@pytest.mark.parametrize(
    ("problem", "code"),
    [("", None), ("exit code 1", "hook_failed"), (StoreError("disk full"), "handoff_failed")],
)
async def test_a_hook_afterwards_changes_nothing(
    place: Place, run: Run, problem: str | RepoAgentsError, code: str | None
) -> None:
    hooks = with_hook(place, run, problem)
    ended = blocked(place, run)
    await outcome.finish(place.house, ended)
    assert hooks.ran == ["after_run"]
    assert place.now(run) == ended
    assert {"hook_failed", "handoff_failed"} & set(place.journal.codes()) == {code} - {None}


async def test_another_runs_worktree_gets_no_hook(place: Place, run: Run) -> None:
    hooks = with_hook(place, replace(run, id="another"), "")
    await outcome.finish(place.house, blocked(place, run))
    assert hooks.ran == []


@pytest.mark.parametrize(
    "error", [StateUnreadable("corrupt"), Stopped("the worker ends", kind="interrupted")]
)
async def test_what_ends_the_worker_passes(place: Place, run: Run, error: RepoAgentsError) -> None:
    with_hook(place, run, error)
    with pytest.raises(type(error)):
        await outcome.finish(place.house, blocked(place, run))
