"""From the proven change to the merge: approvals, and what must not be merged."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from repoagents.domain.people import Account, Permission
from repoagents.domain.pull_request import CheckRun, PullState, ReviewState
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.run import Run, RunStatus
from repoagents.domain.settings import ApprovalSettings, MergePolicySettings, SafetySettings
from repoagents.errors import GitHubError
from repoagents.pipeline import approval, merge
from repoagents.pipeline.boundary import change
from repoagents.pipeline.followup import follow_up, with_open_pull_request
from repoagents.pipeline.intake import why_too_many
from repoagents.ports import Approval
from tests.fakes.people import BOT_ITSELF, MACHINE, MAINTAINER, OTHER_MAINTAINER, STRANGER
from tests.fakes.pulls import MemoryHub
from tests.pipeline.conftest import EVERYTHING, ISSUE, Place

NO_MERGE = replace(EVERYTHING, allow_merge=False)
APPROVED, AGAINST = ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED


async def published(place: Place) -> Run:
    """A run whose draft pull request is out."""
    return await place.flow(place.queue())


def words(place: Place, run: Run) -> list[tuple[str, str]]:
    """Decisions on a run, with who took them."""
    return [(word.decision, word.by) for word in place.house.approvals.select(run.id)]


# --- where a run ends -----------------------------------------------------------------------


async def test_with_every_flag_a_published_run_waits_for_its_approval(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    assert run.status is RunStatus.AWAITING_APPROVAL
    assert hub.opened[run.branch].draft
    (waiting,) = approval.pending(place.house)
    assert (waiting.run.id, waiting.flags) == (run.id, ())
    assert (waiting.merges, waiting.pull) == (True, hub.opened[run.branch].url)


@pytest.mark.parametrize("flags", [SafetySettings(), NO_MERGE, SafetySettings(allow_merge=True)])
async def test_without_a_merge_to_wait_for_a_run_is_completed(
    place: Place, hub: MemoryHub, flags: SafetySettings
) -> None:
    place.with_settings(safety=flags)
    assert (await published(place)).status is RunStatus.COMPLETED


async def test_a_tracker_without_pull_requests_waits_for_no_merge(place: Place) -> None:
    place.with_settings(safety=EVERYTHING)
    assert (await published(place)).status is RunStatus.COMPLETED


# --- the operator's word --------------------------------------------------------------------


async def test_an_approval_merges_exactly_the_proven_commit(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    said = approval.approve(place.house, 1, "olga")
    assert said == "merged: https://hub.test/pull/101"
    assert hub.merged == [(run.branch, run.head_sha)]
    assert hub.readied == [101]
    assert place.now(run).status is RunStatus.COMPLETED
    assert words(place, run) == [("approve", "olga")]
    (comment,) = hub.comments.values()
    assert "merge" in comment
    assert approval.pending(place.house) == ()
    assert "refused" in approval.approve(place.house, 1, "olga")
    assert len(hub.merged) == 1


async def test_with_merges_off_an_approval_is_recorded_and_a_person_merges(
    place: Place, hub: MemoryHub
) -> None:
    place.with_settings(safety=NO_MERGE)
    run = await published(place)
    said = approval.approve(place.house, 1, "olga")
    assert said == "approved: merges are off: a person merges; https://hub.test/pull/101"
    assert (hub.merged, hub.readied) == ([], [])
    assert place.now(run).status is RunStatus.COMPLETED
    rows = {row.name: (row.state, row.flag) for row in place.house.ledger.rows(run.id)}
    assert rows["merge"] == ("withheld", "safety.allow_merge")
    await follow_up(place.house)
    assert hub.merged == []
    place.with_settings(safety=EVERYTHING)
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)], "opening the flag later loses nothing"


async def test_a_brake_that_is_pulled_at_the_last_moment_withholds_the_merge(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    end_draft = hub.mark_ready

    def braked(number: int) -> None:
        end_draft(number)
        found = Brake(Phase.DRAFT_PR, "a change held a secret", "r", 3, place.clock.now())
        place.house.brakes.pull(found)

    hub.mark_ready = braked
    said = approval.approve(place.house, 1, "olga")
    assert said.startswith("approved: stepped back to draft-pr"), said
    assert hub.merged == []
    place.house.brakes.release()
    assert approval.approve(place.house, 1, "olga") == "merged: https://hub.test/pull/101"
    assert place.now(run).status is RunStatus.COMPLETED


async def test_a_brake_that_is_released_at_the_last_moment_merges_nothing_unlooked_at(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, brakes = await published(place), place.house.brakes
    hub.mark_ready(hub.opened[run.branch].number)
    brakes.pull(Brake(Phase.DRAFT_PR, "a change held a secret", "r", 3, place.clock.now()))
    assert approval.approve(place.house, 1, "olga").startswith("approved: stepped back")
    look = brakes.find

    def released() -> Brake | None:
        found = look()
        brakes.release()
        return found

    monkeypatch.setattr(brakes, "find", released)
    (approved,) = place.house.approvals.select(run.id)
    said = merge.land(place.house, run, hub.opened[run.branch], approved)
    assert said.startswith("approved: stepped back")
    assert hub.merged == []


async def test_a_no_at_the_last_moment_is_heard(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    end_draft = hub.mark_ready

    def rejected(number: int) -> None:
        end_draft(number)
        assert approval.reject(place.house, 1, "max").startswith("rejected")

    hub.mark_ready = rejected
    assert approval.approve(place.house, 1, "olga").startswith("refused: it was called off")
    assert hub.merged == []
    assert place.now(run).status is RunStatus.CANCELLED


async def test_what_was_withheld_is_published_by_the_approval_and_merged_when_it_is_green(
    place: Place, hub: MemoryHub
) -> None:
    place.with_settings(safety=SafetySettings())
    run = await published(place)
    place.with_settings(safety=EVERYTHING)
    hub.required = ("ci",)
    assert approval.approve(place.house, 1, "olga").startswith("published:")
    await follow_up(place.house)
    assert hub.merged == []
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]


async def test_a_rejection_ends_the_wait(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    assert "will not be merged" in approval.reject(place.house, 1, "olga", "no")
    assert place.now(run).status is RunStatus.CANCELLED
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    assert "refused" in approval.approve(place.house, 1, "olga")
    assert hub.merged == []


async def test_a_word_older_than_the_commit_is_not_for_it(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    early = place.clock.now() - timedelta(seconds=1)
    said = approval.approve(place.house, 1, "mona", at=early, login="mona")
    assert "was pushed after that: look" in said
    assert words(place, run) == []
    said = approval.approve(place.house, 1, "mona", at=place.clock.now(), login="mona")
    assert said.startswith("merged")


@pytest.mark.parametrize("who", [MACHINE, BOT_ITSELF, STRANGER])
async def test_only_a_person_who_may_write_approves_by_a_comment(
    place: Place, hub: MemoryHub, who: Account
) -> None:
    run = await published(place)
    said = approval.approve(place.house, 1, who.login, login=who.login)
    assert "cannot approve: that takes a person" in said
    assert (words(place, run), hub.merged) == ([], [])


# --- reviews --------------------------------------------------------------------------------


async def test_an_approving_review_of_the_head_merges(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]
    assert words(place, run) == [("approve", "mona")]
    assert place.now(run).status is RunStatus.COMPLETED


Say = Callable[[MemoryHub, Run], None]
UNHEARD: dict[str, Say] = {
    "nobody": lambda hub, run: None,
    "another commit": lambda hub, run: hub.review(run.branch, MAINTAINER, APPROVED, "d" * 40),
    "a reader": lambda hub, run: hub.review(run.branch, STRANGER, APPROVED, run.head_sha),
    "a bot that may write": lambda hub, run: hub.review(
        run.branch, MACHINE, APPROVED, run.head_sha
    ),
    "ourselves": lambda hub, run: hub.review(run.branch, BOT_ITSELF, APPROVED, run.head_sha),
    "a mere comment": lambda hub, run: hub.review(
        run.branch, MAINTAINER, ReviewState.COMMENTED, run.head_sha
    ),
    "an objection": lambda hub, run: hub.review(run.branch, MAINTAINER, AGAINST, run.head_sha),
}


@pytest.mark.parametrize("case", UNHEARD)
async def test_nothing_else_counts(place: Place, hub: MemoryHub, case: str) -> None:
    hub.people.permissions |= {who.login: Permission.WRITE for who in (MACHINE, BOT_ITSELF)}
    run = await published(place)
    UNHEARD[case](hub, run)
    await follow_up(place.house)
    assert (hub.merged, words(place, run)) == ([], [])
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL


@pytest.mark.parametrize("other", ["head_sha", "diff_hash"])
async def test_an_approval_is_bound_to_the_commit_and_to_its_diff(
    place: Place, hub: MemoryHub, other: str
) -> None:
    run = await published(place)
    word = Approval(run.id, "approve", run.head_sha, run.diff_hash, "olga", place.house.clock.now())
    place.house.approvals.add(replace(word, **{other: "f" * 40}))
    await follow_up(place.house)
    assert hub.merged == []
    place.house.approvals.add(word)
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]


@pytest.mark.parametrize("state", [ReviewState.DISMISSED, AGAINST])
async def test_a_review_that_was_taken_back_approves_no_more(
    place: Place, hub: MemoryHub, state: ReviewState
) -> None:
    hub.required = ("ci",)
    run = await published(place)
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    hub.review(run.branch, MAINTAINER, state, run.head_sha)
    hub.check(run.branch, CheckRun("ci", "success"))
    await follow_up(place.house)
    assert hub.merged == []
    assert words(place, run) == [("approve", "mona"), ("withdraw", "mona")]


async def test_an_objection_outweighs_the_operators_word(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.review(run.branch, OTHER_MAINTAINER, AGAINST, run.head_sha)
    hub.review(run.branch, STRANGER, AGAINST, run.head_sha)
    assert approval.approve(place.house, 1, "olga") == (
        "approved: the merge waits, for max asked for changes"
    )
    hub.review(run.branch, OTHER_MAINTAINER, ReviewState.DISMISSED, run.head_sha)
    await follow_up(place.house)
    assert len(hub.merged) == 1, "a reader's objection holds up nothing"


async def test_who_asked_for_the_change_does_not_approve_it(place: Place, hub: MemoryHub) -> None:
    place.with_settings(approval=ApprovalSettings(other_person=True))
    run = await published(place)
    change(place.house, run.id, lambda was: replace(was, asked_by="mona"))
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    said = approval.approve(place.house, 1, "mona", login="mona")
    assert said == ("refused: mona asked for the change, and another person has to approve it")
    assert hub.merged == []
    hub.review(run.branch, OTHER_MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    assert len(hub.merged) == 1


@pytest.mark.parametrize(
    ("asked_by", "viewer"), [("", BOT_ITSELF), ("max", OTHER_MAINTAINER), ("", OTHER_MAINTAINER)]
)
async def test_the_operator_does_not_approve_their_own_wish(
    place: Place, hub: MemoryHub, asked_by: str, viewer: Account
) -> None:
    place.with_settings(approval=ApprovalSettings(other_person=True))
    hub.people.us = viewer
    run = await published(place)
    change(place.house, run.id, lambda was: replace(was, asked_by=asked_by))
    assert "another person has to approve" in approval.approve(place.house, 1, "olga")
    assert approval.approve(place.house, 1, "mona", login="mona").startswith("merged")


# --- what holds up a merge ------------------------------------------------------------------


def seen(hub: MemoryHub, run: Run, *checks: CheckRun) -> None:
    hub.check(run.branch, *checks)


HELD: dict[str, tuple[Say, str]] = {
    "pending": (lambda hub, run: seen(hub, run, CheckRun("ci", None)), "ci has not ended"),
    "absent": (lambda hub, run: seen(hub, run, CheckRun("lint", "success")), "ci has not ended"),
    "red": (lambda hub, run: seen(hub, run, CheckRun("ci", "cancelled")), "ci has failed"),
    "red once": (
        lambda hub, run: seen(hub, run, CheckRun("ci", "success"), CheckRun("ci", "cancelled")),
        "ci has failed",
    ),
    "retargeted": (lambda hub, run: hub.alter(run.branch, base="release"), "into release now"),
    "unknown": (lambda hub, run: _green(hub, run, mergeable=None), "not computed yet"),
    "conflict": (lambda hub, run: _green(hub, run, mergeable=False), "conflicts with main"),
}


def _green(hub: MemoryHub, run: Run, mergeable: bool | None) -> None:
    seen(hub, run, CheckRun("ci", "success"))
    hub.alter(run.branch, mergeable=mergeable)


@pytest.mark.parametrize("case", HELD)
async def test_what_is_not_ready_waits_and_is_told_once(
    place: Place, hub: MemoryHub, case: str
) -> None:
    spoil, reason = HELD[case]
    hub.required = ("ci",)
    run = await published(place)
    spoil(hub, run)
    said = approval.approve(place.house, 1, "olga")
    assert said.startswith("approved: the merge waits")
    assert reason in said
    assert reason in place.now(run).last_event
    await follow_up(place.house)
    assert place.journal.codes().count("merge_waits") == 1
    assert (hub.merged, hub.readied) == ([], [])
    hub.alter(run.branch, mergeable=True, base="main", checks=(CheckRun("ci", "neutral"),))
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]


async def test_where_nothing_is_required_every_check_counts(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.check(run.branch, CheckRun("one", "success"), CheckRun("two", "timed_out"))
    assert "two has failed" in approval.approve(place.house, 1, "olga")


async def test_checks_that_begin_when_the_draft_ends_are_waited_for(
    place: Place, hub: MemoryHub
) -> None:
    hub.required = ("ci",)
    run = await published(place)
    hub.check(run.branch, CheckRun("ci", "success"))
    ready = hub.mark_ready

    def begin(number: int) -> None:
        ready(number)
        hub.check(run.branch, CheckRun("ci", None))

    hub.mark_ready = begin
    assert "ci has not ended" in approval.approve(place.house, 1, "olga")
    assert hub.merged == []


async def test_a_refused_merge_is_looked_at_anew(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    hub.refuses = GitHubError("GitHub answered 409, Head branch was modified")
    said = approval.approve(place.house, 1, "olga")
    assert said.startswith("approved: the merge waits")
    assert "409" in said
    reads = hub.reads
    await follow_up(place.house)
    assert hub.reads > reads
    assert hub.merged == [(run.branch, run.head_sha)]


async def test_a_merge_that_github_refuses_says_why_and_is_told_once(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    for _ in range(2):
        hub.refuses = GitHubError("merge: GitHub answered 405, a conversation is not resolved")
        await follow_up(place.house)
    told = "GitHub refuses the merge: merge: GitHub answered 405, a conversation is not resolved"
    assert place.now(run).last_event == told
    assert place.journal.codes().count("merge_waits") == 1
    assert "followup_failed" not in place.journal.codes()
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]
    assert place.now(run).last_event == ""


async def test_a_moment_is_waited_for_github_to_compute_whether_it_merges(
    place: Place, hub: MemoryHub
) -> None:
    run = await published(place)
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    hub.alter(run.branch, mergeable=None)
    read, before = hub.pull_request, place.clock.monotonic()

    def computed(branch: str) -> object:
        found = read(branch)
        if hub.reads == reads + 2:
            hub.alter(branch, mergeable=True)
        return found

    reads, hub.pull_request = hub.reads, computed
    await follow_up(place.house)
    assert hub.merged == [(run.branch, run.head_sha)]
    assert place.clock.monotonic() - before < 10


async def test_a_merge_without_its_receipt_is_adopted(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    merge = hub.perform

    def cut(effect: object) -> str:
        merge(effect)
        raise GitHubError("reset", kind="unreachable")

    hub.perform = cut
    assert "reset" in approval.approve(place.house, 1, "olga")
    hub.perform = merge
    await follow_up(place.house)
    assert len(hub.merged) == 1
    assert place.now(run).status is RunStatus.COMPLETED
    assert with_open_pull_request(place.house) == ()


async def test_a_comment_only_policy_merges_nothing(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    place.with_settings(merge_policy=MergePolicySettings("comment_only"))
    assert "comment_only" in approval.approve(place.house, 1, "olga")
    hub.review(run.branch, MAINTAINER, APPROVED, run.head_sha)
    await follow_up(place.house)
    assert hub.merged == []


async def test_a_limit_on_open_pull_requests_is_told(place: Place, hub: MemoryHub) -> None:
    limits = replace(place.house.settings.limits, open_pull_requests=1)
    place.with_settings(limits=limits)
    assert why_too_many(place.house) is None
    run = await published(place)
    reason = why_too_many(place.house)
    assert reason is not None
    assert "limits.open_pull_requests is 1" in reason
    hub.alter(run.branch, state=PullState.CLOSED)
    await follow_up(place.house)
    assert why_too_many(place.house) is None
    assert ISSUE.number == run.issue_number
