"""After the pull request: closed, merged by hand, taken over, and a base that moves on."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.issue import IssueState
from repoagents.domain.pull_request import CheckRun, PullState, ReviewState
from repoagents.domain.reports import Role
from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.domain.settings import LimitSettings, SafetySettings
from repoagents.errors import GitError, GitHubError, StateUnreadable
from repoagents.pipeline import approval
from repoagents.pipeline.boundary import change
from repoagents.pipeline.errands import follow_when_due
from repoagents.pipeline.followup import follow_up, with_open_pull_request
from repoagents.pipeline.inbox import cancel
from repoagents.pipeline.intake import why_too_many
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.survey import Host, stand, survey
from repoagents.pipeline.tick import tick
from repoagents.ports import Request
from tests.fakes.agents import write_fix
from tests.fakes.people import MAINTAINER
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import EVERYTHING, ISSUE, Place, on_hub

FOREIGN = "f" * 40


async def published(place: Place) -> Run:
    """A run whose draft pull request is out."""
    return await place.flow(place.queue())


def memory(place: Place) -> MemoryWorkspaces:
    """The repository in memory."""
    spaces = place.house.workspaces
    assert isinstance(spaces, MemoryWorkspaces)
    return spaces


# --- what people do to it -------------------------------------------------------------------


@pytest.mark.parametrize("flags", [EVERYTHING, replace(EVERYTHING, allow_merge=False)])
async def test_a_merge_by_hand_completes_the_run(
    place: Place, hub: MemoryHub, flags: SafetySettings
) -> None:
    place.with_settings(safety=flags)
    run = await published(place)
    hub.alter(run.branch, state=PullState.MERGED)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.COMPLETED
    assert "pull_request_merged" in place.journal.codes()
    assert "is merged. Asked of you: nothing" in place.artifact(run, "handoff.md")
    assert hub.merged == []
    reads = hub.reads
    await follow_up(place.house)
    assert hub.reads == reads, "what is over is not read again"


async def test_a_closed_pull_request_is_a_no_until_somebody_asks_anew(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.alter(run.branch, state=PullState.CLOSED)
    await follow_up(place.house)
    ended = place.now(run)
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    assert "pull request 101 was closed" in ended.failure.message
    assert "was closed" in next(iter(hub.comments.values()))
    assert with_open_pull_request(place.house) == ()
    assert "refused" in approval.approve(place.house, 1, "olga")
    assert hub.merged == []


async def test_a_closed_pull_request_of_a_completed_run_is_read_no_more(
    place: Place, hub: MemoryHub
) -> None:
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    run = await published(place)
    hub.alter(run.branch, state=PullState.CLOSED)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.COMPLETED
    assert with_open_pull_request(place.house) == ()


async def test_a_commit_of_somebody_else_freezes_the_branch(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    assert approval.standing(place.house, run) is None
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, FOREIGN)
    memory(place).branches[run.branch] = FOREIGN
    pushes = memory(place).pushes
    await follow_up(place.house)
    stopped = place.now(run)
    assert stopped.status is RunStatus.BLOCKED
    assert stopped.failure is not None
    assert stopped.failure.kind is FailureClass.PULL_REQUEST
    assert FOREIGN[:12] in stopped.failure.message
    await follow_up(place.house)
    assert (hub.merged, memory(place).pushes) == ([], pushes)
    hub.alter(run.branch, state=PullState.MERGED)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.CANCELLED, "it was finished by hand"
    assert with_open_pull_request(place.house) == ()


async def test_a_commit_of_somebody_else_on_a_completed_runs_branch_is_told_once(
    place: Place, hub: MemoryHub
) -> None:
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    run = await published(place)
    memory(place).branches[run.branch] = FOREIGN
    await follow_up(place.house)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.COMPLETED
    assert place.journal.codes().count("merge_waits") == 1
    said = approval.approve(place.house, 1, "olga")
    assert said.startswith("refused: pull request 101 stands at ffffffffffff")


async def rebuilt(place: Place, hub: MemoryHub) -> tuple[Run, Run]:
    """A published run, and the same after a round that a remark asked for."""
    place.agents.builder = lambda task, count: write_fix(task, f"fixed {count}\n")
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    await follow_up(place.house)
    again = await place.flow(place.now(run))
    assert again.head_sha != run.head_sha
    return run, again


async def test_a_branch_that_somebody_puts_back_is_theirs(place: Place, hub: MemoryHub) -> None:
    run, again = await rebuilt(place, hub)
    pushes = memory(place).pushes
    memory(place).branches[run.branch] = run.head_sha
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, again.head_sha)
    for _ in range(2):
        await follow_up(place.house)
    stopped = place.now(run)
    assert stopped.status is RunStatus.BLOCKED
    assert stopped.failure is not None
    assert f"{run.head_sha[:12]}, an earlier commit of the bot's" in stopped.failure.message
    assert (hub.merged, memory(place).pushes) == ([], pushes)


async def test_a_listing_that_lags_behind_a_push_freezes_nothing(
    place: Place, hub: MemoryHub
) -> None:
    run, again = await rebuilt(place, hub)
    read = hub.pull_request

    def late(branch: str) -> object:
        found = read(branch)
        assert found is not None
        return replace(found, head_sha=run.head_sha)

    hub.pull_request = late
    await follow_up(place.house)
    assert place.now(run) == again
    assert memory(place).branches[run.branch] == again.head_sha


async def test_nothing_is_pushed_over_a_branch_that_was_put_back_meanwhile(
    place: Place, hub: MemoryHub
) -> None:
    run, _ = await rebuilt(place, hub)
    hub.remark(run.branch, MAINTAINER, "And shorter.")
    await follow_up(place.house)
    memory(place).branches[run.branch] = run.head_sha
    failed = await place.flow(place.now(run))
    assert memory(place).branches[run.branch] == run.head_sha
    assert failed.failure is not None
    assert "somebody has put it back" in failed.failure.message


async def test_a_pull_request_that_was_reopened_is_followed_once_somebody_asks_anew(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.alter(run.branch, state=PullState.CLOSED)
    await follow_up(place.house)
    hub.alter(run.branch, state=PullState.OPEN)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.CANCELLED, "a no is a no"
    place.agents.builder = lambda task, _count: write_fix(task, "fixed otherwise\n")
    change(place.house, run.id, lambda was: was.requeue(place.clock.now(), "Otherwise."))
    again = await place.flow(place.now(run))
    assert with_open_pull_request(place.house) == (again,)
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, again.head_sha)
    await follow_up(place.house)
    assert hub.merged == [(run.branch, again.head_sha)]


async def test_the_pull_request_of_a_cancelled_run_counts_until_it_ends(
    place: Place, hub: MemoryHub
) -> None:
    tracker = replace(place.house.settings.tracker, kind="github")
    place.with_settings(limits=LimitSettings(open_pull_requests=1), tracker=tracker)
    run = await published(place)
    wish = Request("c", "cancel", 1, place.clock.now(), by="olga")
    assert cancel(place.house, wish).startswith("cancelled")
    reason = why_too_many(place.house)
    assert reason is not None
    assert "open pull requests of the bot: 1 (of #1)" in reason
    host = Host("1.2.3", "a worker is live")
    assert "pull_requests_full" in [
        concern.code for concern in stand(place.house, survey(place.house, host), host).concerns
    ]
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, run.head_sha)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.CANCELLED
    assert hub.merged == []
    hub.alter(run.branch, state=PullState.MERGED)
    await follow_up(place.house)
    assert why_too_many(place.house) is None
    assert with_open_pull_request(place.house) == ()


@pytest.mark.parametrize("end", [PullState.CLOSED, PullState.MERGED])
async def test_no_round_goes_on_for_a_pull_request_that_is_over(
    place: Place, hub: MemoryHub, end: PullState
) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    await follow_up(place.house)
    queued = place.now(run)
    assert queued.status is RunStatus.QUEUED
    hub.alter(run.branch, state=end)
    await follow_up(place.house)
    ended = await place.flow(queued)
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    assert f"pull request 101 was {end}" in ended.failure.message
    assert place.agents.count(Role.BUILDER) == 1
    assert with_open_pull_request(place.house) == ()


async def test_a_round_that_is_asked_for_anew_after_a_no_goes_on(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.alter(run.branch, state=PullState.CLOSED)
    await follow_up(place.house)
    change(place.house, run.id, lambda was: was.requeue(place.clock.now(), "Otherwise."))
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.QUEUED


async def test_an_open_pull_request_of_a_run_at_work_is_left_to_it(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    await follow_up(place.house)
    queued = place.now(run)
    hub.remark(run.branch, MAINTAINER, "And shorter.")
    memory(place).branches[run.branch] = FOREIGN
    await follow_up(place.house)
    assert place.now(run) == queued
    limit = replace(place.house.settings.limits, open_pull_requests=2)
    place.with_settings(limits=limit)
    assert why_too_many(place.house) is None, "it counts once"


async def test_an_issue_that_is_closed_ends_the_wait(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, run.head_sha)
    hub.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
    assert "refused" in approval.approve(place.house, 1, "olga")
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.CANCELLED
    assert hub.merged == []


async def test_a_pull_request_that_is_gone_is_left(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.opened.clear()
    await follow_up(place.house)
    waits = place.now(run)
    assert waits.status is RunStatus.AWAITING_APPROVAL
    assert waits.last_event == f"no pull request from {run.branch} is to be found"
    assert "cannot be found" in approval.approve(place.house, 1, "olga")


async def test_one_that_cannot_be_read_holds_up_no_other(place: Place, hub: MemoryHub) -> None:
    first = await published(place)
    second = await place.flow(place.queue(replace(ISSUE, number=2, title="Another")))
    for run in (first, second):
        hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, run.head_sha)
    read = hub.pull_request

    def broken(branch: str) -> object:
        if branch == second.branch:
            raise GitHubError("GitHub answered 502", kind="unreachable")
        return read(branch)

    hub.pull_request = broken
    await follow_up(place.house)
    assert place.now(first).status is RunStatus.COMPLETED
    assert place.now(second).status is RunStatus.AWAITING_APPROVAL
    assert "followup_failed" in place.journal.codes()


async def test_a_state_that_cannot_be_read_ends_the_worker(place: Place, hub: MemoryHub) -> None:
    await published(place)

    def corrupt(_branch: str) -> object:
        raise StateUnreadable("corrupt")

    hub.pull_request = corrupt
    with pytest.raises(StateUnreadable):
        await follow_up(place.house)


async def test_only_the_newest_run_of_an_issue_is_followed(place: Place, hub: MemoryHub) -> None:
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    await published(place)
    place.queue(forced=True)
    assert with_open_pull_request(place.house) == ()


async def test_room_for_a_further_pull_request_is_taken_at_once(
    place: Place, hub: MemoryHub
) -> None:
    """No event tells of an issue that waited for nothing else."""
    place.with_settings(limits=LimitSettings(open_pull_requests=1))
    run = await published(place)
    other = replace(ISSUE, number=2)
    place.tracker.issues[2] = other
    rhythm = Rhythm()
    tick(place.house, place.flows, rhythm)
    await follow_when_due(place.house, rhythm)
    assert place.house.runs.latest(2) is None
    hub.alter(run.branch, state=PullState.CLOSED)
    rhythm.errands.followed_at = None

    await follow_when_due(place.house, rhythm)
    tick(place.house, place.flows, rhythm)

    assert place.house.runs.latest(2) is not None


async def test_without_pull_requests_there_is_nothing_to_follow(place: Place) -> None:
    await published(place)
    await follow_up(place.house)
    assert "followup_failed" not in place.journal.codes()


# --- a base that moves on -------------------------------------------------------------------


async def behind(place: Place, hub: MemoryHub, **files: str) -> Run:
    """An approved run, whose base has moved on since."""
    run = await published(place)
    hub.required = ("ci",)
    assert "ci has not ended" in approval.approve(place.house, 1, "olga")
    hub.check(run.branch, CheckRun("ci", "success"))
    memory(place).files = memory(place).files | files
    return run


async def test_the_base_is_merged_in_and_verified_and_the_approval_goes_along(
    place: Place, hub: MemoryHub
) -> None:
    run = await behind(place, hub, other="news\n")
    calls = len(place.agents.asked)
    await follow_up(place.house)
    moved = place.now(run)
    assert moved.head_sha != run.head_sha
    assert memory(place).branches[run.branch] == moved.head_sha
    assert hub.merged == [], "its checks begin anew"
    *_, carried = place.house.approvals.select(run.id)
    assert (carried.decision, carried.by) == ("carried", "olga")
    assert (carried.head_sha, carried.diff_hash) == (moved.head_sha, moved.diff_hash)
    assert "base_merged" in place.journal.codes()
    hub.check(run.branch, CheckRun("ci", None))
    await follow_up(place.house)
    assert hub.merged == []
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == [(run.branch, moved.head_sha)]
    assert len(place.agents.asked) == calls
    assert place.agents.count(Role.BUILDER) == 1


async def test_a_base_on_which_the_checks_fail_takes_a_person(place: Place, hub: MemoryHub) -> None:
    check = replace(
        place.house.settings.verify[0], run="test ! -e other && grep -q fixed fixed.txt"
    )
    place.with_settings(verify=(check,))
    run = await behind(place, hub, other="news\n")
    await follow_up(place.house)
    stopped = place.now(run)
    assert stopped.failure is not None
    assert stopped.failure.message == "with main merged in, fixed does not pass"
    assert memory(place).branches[run.branch] == run.head_sha
    assert len(place.house.approvals.select(run.id)) == 1


async def test_without_a_check_the_merged_commit_has_to_be_approved_anew(
    place: Place, hub: MemoryHub
) -> None:
    run = await behind(place, hub, other="news\n")
    place.with_settings(verify=())
    await follow_up(place.house)
    moved = place.now(run)
    assert memory(place).branches[run.branch] == moved.head_sha != run.head_sha
    await follow_up(place.house)
    assert hub.merged == []
    assert approval.standing(place.house, moved) is None
    assert moved.status is RunStatus.AWAITING_APPROVAL
    assert approval.approve(place.house, 1, "olga").startswith("merged")


async def test_a_push_that_was_cut_off_is_made_up_for(place: Place, hub: MemoryHub) -> None:
    run = await behind(place, hub, other="news\n")
    push, spaces = memory(place).push, memory(place)

    def cut(*_args: object) -> str:
        raise GitError("the connection broke", kind="unreachable")

    spaces.push = cut
    await follow_up(place.house)
    moved = place.now(run)
    assert spaces.branches[run.branch] == run.head_sha != moved.head_sha
    spaces.push = push
    await follow_up(place.house)
    assert spaces.branches[run.branch] == moved.head_sha
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL, "our older commit is no stranger"
    await follow_up(place.house)
    assert hub.merged == [(run.branch, moved.head_sha)]


@pytest.mark.parametrize("seen_by", ["the preparation", "the push"])
async def test_a_run_that_ends_while_its_base_is_verified_is_not_pushed_and_told(
    place: Place, hub: MemoryHub, seen_by: str
) -> None:
    run = await behind(place, hub, other="news\n")
    read, open_for = hub.read_issue, {"the preparation": 1, "the push": 2}[seen_by]
    reads = []

    def closed_later(number: int) -> object:
        reads.append(number)
        issue = read(number)
        assert issue is not None
        return issue if len(reads) <= open_for else replace(issue, state=IssueState.CLOSED)

    hub.read_issue = closed_later
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.CANCELLED
    assert memory(place).branches[run.branch] == run.head_sha
    (comment,) = hub.comments.values()
    assert "issue 1 was closed" in comment


async def test_with_branches_off_nothing_is_merged_in(place: Place, hub: MemoryHub) -> None:
    run = await behind(place, hub, other="news\n")
    place.with_settings(safety=replace(EVERYTHING, allow_open_pr=False))
    await follow_up(place.house)
    assert place.now(run).head_sha == run.head_sha
    assert memory(place).branches[run.branch] == run.head_sha


async def test_real_git_merges_the_base_in_without_force(
    place: Place, git: Callable[..., str]
) -> None:
    hub = on_hub(place)
    run = await published(place)
    root = place.house.root
    (root / "other.txt").write_text("news\n")
    git(root, "add", "other.txt")
    git(root, "commit", "--quiet", "--message=News")
    tip = git(root, "rev-parse", "HEAD")
    said = approval.approve(place.house, 1, "olga")
    assert said == "approved: the merge waits, for main has moved on"
    await follow_up(place.house)
    moved = place.now(run)
    assert git(root, "rev-parse", run.branch) == moved.head_sha
    parents = git(root, "log", "-1", "--format=%P", run.branch).split()
    assert parents == [run.head_sha, tip]
    await follow_up(place.house)
    assert hub.merged == [(run.branch, moved.head_sha)]
