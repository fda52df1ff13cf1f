"""The base moves on and conflicts: one round for the builder, then a person."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.pull_request import CheckRun, PullRequest
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.pipeline import approval, merge, rounds
from repoagents.pipeline.boundary import change
from repoagents.pipeline.followup import follow_up
from repoagents.ports import RoleTask
from tests.fakes.agents import write_fix
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import Place, on_hub

Git = Callable[..., str]


def memory(place: Place) -> MemoryWorkspaces:
    """The repository in memory."""
    spaces = place.house.workspaces
    assert isinstance(spaces, MemoryWorkspaces)
    return spaces


def prompts(place: Place) -> list[str]:
    """What the builder was told, each time."""
    return [prompt for role, prompt in place.agents.asked if role is Role.BUILDER]


class Builder:
    """Writes `texts` in turn, and remembers what stood in the file before."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.found: list[str] = []

    def __call__(self, task: RoleTask, count: int) -> BuildReport:
        place = task.worktree / "fixed.txt"
        self.found.append(place.read_text() if place.exists() else "")
        return write_fix(task, self.texts[count])


async def approved(place: Place, *texts: str) -> tuple[Run, Builder]:
    """A run that was approved, whose merge waits for a check."""
    builder = place.agents.builder = Builder("fixed\n", *texts)
    assert isinstance(place.tracker, MemoryHub)
    place.tracker.required = ("ci",)
    run = await place.flow(place.queue())
    assert "ci has not ended" in approval.approve(place.house, 1, "olga")
    return run, builder


async def next_round(place: Place, run: Run) -> Run:
    """What follows from a look at the pull request."""
    await follow_up(place.house)
    queued = place.now(run)
    assert queued.status is RunStatus.QUEUED, queued.last_event
    return await place.flow(queued)


async def test_the_builder_gets_one_round_and_a_person_approves_anew(
    place: Place, hub: MemoryHub
) -> None:
    run, builder = await approved(place, "fixed both\n")
    memory(place).files |= {"fixed.txt": "theirs\n", "other": "news\n"}
    resolved = await next_round(place, run)
    assert builder.found[1] == "<<<<<<< ours\nfixed\n=======\ntheirs\n>>>>>>> theirs\n"
    assert "resolve fixed.txt: both changed it" in prompts(place)[1]
    assert place.agents.count(Role.PLANNER) == 1, "the plan stands"
    assert (resolved.status, resolved.round) == (RunStatus.AWAITING_APPROVAL, 2)
    assert resolved.base_sha == memory(place).refresh().sha != run.base_sha
    assert list(hub.opened) == [run.branch]
    assert memory(place).branches == {run.branch: resolved.head_sha}
    told = place.artifact(run, "changes.patch")
    assert "fixed both" in told
    assert "news" not in told, "the change is told against the new base"
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == []
    assert approval.standing(place.house, resolved) is None
    assert approval.approve(place.house, 1, "olga").startswith("merged")
    assert hub.merged == [(run.branch, resolved.head_sha)]


async def test_a_second_conflict_takes_a_person(place: Place, hub: MemoryHub) -> None:
    run, _ = await approved(place, "fixed both\n")
    memory(place).files |= {"fixed.txt": "theirs\n"}
    resolved = await next_round(place, run)
    approval.approve(place.house, 1, "olga")
    memory(place).files |= {"fixed.txt": "theirs once more\n"}
    await follow_up(place.house)
    stopped = place.now(run)
    assert stopped.status is RunStatus.BLOCKED
    assert stopped.failure is not None
    assert stopped.failure.message == "main has moved on and conflicts with the change again"
    assert "retry 1 --fresh" in stopped.failure.next_step
    assert memory(place).branches[run.branch] == resolved.head_sha
    assert place.agents.count(Role.BUILDER) == 2
    assert hub.merged == []


async def test_our_side_as_it_was_still_takes_the_base_in(place: Place, hub: MemoryHub) -> None:
    run, _ = await approved(place, "fixed\n")
    memory(place).files |= {"fixed.txt": "theirs\n"}
    resolved = await next_round(place, run)
    assert resolved.head_sha != run.head_sha
    pull = hub.pull_request(run.branch)
    assert isinstance(pull, PullRequest)
    assert not pull.behind


async def test_a_death_before_the_queue_loses_nothing(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, builder = await approved(place, "fixed both\n")
    memory(place).files |= {"fixed.txt": "theirs\n"}

    class Died(BaseException):
        """The process is gone."""

    def die(*_args: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "queue", die)
        with pytest.raises(Died):
            await follow_up(place.house)
    assert place.now(run) == replace(run, last_event=place.now(run).last_event)
    resolved = await next_round(place, run)
    assert "<<<<<<<" in builder.found[1]
    assert (resolved.round, resolved.status) == (2, RunStatus.AWAITING_APPROVAL)
    assert memory(place).pushes == 2


async def test_a_failing_check_after_the_move_goes_back_on_the_new_base(
    place: Place, hub: MemoryHub
) -> None:
    run, builder = await approved(place, "fixed again\n")
    memory(place).files |= {"other": "news\n"}
    await follow_up(place.house)
    moved = place.now(run)
    assert moved.head_sha != run.head_sha, "a clean merge"
    assert moved.base_sha == memory(place).refresh().sha
    hub.check(run.branch, CheckRun("ci", "failure", "1 != 2"))
    mended = await next_round(place, run)
    assert builder.found[1] == "fixed\n"
    assert (mended.status, mended.round) == (RunStatus.AWAITING_APPROVAL, 2)
    told = place.artifact(run, "changes.patch")
    assert "fixed again" in told
    assert "news" not in told, "the base is below it, not part of it"
    await follow_up(place.house)
    assert place.now(run).head_sha == mended.head_sha, "it is up to date"
    assert place.agents.count(Role.PLANNER) == 1


async def test_a_death_before_the_move_leaves_a_base_that_a_round_may_begin_with(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, builder = await approved(place, "fixed again\n")
    memory(place).files |= {"other": "news\n"}

    class Died(BaseException):
        """The process is gone."""

    def die(*_args: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(merge, "change", die)
        with pytest.raises(Died):
            await follow_up(place.house)
    assert place.now(run).head_sha == run.head_sha
    hub.check(run.branch, CheckRun("ci", "failure", "1 != 2"))
    mended = await next_round(place, run)
    assert builder.found[1] == "fixed\n"
    assert (mended.status, mended.base_sha) == (
        RunStatus.AWAITING_APPROVAL,
        memory(place).refresh().sha,
    )
    assert "news" not in place.artifact(run, "changes.patch")
    pull = hub.pull_request(run.branch)
    assert isinstance(pull, PullRequest)
    assert not pull.behind


async def test_a_retry_after_the_move_begins_with_the_merged_tree(
    place: Place, hub: MemoryHub
) -> None:
    run, builder = await approved(place, "fixed again\n")
    memory(place).files |= {"other": "news\n"}
    await follow_up(place.house)
    approval.reject(place.house, 1, "olga")
    change(place.house, run.id, lambda was: was.requeue(place.clock.now()))
    again = await place.flow(place.now(run))
    assert builder.found[1] == "fixed\n"
    assert (again.round, again.base_sha) == (1, memory(place).refresh().sha)
    told = place.artifact(run, "changes.patch")
    assert "fixed again" in told
    assert "news" not in told


async def test_a_later_round_that_is_retried_after_the_move_does_not_undo_the_base(
    place: Place, hub: MemoryHub
) -> None:
    run, builder = await approved(place, "fixed again\n", "fixed once more\n")
    hub.check(run.branch, CheckRun("ci", "failure", "1 != 2"))
    await next_round(place, run)
    hub.check(run.branch, CheckRun("ci", None))
    approval.approve(place.house, 1, "olga")
    memory(place).files |= {"other": "news\n"}
    await follow_up(place.house)
    approval.reject(place.house, 1, "olga")
    change(place.house, run.id, lambda was: was.requeue(place.clock.now()))
    again = await place.flow(place.now(run))
    assert (again.round, again.base_sha) == (2, memory(place).refresh().sha)
    assert builder.found[2] == "fixed again\n"
    told = place.artifact(run, "changes.patch")
    assert "fixed once more" in told
    assert "news" not in told


# --- real git -------------------------------------------------------------------------------


def commit_on_main(place: Place, git: Git, **files: str) -> None:
    """Somebody commits to the operator's main."""
    root = place.house.root
    for name, text in files.items():
        (root / f"{name}.txt").write_text(text)
    git(root, "add", "--all", ":!.ai-repoagents")
    git(root, "commit", "--quiet", "--message=Theirs")


async def test_real_git_merges_both_without_force(place: Place, git: Git) -> None:
    hub = on_hub(place)
    run, builder = await approved(place, "fixed both\n")
    root = place.house.root
    commit_on_main(place, git, fixed="theirs\n", other="news\n")
    resolved = await next_round(place, run)
    assert resolved.status is RunStatus.AWAITING_APPROVAL, resolved.failure
    assert "<<<<<<<" in builder.found[1]
    assert "\nfixed\n=======\ntheirs\n>>>>>>>" in builder.found[1]
    assert "resolve fixed.txt: CONFLICT (add/add)" in prompts(place)[1]
    parents = set(git(root, "rev-parse", f"{run.branch}^@").split())
    assert parents == {run.head_sha, git(root, "rev-parse", "main")}
    assert git(root, "show", f"{run.branch}:fixed.txt") == "fixed both"
    assert git(root, "show", f"{run.branch}:other.txt") == "news"
    assert git(root, "diff", "--name-only", f"main...{run.branch}").split() == ["fixed.txt"]
    hub.check(run.branch, CheckRun("ci", "success"))
    assert approval.approve(place.house, 1, "olga").startswith("merged")


@pytest.mark.parametrize("moved_on", [False, True])
async def test_what_was_taken_out_of_the_base_is_not_brought_back(
    place: Place, git: Git, moved_on: bool
) -> None:
    hub = on_hub(place)
    commit_on_main(place, git, secret="key\n")
    run, _ = await approved(place)
    git(place.house.root, "reset", "--quiet", "--hard", "HEAD~1")
    if moved_on:
        commit_on_main(place, git, other="news\n")
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    stopped = place.now(run)
    assert hub.merged == []
    assert git(place.house.root, "rev-parse", run.branch) == run.head_sha
    assert stopped.status is RunStatus.BLOCKED
    assert stopped.failure is not None
    assert "its history was rewritten" in stopped.failure.message


async def test_real_git_fetches_its_own_branch_again(place: Place, git: Git) -> None:
    hub = on_hub(place)
    run, _ = await approved(place, "fixed again\n")
    for lost in ("git", "workspaces"):
        (place.house.root / ".ai-repoagents" / lost).rename(place.house.root.parent / lost)
    hub.check(run.branch, CheckRun("ci", "failure", "1 != 2"))
    mended = await next_round(place, run)
    assert mended.status is RunStatus.AWAITING_APPROVAL, mended.failure
    git(place.house.root, "merge-base", "--is-ancestor", run.head_sha, mended.head_sha)


async def test_a_clone_that_is_deleted_before_the_conflicts_round_loses_nothing(
    place: Place, git: Git
) -> None:
    on_hub(place)
    run, builder = await approved(place, "fixed both\n")
    commit_on_main(place, git, fixed="theirs\n")
    await follow_up(place.house)
    for lost in ("git", "workspaces"):
        (place.house.root / ".ai-repoagents" / lost).rename(place.house.root.parent / lost)
    resolved = await place.flow(place.now(run))
    assert resolved.status is RunStatus.AWAITING_APPROVAL, resolved.failure
    assert "\nfixed\n=======\ntheirs\n>>>>>>>" in builder.found[1]


async def test_what_is_left_of_a_conflict_is_never_pushed(place: Place, git: Git) -> None:
    on_hub(place)
    run, _ = await approved(place, "fixed\n<<<<<<< ours\n=======\ntheirs\n>>>>>>> theirs\n")
    commit_on_main(place, git, fixed="theirs\n")
    stopped = await next_round(place, run)
    assert stopped.failure is not None
    assert stopped.failure.kind is FailureClass.POLICY_BLOCK
    assert "fixed.txt:2: a conflict marker" in stopped.failure.message
    assert git(place.house.root, "rev-parse", run.branch) == run.head_sha
