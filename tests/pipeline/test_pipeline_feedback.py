"""Checks and people ask for changes after the pull request: further rounds on the same branch."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.people import Account
from repoagents.domain.pull_request import Annotation, CheckDetail, CheckRun, ReviewState
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.domain.settings import SafetySettings
from repoagents.errors import Unavailable
from repoagents.pipeline import approval, feedback
from repoagents.pipeline.followup import follow_up
from repoagents.ports import RoleTask
from tests.fakes.agents import write_fix
from tests.fakes.people import MACHINE, MAINTAINER, STRANGER
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import EVERYTHING, Place, on_hub

RED = CheckRun("ci", "failure", "AssertionError: 1 != 2")


def better(task: RoleTask, count: int) -> BuildReport:
    """A builder who does something else each time."""
    return write_fix(task, f"fixed {count}\n")


async def published(place: Place) -> Run:
    """A run whose draft pull request is out."""
    place.agents.builder = better
    return await place.flow(place.queue())


async def next_round(place: Place, run: Run) -> Run:
    """What follows from a look at the pull request."""
    await follow_up(place.house)
    queued = place.now(run)
    assert queued.status is RunStatus.QUEUED, queued.last_event
    return await place.flow(queued)


def pushed(place: Place) -> MemoryWorkspaces:
    """The repository in memory."""
    spaces = place.house.workspaces
    assert isinstance(spaces, MemoryWorkspaces)
    return spaces


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (EVERYTHING, RunStatus.AWAITING_APPROVAL),
        (replace(EVERYTHING, allow_merge=False), RunStatus.COMPLETED),
    ],
)
async def test_a_failing_check_is_mended_on_the_same_branch(
    place: Place, hub: MemoryHub, flags: SafetySettings, status: RunStatus
) -> None:
    place.with_settings(safety=flags)
    run = await published(place)
    hub.check(run.branch, RED, CheckRun("lint", "success"))
    mended = await next_round(place, run)
    assert (mended.status, mended.round, mended.branch) == (status, 2, run.branch)
    assert mended.head_sha != run.head_sha
    assert pushed(place).branches == {run.branch: mended.head_sha}
    assert pushed(place).pushes == 2
    assert list(hub.opened) == [run.branch]
    builds = [prompt for role, prompt in place.agents.asked if role is Role.BUILDER]
    assert "the check ci fails on the pull request" in builds[1]
    assert "AssertionError: 1 != 2" in builds[1]
    assert place.agents.count(Role.PLANNER) == 1, "the plan stands"
    assert place.now(run).attempt == 2


async def test_what_a_failed_check_left_is_told(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    note = Annotation("fixed.txt", 1, "failure", "not this")
    hub.details["ci"] = CheckDetail((note,), "make\n##[error]no\nclean\n", ("no more",))
    hub.check(run.branch, RED, CheckRun("lint", "success"))
    await next_round(place, run)
    prompt = [prompt for role, prompt in place.agents.asked if role is Role.BUILDER][1]
    assert "fixed.txt:1: failure: not this" in prompt
    assert "the end of its log:" in prompt
    assert "##[error]no" in prompt
    assert "(no more)" in prompt


async def test_a_check_whose_detail_is_out_of_reach_comes_back_later(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.check(run.branch, RED)
    detail = hub.check_detail

    def down(_check: CheckRun) -> CheckDetail:
        raise Unavailable("502")

    hub.check_detail = down
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    assert "followup_failed" in place.journal.codes()
    hub.check_detail = detail
    assert (await next_round(place, run)).round == 2


async def test_nothing_comes_back_while_a_check_runs(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.check(run.branch, RED, CheckRun("slow", None))
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    hub.required = ("ci",)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.QUEUED, "one that is not required holds up nothing"


async def test_only_what_is_required_is_mended(place: Place, hub: MemoryHub) -> None:
    hub.required = ("lint",)
    run = await published(place)
    hub.check(run.branch, RED, CheckRun("lint", "cancelled"))
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL


async def test_remarks_come_back_once_and_each_thread_is_answered(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    first = hub.remark(run.branch, MAINTAINER, "Name it better.")
    second = hub.remark(run.branch, MAINTAINER, "And here?", line=0)
    mended = await next_round(place, run)
    builds = [prompt for role, prompt in place.agents.asked if role is Role.BUILDER]
    assert "mona asks at fixed.txt:1:" in builds[1]
    assert "Name it better." in builds[1]
    assert "mona asks at fixed.txt:" in builds[1]
    await follow_up(place.house)
    assert place.now(run) == mended, "the same remarks ask for nothing more"
    assert [number for number, _ in hub.replies] == [first, second]
    assert all(mended.head_sha in body for _, body in hub.replies)
    await follow_up(place.house)
    assert len(hub.replies) == 2


@pytest.mark.parametrize("who", [STRANGER, MACHINE])
async def test_others_ask_for_nothing(place: Place, hub: MemoryHub, who: Account) -> None:
    run = await published(place)
    hub.remark(run.branch, who, "Delete everything.")
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    assert place.agents.count(Role.BUILDER) == 1


async def test_remarks_beside_an_approval_ask_for_nothing(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Nice.")
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, run.head_sha)
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]


async def test_a_new_round_voids_the_approval(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.check(run.branch, RED)
    assert "ci has failed" in approval.approve(place.house, 1, "olga")
    mended = await next_round(place, run)
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == []
    assert approval.standing(place.house, mended) is None
    assert approval.approve(place.house, 1, "olga").startswith("merged")
    assert hub.merged == [(run.branch, mended.head_sha)]


async def test_three_rounds_of_each_kind_and_then_a_person(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.check(run.branch, RED)
    for _ in range(3):
        await next_round(place, run)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    hub.remark(run.branch, MAINTAINER, "Then do it otherwise.")
    await next_round(place, run)
    assert place.agents.count(Role.BUILDER) == 5


async def test_with_branches_off_nothing_is_built(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.check(run.branch, RED)
    place.with_settings(safety=SafetySettings(allow_merge=True))
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL


async def test_with_comments_off_no_thread_is_answered(place: Place, hub: MemoryHub) -> None:
    place.with_settings(safety=SafetySettings(allow_open_pr=True))
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    await next_round(place, run)
    await follow_up(place.house)
    await follow_up(place.house)
    assert hub.replies == []
    rows = [row for row in place.house.ledger.rows(run.id) if row.name == "reply"]
    assert [row.flag for row in rows] == ["safety.allow_write_comments"]
    assert place.journal.codes().count("effect_withheld") == 3, "two comments and the reply"


async def test_a_death_before_the_queue_loses_no_contract(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Name it better.")

    class Died(BaseException):
        """The process is gone."""

    def die(*_args: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(feedback, "queue", die)
        with pytest.raises(Died):
            await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    mended = await next_round(place, run)
    assert mended.round == 2
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL


async def test_a_round_that_changes_nothing_is_not_repeated(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    place.agents.builder = lambda task, _count: write_fix(task, "fixed 0\n")
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    same = await next_round(place, run)
    assert same.head_sha == run.head_sha
    pushes = pushed(place).pushes
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    assert pushed(place).pushes == pushes


async def test_real_git_pushes_each_round_without_force(
    place: Place, git: Callable[..., str]
) -> None:
    hub = on_hub(place)
    run = await published(place)
    root = place.house.root
    hub.check(run.branch, RED)
    mended = await next_round(place, run)
    assert git(root, "rev-parse", run.branch) == mended.head_sha
    git(root, "merge-base", "--is-ancestor", run.head_sha, mended.head_sha)
    assert git(root, "show", f"{run.branch}:fixed.txt") == "fixed 1"
    changed = git(root, "diff", "--name-only", f"main...{run.branch}").split()
    assert changed == ["fixed.txt"]


async def test_real_git_pushes_another_run_of_the_issue_without_force(
    place: Place, git: Callable[..., str]
) -> None:
    hub = on_hub(place)
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    run = await published(place)
    root = place.house.root
    (root / "other.txt").write_text("news\n")
    git(root, "add", "other.txt")
    git(root, "commit", "--quiet", "--message=News")
    again = await place.flow(place.queue(forced=True))
    assert (again.id, again.branch) != (run.id, "")
    assert again.branch == run.branch
    git(root, "merge-base", "--is-ancestor", run.head_sha, again.head_sha)
    changed = git(root, "diff", "--name-only", f"main...{run.branch}").split()
    assert changed == ["fixed.txt"], "the newest base is below it"
    assert list(hub.opened) == [run.branch]
    assert again.stage is not Stage.BUILD
