"""Cleaning: what goes, what stays, and that looking changes nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Never

import pytest

from repoagents.domain.effect import PostComment, PushBranch
from repoagents.domain.host_settings import RetentionSettings
from repoagents.domain.reports import BuildReport, CriterionRow, Decision, Review, Role
from repoagents.domain.run import AT_WORK, Failure, FailureClass, Run, RunStatus
from repoagents.domain.settings import SafetySettings
from repoagents.errors import GitError, StateUnreadable
from repoagents.pipeline.approval import approve
from repoagents.pipeline.boundary import change
from repoagents.pipeline.janitor import FINISHED, Removal, sweep, tidy
from repoagents.pipeline.preview import Candidate, preview
from repoagents.ports import CLOSED, Approval, RoleTask, Worktree
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import EVERYTHING, ISSUE, Place

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
    if status is RunStatus.BLOCKED:  # Its worktree can be made again; what it tells cannot.
        expected = (gone[1], False)
    assert kept(place, run) == (not expected[0], not expected[1])
    assert len(found) == sum(expected)
    assert place.now(run).status is status, "the run itself is never forgotten"


@pytest.mark.parametrize(
    ("days", "expired_only", "stands"),
    [(1000, False, True), (89.9, True, True), (90.1, True, False)],
)
async def test_under_an_open_approval_only_the_loop_takes_a_worktree_after_long(
    place: Place, spaces: MemoryWorkspaces, days: float, expired_only: bool, stands: bool
) -> None:
    run = left_by(place, RunStatus.COMPLETED)
    now = place.clock.now()
    branch = PushBranch(run.id, 1, "repoagents/issue-1-x", "c" * 40)
    place.house.ledger.withhold(run.id, branch, "safety.allow_open_pr", "off", now)
    later(place, days)
    found = await sweep(place.house, dry_run=False, expired_only=expired_only)
    assert (len(found), *kept(place, run)) == (not stands, stands, True)
    later(place, 1)
    place.house.ledger.discard(run.id, "rejected", now)
    await sweep(place.house, dry_run=False, expired_only=expired_only)
    assert kept(place, run) == (False, not expired_only)


async def test_a_withheld_result_is_published_and_followed_up_without_its_worktree(
    place: Place, hub: MemoryHub
) -> None:
    place.with_settings(safety=SafetySettings())
    run = await place.flow(place.queue())
    later(place, 90.1)
    await tidy(place.house, place.flows)
    assert kept(place, run) == (False, True)
    assert run.id in place.house.workspaces.kept
    place.with_settings(safety=EVERYTHING)
    assert approve(place.house, 1, "olga").startswith("published:")
    assert hub.pull_request(run.branch).head_sha == run.head_sha
    run = await place.flow(
        change(place.house, run.id, lambda was: was.requeue(place.clock.now(), "Rename it."))
    )
    assert hub.pull_request(run.branch).head_sha == run.head_sha
    assert (run.round, kept(place, run)) == (2, (True, True))
    later(place, 1000)
    await tidy(place.house, place.flows)
    assert kept(place, run) == (True, True), "its pull request is open"


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
    spaces.open(7, "20260304-050607-123456", spaces.refresh().sha)
    place.house.artifacts.write(7, "20260304-050607-123456", "planner.prompt.md", "x")
    later(place, 1000)
    found = await sweep(place.house, dry_run=False, expired_only=expired_only)
    assert [each.reason for each in found] == ["no run of this id is known"] * goes
    assert bool(spaces.worktrees()) is not goes
    assert len(place.house.artifacts.folders()) == 1


@pytest.mark.parametrize(
    ("days", "expired_only", "gone"),
    [
        (0.05, False, (False, False)),
        (0.1, False, (True, False)),
        (0.1, True, (False, False)),
        (14.1, True, (True, False)),
        (90.1, True, (True, True)),
    ],
)
async def test_what_a_dry_run_left_goes_as_that_of_a_run_does(
    place: Place,
    spaces: MemoryWorkspaces,
    days: float,
    expired_only: bool,
    gone: tuple[bool, bool],
) -> None:
    await killed_dry_run(place)
    later(place, days)
    await sweep(place.house, dry_run=False, expired_only=expired_only)
    assert (not spaces.worktrees(), not place.house.artifacts.folders()) == gone


@pytest.mark.parametrize(("hours", "gone"), [(1.9, False), (2.1, True)])
async def test_a_dry_run_that_may_be_at_work_is_left_however_short_things_stay(
    place: Place, spaces: MemoryWorkspaces, hours: float, gone: bool
) -> None:
    place.with_settings(retention=RetentionSettings(worktree_days=0.01, artifact_days=0.01))
    await killed_dry_run(place)
    later(place, hours / 24)
    await sweep(place.house, dry_run=False, expired_only=True)
    assert (not spaces.worktrees(), not place.house.artifacts.folders()) == (gone, gone)


async def test_names_that_only_look_like_a_runs_stand_in_nobodys_way(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = left_by(place, RunStatus.FAILED)
    for name in ("20261399-996199-abc", "dry-00000000-000000-abc"):
        spaces.open(1, name, spaces.refresh().sha)
        place.house.artifacts.write(1, name, "notes.md", "mine\n")
        spaces.kept |= {name}
        place.flows.ended += [name]
    later(place, 1000)
    await tidy(place.house, place.flows)
    assert kept(place, run) == (False, False)
    assert len(spaces.worktrees()) == len(place.house.artifacts.folders()) == 2
    assert place.flows.ended == []
    assert "errand_failed" not in place.journal.codes()


async def killed_dry_run(place: Place) -> None:
    """A dry run that was killed while the planner thought."""
    house = place.house

    def die(_task: RoleTask, _count: int) -> Never:
        raise SystemExit

    place.agents.planner, remove = die, house.workspaces.remove
    house.workspaces.remove = lambda _worktree: None
    with pytest.raises(SystemExit):
        await preview(house, Candidate(ISSUE, None), agent=True)
    house.workspaces.remove = remove
    assert len(house.workspaces.worktrees()) == len(house.artifacts.folders()) == 1


async def test_a_plan_of_a_dry_run_stays_for_the_rollout_counts_it(place: Place) -> None:
    await preview(place.house, Candidate(ISSUE, None), agent=True)
    later(place, 1000)
    await sweep(place.house, dry_run=False, expired_only=True)
    assert place.house.artifacts.folders() == ()
    assert place.house.artifacts.plans() == (1,)


@pytest.mark.parametrize("expired_only", [False, True])
async def test_nothing_of_a_run_with_an_open_pull_request_goes(
    place: Place, hub: MemoryHub, expired_only: bool
) -> None:
    run = await place.flow(place.queue())
    assert run.status is RunStatus.AWAITING_APPROVAL
    # Without the wish to merge, a published run is completed while its pull request is open.
    change(place.house, run.id, lambda was: was.complete(place.clock.now()))
    later(place, 1000)
    assert await sweep(place.house, dry_run=False, expired_only=expired_only) == ()
    house, now = place.house, place.clock.now()
    house.approvals.add(Approval(run.id, CLOSED, run.head_sha, run.diff_hash, "", now))
    assert await sweep(place.house, dry_run=False, expired_only=expired_only)


async def test_what_a_newer_run_has_taken_the_place_of_waits_for_nobody(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    old = left_by(place, RunStatus.COMPLETED)
    branch = PushBranch(old.id, 1, "repoagents/issue-1-x", "c" * 40)
    place.house.ledger.withhold(old.id, branch, "safety.allow_open_pr", "off", place.clock.now())
    later(place, 1000)
    assert await sweep(place.house, dry_run=False) == ()
    new = place.queue(forced=True)
    assert new.id != old.id
    (removed,) = await sweep(place.house, dry_run=False)
    assert old.id in removed.path


async def test_a_worktree_that_cannot_be_removed_keeps_nothing_else(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    first, second = left_by(place, RunStatus.FAILED), place.queue(replace(ISSUE, number=2))
    spaces.open(2, second.id, spaces.refresh().sha)
    change(place.house, second.id, lambda was: was.cancel(place.clock.now()))
    later(place, 1000)
    remove = spaces.remove

    def stubborn(worktree: Worktree) -> None:
        if worktree.run_id == first.id:
            raise GitError("a file of root's is in it")
        remove(worktree)

    spaces.remove = stubborn
    with pytest.raises(GitError, match="root's"):
        await sweep(place.house, dry_run=False)
    assert kept(place, second)[0], "by hand, the error is the answer"
    place.flows.ended = [first.id]
    await tidy(place.house, place.flows)
    assert (kept(place, first)[0], kept(place, second)[0]) == (True, False)
    assert place.flows.ended == []
    (told,) = [text for code, text, _ in place.journal.lines if code == "errand_failed"]
    assert "a file of root's is in it" in told


async def test_worktrees_that_cannot_be_listed_keep_nothing_else(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = left_by(place, RunStatus.FAILED)
    place.flows.ended = [run.id]
    later(place, 1000)

    def locked() -> tuple[Worktree, ...]:
        raise GitError("a folder of root's is in the way")

    spaces.worktrees, listed = locked, spaces.worktrees
    with pytest.raises(GitError, match="root's"):
        await sweep(place.house, dry_run=False)
    await tidy(place.house, place.flows)
    spaces.worktrees = listed
    assert kept(place, run) == (True, False)
    assert place.flows.ended == []
    assert "errand_failed" in place.journal.codes()


async def test_a_run_that_is_sent_back_while_the_hook_works_keeps_its_worktree(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = left_by(place, RunStatus.FAILED)

    async def slow(_name: str, _worktree: Worktree) -> str:
        change(place.house, run.id, lambda was: was.requeue(place.clock.now()))
        return ""

    place.house.checks.hook = slow
    assert await sweep(place.house, dry_run=False) == ()
    assert kept(place, run)[0]


async def test_the_state_that_cannot_be_read_ends_the_cleaning(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    left_by(place, RunStatus.FAILED)
    later(place, 1000)

    def damaged(_run_id: str) -> None:
        raise StateUnreadable("damaged")

    place.house.runs.find = damaged
    with pytest.raises(StateUnreadable):
        await tidy(place.house, place.flows)


async def test_a_blocked_run_goes_on_from_its_tree_without_its_worktree(place: Place) -> None:
    honest, place.agents.reviewer = place.agents.reviewer, refuse
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    before, asked = place.artifact(run, "changes.patch"), place.agents.count(Role.PLANNER)
    later(place, 90.1)
    await tidy(place.house, place.flows)
    assert kept(place, run) == (False, True)
    place.agents.reviewer = honest
    place.agents.builder = look_only
    run = change(place.house, run.id, lambda was: was.requeue(place.clock.now()))
    run = await place.flow(run)
    assert run.status is RunStatus.COMPLETED
    assert place.artifact(run, "changes.patch") == before
    assert place.agents.count(Role.PLANNER) == asked


def refuse(task: RoleTask, _count: int) -> Review:
    """A reviewer who is never content."""
    rows = tuple(CriterionRow(one, met=False, evidence="no") for one in task.criteria)
    return Review(Decision.REQUEST_CHANGES, rows)


def look_only(task: RoleTask, _count: int) -> BuildReport:
    """A builder who finds what an earlier round built, and adds nothing."""
    assert (task.worktree / "fixed.txt").exists()
    return BuildReport("it is there", ("fixed.txt",))


@pytest.mark.parametrize("status", RunStatus)
async def test_a_commit_is_let_go_with_its_worktree(
    place: Place, spaces: MemoryWorkspaces, status: RunStatus
) -> None:
    run = left_by(place, status)
    merged = change(place.house, run.id, lambda was: replace(was, head_sha="c" * 40))
    spaces.kept = {run.id, merged.head_sha, "d" * 40, "a-run-of-another-state"}
    await tidy(place.house, place.flows)
    assert run.id in spaces.kept
    later(place, 14.1)
    await tidy(place.house, place.flows)
    needed = {run.id, merged.head_sha} if status not in FINISHED else set()
    assert spaces.kept == needed | {"a-run-of-another-state"}


@pytest.mark.parametrize("status", RunStatus)
async def test_flows_are_forgotten_when_their_run_has_rested(
    place: Place, spaces: MemoryWorkspaces, status: RunStatus
) -> None:
    run = left_by(place, status)
    place.flows.ended = [run.id, "a-run-that-nobody-knows"]
    await tidy(place.house, place.flows)
    assert place.flows.ended == [run.id]
    later(place, 14.1)
    await tidy(place.house, place.flows)
    assert place.flows.ended == ([run.id] if status in AT_WORK else [])
