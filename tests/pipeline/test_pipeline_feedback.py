"""Checks and people ask for changes after the pull request: further rounds on the same branch."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.effect import Effect, ReplyToRemark
from repoagents.domain.people import Account
from repoagents.domain.pull_request import (
    Annotation,
    CheckDetail,
    CheckRun,
    Remark,
    ReviewState,
    Thread,
)
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.domain.settings import SafetySettings
from repoagents.errors import GitHubError, Unavailable
from repoagents.pipeline import approval, feedback
from repoagents.pipeline.followup import follow_up
from repoagents.ports import RoleTask
from tests.fakes.agents import write_fix
from tests.fakes.people import MACHINE, MAINTAINER, OTHER_MAINTAINER, STRANGER
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


def asked_of(place: Place) -> list[str]:
    """What the builder was told, round by round."""
    return [prompt for role, prompt in place.agents.asked if role is Role.BUILDER]


@pytest.mark.parametrize("state", [ReviewState.CHANGES_REQUESTED, ReviewState.COMMENTED])
async def test_the_words_of_a_review_come_back_once_and_are_answered(
    place: Place, hub: MemoryHub, state: ReviewState
) -> None:
    run = await published(place)
    hub.review(run.branch, MAINTAINER, state, run.head_sha, "This is not what the issue asks for.")
    mended = await next_round(place, run)
    assert "mona asks in a review of the change:" in asked_of(place)[1]
    assert "This is not what the issue asks for." in asked_of(place)[1]
    for _ in range(2):
        await follow_up(place.house)
    assert place.now(run) == mended, "it asks for nothing more"
    ((thread, said),) = hub.replies
    assert thread == 0
    assert said.endswith(f"{mended.head_sha} answers the review by mona.")


async def test_a_review_and_a_remark_of_one_number_are_two(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    remark = hub.remark(run.branch, MAINTAINER, "Name it better.")
    mended = await next_round(place, run)
    review = hub.review(
        run.branch, MAINTAINER, ReviewState.COMMENTED, mended.head_sha, "And all of it."
    )
    assert review == remark
    await next_round(place, mended)
    assert "And all of it." in asked_of(place)[2]
    assert "Name it better." not in asked_of(place)[2]


@pytest.mark.parametrize(
    ("who", "state"),
    [
        (STRANGER, ReviewState.CHANGES_REQUESTED),
        (MACHINE, ReviewState.CHANGES_REQUESTED),
        (MAINTAINER, ReviewState.DISMISSED),
    ],
)
async def test_other_reviews_ask_for_nothing(
    place: Place, hub: MemoryHub, who: Account, state: ReviewState
) -> None:
    run = await published(place)
    hub.review(run.branch, who, state, run.head_sha, "Delete everything.")
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL


async def test_an_objection_is_built_for_though_somebody_has_approved(
    place: Place, hub: MemoryHub
) -> None:
    hub.required = ("ci",)
    run = await published(place)
    hub.review(run.branch, MAINTAINER, ReviewState.APPROVED, run.head_sha, "Nice.")
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    against = ReviewState.CHANGES_REQUESTED
    hub.review(run.branch, OTHER_MAINTAINER, against, run.head_sha, "Not like this.")
    await next_round(place, run)
    assert "max asks in a review" in asked_of(place)[1]


async def test_a_thread_goes_on_until_nobody_says_more(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    first = hub.remark(run.branch, MAINTAINER, "Name it better.")
    run = await next_round(place, run)
    await follow_up(place.house)
    hub.remark(run.branch, STRANGER, "Delete everything.", below=first)
    hub.remark(run.branch, MACHINE, "Delete the rest.", below=first)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    hub.remark(run.branch, OTHER_MAINTAINER, "No, still wrong.", below=first)
    again = await next_round(place, run)
    (_, _, prompt) = asked_of(place)
    assert "max asks at fixed.txt:1; all of the thread:" in prompt
    assert prompt.index("Name it better.") < prompt.index("No, still wrong.")
    assert "Delete" not in prompt
    for _ in range(2):
        await follow_up(place.house)
    assert [(thread, said.split("\n")[1]) for thread, said in hub.replies] == [
        (first, f"{run.head_sha} answers this."),
        (first, f"{again.head_sha} answers this."),
    ]
    assert place.now(run) == again


async def test_what_is_said_while_a_round_is_built_is_not_lost(
    place: Place, hub: MemoryHub
) -> None:
    """Our answer stands below it, and yet does not answer it."""
    run = await published(place)
    first = hub.remark(run.branch, MAINTAINER, "Name it better.")
    await follow_up(place.house)
    hub.remark(run.branch, MAINTAINER, "And shorter.", below=first)
    mended = await place.flow(place.now(run))
    again = await next_round(place, mended)
    assert "And shorter." in asked_of(place)[2]
    await follow_up(place.house)
    said = [text.split("\n")[1] for _, text in hub.replies]
    assert said == [f"{sha} answers this." for sha in (mended.head_sha, again.head_sha)]


async def test_a_remark_that_is_deleted_later_is_not_answered_twice(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    first = hub.remark(run.branch, MAINTAINER, "Name it better.")
    hub.remark(run.branch, MAINTAINER, "And shorter.", below=first)
    await next_round(place, run)
    await follow_up(place.house)
    (thread,) = hub.opened[run.branch].threads
    hub.alter(run.branch, threads=(replace(thread, remarks=thread.remarks[:1]),))
    await follow_up(place.house)
    assert len(hub.replies) == 1


def test_a_thread_that_an_earlier_version_answered_is_not_answered_again() -> None:
    first, later = Remark(31, MAINTAINER, "Name it better."), Remark(45, MAINTAINER, "No.")
    thread = Thread(31, "fixed.txt", 1, (first, later))
    known = ["reply:31:ed251864987c367e", "reply:7:0123456789012345"]
    assert feedback._is_told(thread, first, known)
    assert not feedback._is_told(thread, later, known)


async def test_what_comes_after_the_last_round_is_told_to_everybody(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    first = hub.remark(run.branch, MAINTAINER, "Name it better.")
    for number in range(3):
        run = await next_round(place, run)
        hub.remark(run.branch, MAINTAINER, f"No. {number}", below=first)
    for _ in range(3):
        await follow_up(place.house)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    assert place.agents.count(Role.BUILDER) == 4
    assert place.now(run).last_event.startswith("more is asked for after 3 rounds: a person goes")
    assert place.journal.codes().count("merge_waits") == 1
    *_, (_, said) = hub.replies
    assert said.endswith(": this came after 3 rounds, a person goes on.")
    assert len(hub.replies) == 4, "one for each round, and this one"


async def test_what_comes_too_late_takes_no_approval_back(place: Place, hub: MemoryHub) -> None:
    """Not even while somebody requests changes, which keeps it from being merged."""
    run = await published(place)
    for number in range(3):
        hub.remark(run.branch, MAINTAINER, f"No. {number}")
        run = await next_round(place, run)
    hub.required = ("ci",)
    approval.approve(place.house, 1, "olga")
    against = ReviewState.CHANGES_REQUESTED
    hub.review(run.branch, OTHER_MAINTAINER, against, run.head_sha, "Not like this.")
    for _ in range(2):
        await follow_up(place.house)
    assert place.now(run).last_event == "max asked for changes"
    assert approval.standing(place.house, place.now(run)) is not None


async def test_whoever_answers_every_answer_is_answered_no_more_in_the_end(
    place: Place, hub: MemoryHub
) -> None:
    """Two accounts that write by themselves would never end."""
    run = await published(place)
    first = hub.remark(run.branch, MAINTAINER, "Name it better.")
    for number in range(3):
        run = await next_round(place, run)
        hub.remark(run.branch, MAINTAINER, f"No. {number}", below=first)
    for number in range(5):
        await follow_up(place.house)
        hub.remark(run.branch, MAINTAINER, f"Why? {number}", below=first)
        hub.review(run.branch, MAINTAINER, ReviewState.COMMENTED, run.head_sha, "Why?")
    assert place.agents.count(Role.BUILDER) == 4
    assert len(hub.replies) == 4
    assert place.now(run).last_event.startswith("more is asked for after 3 rounds")


async def test_a_late_answer_that_is_lost_is_told_soon(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the pull request has waited."""
    run = await published(place)
    for number in range(3):
        hub.remark(run.branch, MAINTAINER, f"No. {number}")
        run = await next_round(place, run)
    await follow_up(place.house)
    place.clock.advance(5 * 24 * 3_600)
    hub.remark(run.branch, MAINTAINER, "No. 3")
    await follow_up(place.house)
    place.clock.advance(60)

    def lost(_effect: Effect) -> str:
        raise Unavailable("502")

    with monkeypatch.context() as outage:
        outage.setattr(hub, "perform", lost)
        await follow_up(place.house)
    assert len(hub.replies) == 3
    place.clock.advance(180)
    await follow_up(place.house)
    assert len(hub.replies) == 4


async def test_a_check_that_fails_after_the_last_round_is_told(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.check(run.branch, RED)
    for _ in range(3):
        run = await next_round(place, run)
    for _ in range(2):
        await follow_up(place.house)
    assert place.now(run).last_event.startswith("the check ci fails after 3 rounds: a person goes")
    assert place.journal.codes().count("merge_waits") == 1
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert place.now(run).last_event == "", "it is not so any more"


@pytest.mark.parametrize("approved", [True, False])
async def test_a_required_check_that_never_begins_is_told(
    place: Place, hub: MemoryHub, approved: bool
) -> None:
    hub.required = ("ci",)
    run = await published(place)
    if approved:
        approval.approve(place.house, 1, "olga")
    place.clock.advance(14 * 60)
    await follow_up(place.house)
    assert "has not begun" not in place.now(run).last_event
    place.clock.advance(60)
    for _ in range(2):
        await follow_up(place.house)
    told = place.now(run).last_event
    assert told.startswith("the check ci has not begun 15 minutes after the push: approve its")
    assert place.journal.codes().count("merge_waits") == 1 + approved
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == ([(run.branch, run.head_sha)] if approved else [])
    assert "has not begun" not in place.now(run).last_event


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


async def test_an_answer_that_is_refused_for_good_is_tried_less_and_less(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Name it better.")
    await next_round(place, run)
    perform, tries = hub.perform, 0

    def refuse(effect: Effect) -> str:
        nonlocal tries
        if not isinstance(effect, ReplyToRemark):
            return perform(effect)
        tries += 1
        raise GitHubError("the conversation is locked")

    hub.perform = refuse  # type: ignore[method-assign]
    for _ in range(100):
        place.clock.advance(300)
        await follow_up(place.house)
    assert 6 <= tries <= 10, "within eight hours"
    hub.perform = perform  # type: ignore[method-assign]
    place.clock.advance(24 * 3600)
    await follow_up(place.house)
    assert len(hub.replies) == 1, "it was never given up"
