"""Cleaning: what goes, what stays, and that looking changes nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from repoagents.domain.effect import PostComment, PushBranch
from repoagents.domain.host_settings import RetentionSettings
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.pipeline.boundary import change
from repoagents.pipeline.janitor import FINISHED, Removal, sweep
from repoagents.ports import Worktree
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import Place

WHY = Failure(FailureClass.ENGINE_CRASH, "it fell over")


class Hooks:
    """`ports.Checks` of which only hooks are used: notes them, and what still stood."""

    def __init__(self) -> None:
        self.problem = ""
        self.ran: list[tuple[str, str, bool]] = []

    async def hook(self, name: str, worktree: Worktree) -> str:
        self.ran.append((name, worktree.run_id, worktree.path.exists()))
        return self.problem


@pytest.fixture
def spaces(place: Place) -> MemoryWorkspaces:
    """The place's repository, in memory, with hooks that are noted."""
    found = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=found, checks=Hooks())
    place.with_settings(retention=RetentionSettings(worktree_days=14, artifact_days=90))
    return found


def left_by(place: Place, status: RunStatus) -> Run:
    """A run in this status, with a worktree and artifacts."""
    run, now = place.queue(), place.clock.now()
    change(place.house, run.id, lambda was: _in(was, status, place))
    spaces = place.house.workspaces
    spaces.open(1, run.id, spaces.refresh().sha)
    place.house.artifacts.write(1, run.id, "handoff.md", "a word\n")
    assert now == place.clock.now()
    return place.now(run)


def _in(run: Run, status: RunStatus, place: Place) -> Run:
    now, wanted = place.clock.now(), RunStatus
    moves = {
        wanted.QUEUED: lambda: run,
        wanted.IN_PROGRESS: lambda: run.start(now),
        wanted.RETRY_PENDING: lambda: run.start(now).wait_for_retry(WHY, now, now, spent=True),
        wanted.AWAITING_APPROVAL: lambda: run.start(now).await_approval(now),
        wanted.BLOCKED: lambda: run.start(now).block(WHY, now),
        wanted.COMPLETED: lambda: run.start(now).complete(now),
        wanted.NO_CHANGE: lambda: run.start(now).end_without_change(now),
        wanted.FAILED: lambda: run.start(now).fail(WHY, now),
        wanted.CANCELLED: lambda: run.cancel(now),
        wanted.SUPERSEDED: lambda: run.supersede(now),
    }
    return moves[status]()


def kept(place: Place, run: Run) -> tuple[bool, bool]:
    """Whether its worktree and its artifacts still stand."""
    worktrees = [each.run_id for each in place.house.workspaces.worktrees()]
    folders = [run_id for _, run_id, _ in place.house.artifacts.folders()]
    return run.id in worktrees, run.id in folders


def later(place: Place, days: float) -> None:
    """Let days pass."""
    place.clock.advance(timedelta(days=days).total_seconds())


@pytest.mark.parametrize("status", RunStatus)
async def test_clean_takes_the_worktree_of_a_finished_run_and_of_no_other(
    place: Place, spaces: MemoryWorkspaces, status: RunStatus
) -> None:
    run = left_by(place, status)
    (worktree,) = spaces.worktrees()
    expected = Removal(str(worktree.path), len("hello\n"), f"run of issue 1 is {status}")
    found = await sweep(place.house, dry_run=False)
    assert found == ((expected,) if status in FINISHED else ())
    assert kept(place, run) == (status not in FINISHED, True), "artifacts outlive a clean"


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize(
    ("days", "gone"), [(13.9, (False, False)), (14.1, (True, False)), (90.1, (True, True))]
)
async def test_the_loop_takes_only_what_outlived_its_retention(
    place: Place,
    spaces: MemoryWorkspaces,
    status: RunStatus,
    days: float,
    gone: tuple[bool, bool],
) -> None:
    run = left_by(place, status)
    later(place, days)
    found = await sweep(place.house, dry_run=False, expired_only=True)
    expected = gone if status in FINISHED else (False, False)
    assert kept(place, run) == (not expected[0], not expected[1])
    assert len(found) == sum(expected)
    assert place.now(run).status is status, "the run itself is never forgotten"


@pytest.mark.parametrize("expired_only", [False, True])
async def test_nothing_under_an_open_approval_goes(
    place: Place, spaces: MemoryWorkspaces, expired_only: bool
) -> None:
    run = left_by(place, RunStatus.COMPLETED)
    now = place.clock.now()
    branch = PushBranch(run.id, 1, "repoagents/issue-1-x", "c" * 40)
    place.house.ledger.withhold(run.id, branch, "safety.allow_open_pr", "off", now)
    later(place, 1000)
    assert await sweep(place.house, dry_run=False, expired_only=expired_only) == ()
    assert kept(place, run) == (True, True)
    place.house.ledger.discard(run.id, "rejected", now)
    assert await sweep(place.house, dry_run=False, expired_only=expired_only)
    assert kept(place, run) == (False, not expired_only)


async def test_a_withheld_comment_keeps_nothing(place: Place, spaces: MemoryWorkspaces) -> None:
    run = left_by(place, RunStatus.COMPLETED)
    comment = PostComment(run.id, 1, "marker", "body")
    flag = "safety.allow_write_comments"
    place.house.ledger.withhold(run.id, comment, flag, "off", place.clock.now())
    assert len(await sweep(place.house, dry_run=False)) == 1


@pytest.mark.parametrize("expired_only", [False, True])
async def test_a_dry_run_says_the_same_and_touches_nothing(
    place: Place, spaces: MemoryWorkspaces, expired_only: bool
) -> None:
    run = left_by(place, RunStatus.FAILED)
    later(place, 1000)
    lines = list(place.journal.lines)
    would = await sweep(place.house, dry_run=True, expired_only=expired_only)
    assert kept(place, run) == (True, True)
    assert place.house.checks.ran == []
    assert place.journal.lines == lines
    assert await sweep(place.house, dry_run=False, expired_only=expired_only) == would != ()
    assert await sweep(place.house, dry_run=False, expired_only=expired_only) == ()


@pytest.mark.parametrize("problem", ["", "exit code 1"])
async def test_the_hook_runs_before_and_its_failure_is_only_told(
    place: Place, spaces: MemoryWorkspaces, problem: str
) -> None:
    run = left_by(place, RunStatus.FAILED)
    place.house.checks.problem = problem
    await sweep(place.house, dry_run=False)
    assert place.house.checks.ran == [("before_remove", run.id, True)]
    assert kept(place, run)[0] is False
    assert ("hook_failed" in place.journal.codes()) is bool(problem)
    assert "worktree_removed" in place.journal.codes()


@pytest.mark.parametrize(("expired_only", "goes"), [(False, True), (True, False)])
async def test_a_worktree_that_nobody_knows_goes_by_hand_only(
    place: Place, spaces: MemoryWorkspaces, expired_only: bool, goes: bool
) -> None:
    spaces.open(7, "dry-12345678", spaces.refresh().sha)
    place.house.artifacts.write(7, "dry-12345678", "planner.prompt.md", "x")
    later(place, 1000)
    found = await sweep(place.house, dry_run=False, expired_only=expired_only)
    assert [each.reason for each in found] == ["no run of this id is known"] * goes
    assert bool(spaces.worktrees()) is not goes
