"""Where two parts meet: what one of them does while the other looks away."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.effect import Effect, ReplyToRemark
from repoagents.domain.issue import Comment, IssueState
from repoagents.domain.people import Permission
from repoagents.domain.pull_request import CheckRun, PullState, ReviewState
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.domain.settings import SafetySettings
from repoagents.errors import Forbidden, Unavailable
from repoagents.pipeline import approval, merge, rounds
from repoagents.pipeline.boundary import change
from repoagents.pipeline.followup import follow_up, with_open_pull_request
from repoagents.pipeline.inbox import cancel
from repoagents.pipeline.intake import Wish, accept
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.ports import FROM_COMMENT, Request, RoleTask
from tests.fakes.agents import write_fix
from tests.fakes.people import MAINTAINER, OTHER_MAINTAINER, STRANGER
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import EVERYTHING, ISSUE, Place
from tests.pipeline.test_pipeline_sighting import deliver

APPROVED = ReviewState.APPROVED


async def published(place: Place) -> Run:
    """A run whose draft pull request is out."""
    return await place.flow(place.queue())


def memory(place: Place) -> MemoryWorkspaces:
    """The repository in memory."""
    spaces = place.house.workspaces
    assert isinstance(spaces, MemoryWorkspaces)
    return spaces


async def test_the_issue_that_a_merge_by_hand_closes_does_not_cancel_the_run(
    place: Place, hub: MemoryHub
) -> None:
    place.with_settings(tracker=replace(place.house.settings.tracker, repo="octo/cat"))
    run = await published(place)
    hub.alter(run.branch, state=PullState.MERGED)
    hub.issues[1] = replace(ISSUE, state=IssueState.CLOSED)  # By the text's closing keyword.
    deliver(place, "closed")
    tick(place.house, place.flows, Rhythm(polls=False))
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.COMPLETED


async def test_an_approver_who_may_not_write_any_more_does_not_count(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.required = ("ci",)
    said = approval.approve(place.house, 1, "max", at=place.clock.now(), login="max")
    assert said.startswith("approved: the merge waits"), said
    hub.people.permissions["max"] = Permission.READ
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == []


async def test_a_review_that_was_taken_back_does_not_count_after_the_base_was_merged_in(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.required = ("ci",)
    hub.review(run.branch, OTHER_MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    memory(place).files |= {"other": "news\n"}
    await follow_up(place.house)
    moved = place.now(run)
    assert moved.head_sha != run.head_sha
    hub.review(run.branch, OTHER_MAINTAINER, ReviewState.DISMISSED, run.head_sha)
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == []


def reject(place: Place) -> None:
    """The operator says no."""
    assert approval.reject(place.house, 1, "olga", "no").startswith("rejected")


def cancel_run(place: Place) -> None:
    """The operator cancels."""
    wish = Request("c", "cancel", 1, place.clock.now(), by="olga")
    assert cancel(place.house, wish).startswith("cancelled")


@pytest.mark.parametrize("say_no", [reject, cancel_run], ids=lambda act: act.__name__)
async def test_a_no_while_the_base_is_merged_in_pushes_nothing(
    place: Place,
    hub: MemoryHub,
    monkeypatch: pytest.MonkeyPatch,
    say_no: Callable[[Place], None],
) -> None:
    run = await published(place)
    hub.required = ("ci",)
    approval.approve(place.house, 1, "olga")
    memory(place).files |= {"other": "news\n"}
    pushes = memory(place).pushes
    prove = merge._prove

    async def proved(*args: object) -> object:
        proof = await prove(*args)
        say_no(place)
        return proof

    monkeypatch.setattr(merge, "_prove", proved)
    await follow_up(place.house)
    assert memory(place).pushes == pushes
    assert place.now(run).head_sha == run.head_sha


async def test_a_death_after_the_approval_went_along_holds_up_no_merge(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await published(place)
    hub.required = ("ci",)
    approval.approve(place.house, 1, "olga")
    memory(place).files |= {"other": "news\n"}

    class Died(BaseException):
        """The process is gone."""

    def die(*_args: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "keep_move", die)
        with pytest.raises(Died):
            await follow_up(place.house)
    await follow_up(place.house)
    assert place.now(run).head_sha != run.head_sha
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == [(run.branch, place.now(run).head_sha)]


async def test_an_issue_that_is_closed_between_push_and_pull_request_gets_none(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = memory(place)
    push = spaces.push

    def pushed(branch: str, commit: str, expected: str | None) -> str:
        where = push(branch, commit, expected)
        hub.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
        return where

    monkeypatch.setattr(spaces, "push", pushed)
    run = await published(place)
    assert hub.opened == {}
    assert run.status is RunStatus.CANCELLED


async def test_a_new_title_opens_no_second_pull_request(place: Place, hub: MemoryHub) -> None:
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    first = await published(place)
    hub.issues[1] = replace(ISSUE, title="Quite another title")
    second = await place.flow(place.queue(hub.issues[1]))
    assert second.id != first.id
    assert list(hub.opened) == [first.branch]


async def test_a_pull_request_that_goes_elsewhere_now_gets_no_push(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.required = ("ci",)
    approval.approve(place.house, 1, "olga")
    hub.alter(run.branch, base="release")
    memory(place).files |= {"other": "news\n"}
    pushes = memory(place).pushes
    await follow_up(place.house)
    assert memory(place).pushes == pushes
    assert "into release" in place.now(run).last_event


def answer_again(place: Place, *texts: str) -> None:
    """Let the builder write these texts in turn."""
    place.agents.builder = lambda task, count: write_fix(task, ("fixed\n", *texts)[count])


async def answered(place: Place, hub: MemoryHub, text: str) -> Run:
    """A run whose builder has answered a remark with this text; nobody has told the thread yet."""
    answer_again(place, text)
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Say it twice.")
    await follow_up(place.house)
    return await place.flow(place.now(run))


async def test_a_reply_that_is_refused_holds_up_no_merge(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await answered(place, hub, "fixed fixed\n")
    perform = hub.perform

    def refuse(effect: Effect) -> str:
        if isinstance(effect, ReplyToRemark):
            raise Forbidden("POST: GitHub answered 403, the conversation is locked")
        return perform(effect)

    monkeypatch.setattr(hub, "perform", refuse)
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]
    assert "effect_failed" in place.journal.codes()


async def test_a_thread_is_answered_once_however_often_the_head_moves(
    place: Place, hub: MemoryHub
) -> None:
    run = await answered(place, hub, "fixed fixed\n")
    hub.required = ("ci",)
    approval.approve(place.house, 1, "olga")
    await follow_up(place.house)
    ((_, said),) = hub.replies
    assert said.endswith(f"{run.head_sha} answers this.")
    memory(place).files |= {"other": "news\n"}
    await follow_up(place.house)
    assert place.now(run).head_sha != run.head_sha
    await follow_up(place.house)
    assert len(hub.replies) == 1


async def test_a_thread_hears_that_nothing_was_changed_for_it(place: Place, hub: MemoryHub) -> None:
    run = await answered(place, hub, "fixed\n")
    await follow_up(place.house)
    ((_, said),) = hub.replies
    assert said.endswith(f"{run.head_sha} stands as it was: nothing was changed for this.")


async def test_of_many_remarks_no_round_notes_more_than_its_prompt_shows(
    place: Place, hub: MemoryHub
) -> None:
    answer_again(place, "fixed 2\n", "fixed 3\n")
    run = await published(place)
    for number in range(20):
        hub.remark(run.branch, MAINTAINER, f"Point {number}." + " x" * 2_000)
    for _ in range(2):
        await follow_up(place.house)
        run = await place.flow(place.now(run))
    asked = [prompt for role, prompt in place.agents.asked if role is Role.BUILDER][1:]
    assert 0 < sum(f"Point {number}." in asked[0] for number in range(20)) < 20
    for number in range(20):
        assert sum(f"Point {number}." in prompt for prompt in asked) == 1
    assert all(len(prompt) < 60_000 for prompt in asked)


async def test_a_round_that_gives_the_change_up_asks_a_person(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.required = ("ci",)
    approval.approve(place.house, 1, "olga")
    memory(place).files |= {"fixed.txt": "theirs\n"}
    place.agents.builder = lambda task, _count: write_fix(task, "theirs\n")
    await follow_up(place.house)
    ended = await place.flow(place.now(run))
    assert ended.status is RunStatus.BLOCKED
    assert ended.failure is not None
    assert "took back all of the change" in ended.failure.message
    hub.alter(run.branch, state=PullState.CLOSED)
    await follow_up(place.house)
    assert place.now(run).status is RunStatus.CANCELLED


async def test_a_pull_request_is_watched_though_a_later_round_has_failed(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Say it twice.")
    await follow_up(place.house)
    queued = place.now(run)
    failed = change(
        place.house,
        run.id,
        lambda was: was.fail(Failure(FailureClass.INFRA, "no"), place.clock.now()),
    )
    assert (queued.status, failed.status) == (RunStatus.QUEUED, RunStatus.FAILED)
    assert with_open_pull_request(place.house) == (failed,)
    hub.alter(run.branch, state=PullState.MERGED)
    await follow_up(place.house)
    assert with_open_pull_request(place.house) == ()
    assert "pull_request_merged" in place.journal.codes()


@pytest.mark.parametrize("end", [PullState.CLOSED, PullState.MERGED])
async def test_a_pull_request_that_ends_while_a_later_round_is_built_gets_no_follower(
    place: Place, hub: MemoryHub, end: PullState
) -> None:
    run = await published(place)
    hub.remark(run.branch, MAINTAINER, "Say it twice.")
    await follow_up(place.house)
    pushes = memory(place).pushes

    def build(task: RoleTask, _count: int) -> BuildReport:
        hub.alter(run.branch, state=end)
        return write_fix(task, "fixed fixed\n")

    place.agents.builder = build
    ended = await place.flow(place.now(run))
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    assert f"pull request 101 was {end}" in ended.failure.message
    assert memory(place).pushes == pushes
    assert hub.opened[run.branch].state is end
    if end is PullState.MERGED:
        return
    # Asked anew, by a person: a no that was known before is no obstacle.
    place.agents.builder = lambda task, _count: write_fix(task, "fixed otherwise\n")
    change(place.house, run.id, lambda was: was.requeue(place.clock.now(), "Otherwise."))
    again = await place.flow(place.now(run))
    assert again.status is not RunStatus.CANCELLED
    assert hub.opened[run.branch].state is PullState.OPEN
    assert with_open_pull_request(place.house) == (again,)


def test_issues_of_one_poll_do_not_pass_the_limit_on_pull_requests(
    place: Place, hub: MemoryHub
) -> None:
    limits = replace(place.house.settings.limits, open_pull_requests=2)
    place.with_settings(limits=limits)
    for number in range(1, 5):
        hub.issues[number] = replace(ISSUE, number=number, title=f"Issue {number}")
    tick(place.house, place.flows, Rhythm())
    assert len(place.house.runs.select()) == 2
    place.with_settings(limits=limits, safety=SafetySettings())
    tick(place.house, place.flows, Rhythm())
    assert len(place.house.runs.select()) == 4, "no pull request will come of these"


async def test_a_refused_command_is_refused_after_a_crash_too(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.with_settings(tracker=replace(place.house.settings.tracker, comment_commands=True))
    run = place.queue()
    written = Comment(STRANGER.login, "/repoagents stop", id=7, author_id=STRANGER.id)
    hub.issues[1] = replace(ISSUE, comments=(written,))
    hub.people.commented.add(1)

    class Died(BaseException):
        """The process is gone."""

    def die(*_args: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(place.house.inbox, "take", die)
        with pytest.raises(Died):
            tick(place.house, place.flows, Rhythm())
    tick(place.house, place.flows, Rhythm())
    assert place.now(run).status is RunStatus.QUEUED
    said = place.house.inbox.outcome(f"{FROM_COMMENT}7")
    assert said is not None
    assert "stranger may not ask for work" in said


async def test_what_a_comment_asks_for_outlives_an_outage(place: Place, hub: MemoryHub) -> None:
    """Its author has seen that it was heard, and nobody waits at a terminal."""
    await published(place)
    wish = Request(f"{FROM_COMMENT}9", "approve", 1, place.clock.now(), by=MAINTAINER.login)
    place.house.inbox.put(wish)
    rhythm = Rhythm(polls=False)
    reads: list[int] = []

    def unreachable(number: int) -> None:
        reads.append(number)
        raise Unavailable("HTTP 502")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "read_issue", unreachable)
        for _ in range(5):
            tick(place.house, place.flows, rhythm)
            place.clock.advance(1)
    assert len(reads) == 1, "an outage is not asked again and again"
    assert place.house.inbox.outcome(wish.id) is None
    place.clock.advance(60)
    tick(place.house, place.flows, rhythm)

    outcome = place.house.inbox.outcome(wish.id)
    assert outcome is not None
    assert not outcome.startswith("failed")


async def test_what_an_operator_asks_for_is_answered_in_an_outage(
    place: Place, hub: MemoryHub
) -> None:
    wish = Request("mine", "approve", 1, place.clock.now(), by="olga")
    await published(place)
    place.house.inbox.put(wish)

    def unreachable(number: int) -> None:
        raise Unavailable("HTTP 502")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "read_issue", unreachable)
        tick(place.house, place.flows, Rhythm(polls=False))

    assert place.house.inbox.outcome("mine") == "failed: HTTP 502"


def test_a_second_installation_works_on_nothing_of_the_first(place: Place, hub: MemoryHub) -> None:
    words = "<!-- repoagents:f0e1d2:issue=1 -->\nIssue #1: a change is published."
    issue = replace(ISSUE, comments=(Comment("bot", words, ours=True),))
    hub.issues[1] = issue
    refused = accept(place.house, issue, Wish())
    assert isinstance(refused, str)
    assert "another installation of this bot, f0e1d2," in refused
    assert isinstance(accept(place.house, issue, Wish(by_hand=True, forced=True)), Run)
