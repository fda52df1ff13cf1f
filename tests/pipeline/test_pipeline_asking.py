"""Who may ask: only for whom the tracker vouches a run starts, and it goes on only for them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.people import Account, AccountKind, Act, Permission
from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import Forbidden, Unavailable
from repoagents.pipeline.attempt import run_attempt
from repoagents.pipeline.intake import Wish, accept
from repoagents.pipeline.people import AskerUnknown
from repoagents.pipeline.preview import candidates
from repoagents.pipeline.reconcile import why_stop
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.ports import RoleTask
from tests.fakes.agents import write_fix
from tests.fakes.people import (
    BOT_ITSELF,
    MACHINE,
    MAINTAINER,
    OTHER_MAINTAINER,
    STRANGER,
    TRIAGER,
    MemoryPeople,
)
from tests.fakes.workspaces import MemoryWorkspaces
from tests.fakes.world import DirectSteps
from tests.pipeline.conftest import ISSUE, Place

WRITTEN = replace(ISSUE, author=STRANGER.login)
FORBIDDEN = Forbidden("it cannot be read", next_step="give the token metadata: read")


@pytest.fixture
def people(place: Place) -> MemoryPeople:
    """The place's tracker with accounts, and its repository in memory."""
    place.with_settings(tracker=TrackerSettings(repo="octo/cat"))
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = place.waits.house = replace(place.house, workspaces=spaces)
    place.tracker.issues = {1: WRITTEN}
    place.tracker.people = MemoryPeople()
    return place.tracker.people


def accepted(place: Place, issue: Issue = WRITTEN) -> Run:
    """The run that the issue gets."""
    run = accept(place.house, issue, Wish())
    assert isinstance(run, Run), run
    return run


def poll(place: Place, rhythm: Rhythm) -> None:
    """A tick in which the poll is due."""
    place.clock.advance(301)
    tick(place.house, place.flows, rhythm)


def warnings(place: Place, code: str) -> list[str]:
    return [text for found, text, _ in place.journal.lines if found == code]


# --- at intake ------------------------------------------------------------------------------


def test_the_run_keeps_who_asked_for_it(place: Place, people: MemoryPeople) -> None:
    people.labelled[1] = OTHER_MAINTAINER
    assert accepted(place).asked_by == "max"
    assert people.asked == ["labelled_by 1", "permission max", "edits_since 1"]


@pytest.mark.parametrize("asker", [TRIAGER, STRANGER, MACHINE, BOT_ITSELF, None])
def test_for_whom_nobody_vouches_nothing_starts(
    place: Place, people: MemoryPeople, asker: object
) -> None:
    people.labelled[1] = asker
    poll(place, Rhythm())
    assert place.flows.started == []
    assert place.house.runs.latest(1) is None
    assert "issue_left" in place.journal.codes()


def test_a_listed_bot_may_ask(place: Place, people: MemoryPeople) -> None:
    people.labelled[1] = MACHINE
    place.with_settings(tracker=TrackerSettings(allowed_bots=(MACHINE.id,)))
    run = accepted(place)
    assert run.asked_by == MACHINE.login
    assert why_stop(place.house, run) is None


def test_a_trigger_by_hand_is_the_operators_own_and_asks_nobody(
    place: Place, people: MemoryPeople
) -> None:
    people.faults[""] = FORBIDDEN
    run = accept(place.house, WRITTEN, Wish(by_hand=True))
    assert isinstance(run, Run)
    assert (run.asked_by, people.asked) == ("", [])
    assert why_stop(place.house, run) is None


def test_without_a_trigger_label_nobody_can_have_asked(place: Place, people: MemoryPeople) -> None:
    place.with_settings(tracker=TrackerSettings(trigger_label=None))
    assert "trigger_label is null" in str(accept(place.house, WRITTEN, Wish()))


def test_a_tracker_without_accounts_is_the_operators(place: Place) -> None:
    assert place.queue().asked_by == ""


def test_who_asked_is_read_once_per_new_run_and_not_per_poll(
    place: Place, people: MemoryPeople
) -> None:
    place.tracker.issues |= {
        2: replace(WRITTEN, number=2, labels=()),
        3: replace(WRITTEN, number=3, state=IssueState.CLOSED),
    }
    rhythm = Rhythm()
    for _ in range(3):
        poll(place, rhythm)
    assert people.asked == ["labelled_by 1", "permission mona", "edits_since 1"]
    assert len(place.flows.started) == 1


@pytest.mark.parametrize("request_", ["labelled_by 2", "permission max", "edits_since 2"])
def test_what_cannot_be_read_is_told_once_and_the_poll_goes_on(
    place: Place, people: MemoryPeople, request_: str
) -> None:
    place.tracker.issues = {n: replace(WRITTEN, number=n) for n in (1, 2, 3)}
    people.labelled[2] = OTHER_MAINTAINER
    people.faults[request_] = FORBIDDEN
    rhythm = Rhythm()
    for _ in range(3):
        poll(place, rhythm)
    asked = [place.house.runs.latest(number) is not None for number in (1, 2, 3)]
    assert asked == [True, False, True]
    (told,) = warnings(place, "asker_unread")
    assert "issue 2" in told
    people.faults[request_] = Unavailable("GitHub was not reached")
    poll(place, rhythm)
    assert len(warnings(place, "asker_unread")) == 2, "another reason is news"
    people.faults.clear()
    poll(place, rhythm)
    assert place.house.runs.latest(2) is not None


def test_an_outage_for_one_issue_is_told_once_and_the_poll_goes_on(
    place: Place, people: MemoryPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.tracker.issues = {n: replace(WRITTEN, number=n) for n in (1, 2)}
    read = place.tracker.read_issue

    def broken(number: int) -> Issue | None:
        if number == 1:
            raise Unavailable("cut off")
        return read(number)

    monkeypatch.setattr(place.tracker, "read_issue", broken)
    rhythm = Rhythm()
    poll(place, rhythm)
    poll(place, rhythm)
    assert [place.house.runs.latest(n) is not None for n in (1, 2)] == [False, True]
    assert len(warnings(place, "issue_failed")) == 1


# --- a text that was changed after it was asked for -----------------------------------------

LABELLED = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NOBODY = Account("", 0)
APP = Account("tidy[bot]", 16, AccountKind.BOT)


def changed(people: MemoryPeople, by: Account, at: datetime = LABELLED + SECOND) -> None:
    """Somebody changed the text of issue 1, which was labelled at noon."""
    people.labelled_at[1] = LABELLED
    people.edits.setdefault(1, []).append(Act(by, at))


def left(place: Place, run: Run) -> None:
    """The run has ended."""
    begun = run.start(place.clock.now())
    assert place.house.runs.replace(run, begun)
    assert place.house.runs.replace(begun, begun.complete(place.clock.now()))


@pytest.mark.parametrize("author", [STRANGER, TRIAGER, MACHINE, APP, NOBODY])
@pytest.mark.parametrize("at", [LABELLED, LABELLED + SECOND])
def test_a_text_that_was_changed_after_the_label_is_not_what_was_asked_for(
    place: Place, people: MemoryPeople, author: Account, at: datetime
) -> None:
    changed(people, author, at)
    poll(place, Rhythm())
    assert place.house.runs.latest(1) is None
    (told,) = warnings(place, "issue_left")
    assert author.login in told or "a deleted account" in told
    assert "set it again" in told
    assert "`repoagents trigger 1`" in told
    assert isinstance(accept(place.house, WRITTEN, Wish(by_hand=True)), Run)


def test_a_permitted_persons_later_edit_does_not_cover_a_strangers(
    place: Place, people: MemoryPeople
) -> None:
    changed(people, STRANGER)
    changed(people, MAINTAINER, LABELLED + 2 * SECOND)
    assert "by stranger" in str(accept(place.house, WRITTEN, Wish()))


def test_what_was_changed_before_the_label_was_read_by_who_set_it(
    place: Place, people: MemoryPeople
) -> None:
    changed(people, STRANGER, LABELLED - SECOND)
    accepted(place)


def test_the_label_set_anew_is_for_the_text_that_stands_there_now(
    place: Place, people: MemoryPeople
) -> None:
    changed(people, STRANGER)
    assert isinstance(accept(place.house, WRITTEN, Wish()), str)
    people.labelled_at[1] = LABELLED + 2 * SECOND
    accepted(place)


@pytest.mark.parametrize("who", [MAINTAINER, OTHER_MAINTAINER])
def test_a_text_that_permitted_people_changed_is_theirs(
    place: Place, people: MemoryPeople, who: Account
) -> None:
    changed(people, who)
    accepted(place)


def test_with_a_user_token_our_own_account_may_reword(place: Place, people: MemoryPeople) -> None:
    people.us = STRANGER
    changed(people, STRANGER)
    accepted(place)


def test_a_listed_bot_may_reword(place: Place, people: MemoryPeople) -> None:
    place.with_settings(tracker=TrackerSettings(allowed_bots=(MACHINE.id,)))
    changed(people, MACHINE)
    accepted(place)


def test_each_editor_is_judged_once(place: Place, people: MemoryPeople) -> None:
    for second in range(1, 5):
        changed(people, OTHER_MAINTAINER, LABELLED + second * SECOND)
    accepted(place)
    assert people.asked.count("permission max") == 1


def test_a_second_text_is_held_to_the_same_rule(place: Place, people: MemoryPeople) -> None:
    left(place, accepted(place))
    edited = replace(WRITTEN, body="Something else altogether.")
    changed(people, STRANGER)
    assert isinstance(accept(place.house, edited, Wish()), str)
    people.edits[1] = [Act(MAINTAINER, LABELLED + SECOND)]
    accepted(place, edited)


def test_by_a_command_it_counts_what_was_changed_since_the_command(
    place: Place, people: MemoryPeople
) -> None:
    changed(people, STRANGER)
    wish = Wish(by_hand=True, asked=Act(MAINTAINER, LABELLED))
    assert "write the command again" in str(accept(place.house, WRITTEN, wish))
    people.faults["edits_since"] = FORBIDDEN
    with pytest.raises(AskerUnknown):
        accept(place.house, WRITTEN, wish)
    people.faults.clear()
    later = replace(wish, asked=Act(MAINTAINER, LABELLED + 2 * SECOND))
    assert isinstance(accept(place.house, WRITTEN, later), Run)


def test_what_others_said_since_is_no_part_of_what_was_asked_for(
    place: Place, people: MemoryPeople
) -> None:
    people.labelled_at[1] = LABELLED

    def said(body: str, by: Account, at: datetime, changed: datetime | None = None) -> Comment:
        return Comment(by.login, body, author_id=by.id, created_at=at, changed_at=changed)

    before, after = LABELLED - SECOND, LABELLED + SECOND
    comments = (
        said("seen", STRANGER, before),
        said("seen, reworded in time", STRANGER, before - SECOND, before),
        said("reworded since", STRANGER, before, after),
        said("in that second", STRANGER, LABELLED),
        said("since", STRANGER, after),
        said("of the asker", MAINTAINER, after),
        Comment("eve", "at no time"),
    )
    run = accepted(place, replace(WRITTEN, comments=comments))
    kept = [comment.body for comment in place.house.runs.issue(run.id).comments]
    assert kept == ["seen", "seen, reworded in time", "of the asker"]


# --- while it is at work --------------------------------------------------------------------


def test_before_publishing_it_is_asked_again(place: Place, people: MemoryPeople) -> None:
    run = accepted(place)
    assert why_stop(place.house, run) is None
    people.permissions[MAINTAINER.login] = Permission.READ
    reason = why_stop(place.house, run)
    assert reason is not None
    assert "mona may not ask" in reason
    assert "--fresh" in reason


def test_another_ones_label_does_not_stand_in_for_who_asked(
    place: Place, people: MemoryPeople
) -> None:
    run = accepted(place)
    people.labelled[1] = OTHER_MAINTAINER
    assert why_stop(place.house, run) is None
    people.permissions[MAINTAINER.login] = Permission.NONE
    assert why_stop(place.house, run) is not None


def test_a_bot_that_is_listed_no_more_loses_its_run(place: Place, people: MemoryPeople) -> None:
    people.labelled[1] = MACHINE
    place.with_settings(tracker=TrackerSettings(allowed_bots=(MACHINE.id,)))
    run = accepted(place)
    place.with_settings(tracker=TrackerSettings())
    assert "tracker.allowed_bots" in (why_stop(place.house, run) or "")


def test_what_cannot_be_read_before_publishing_is_raised(
    place: Place, people: MemoryPeople
) -> None:
    run = accepted(place)
    people.faults["permission"] = FORBIDDEN
    with pytest.raises(Forbidden):
        why_stop(place.house, run)


async def test_who_lost_the_permission_gets_nothing_published(
    place: Place, people: MemoryPeople
) -> None:
    run = accepted(place)

    def build(task: RoleTask, _count: int) -> object:
        people.permissions[MAINTAINER.login] = Permission.TRIAGE
        return write_fix(task)

    place.agents.builder = build
    ended = await place.flow(run)
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    assert ended.failure.kind is FailureClass.CANCELLED
    assert "mona" in ended.failure.message
    assert ended.head_sha == ""
    assert place.house.ledger.rows(run.id) == () or all(
        row.name == "comment" for row in place.house.ledger.rows(run.id)
    )


async def test_an_unreadable_permission_stops_no_role_but_publishes_nothing(
    place: Place, people: MemoryPeople
) -> None:
    run = accepted(place)

    def build(task: RoleTask, _count: int) -> object:
        people.faults["permission"] = FORBIDDEN
        return write_fix(task)

    place.agents.builder = build
    result = await run_attempt(place.house, DirectSteps(), run.id, 0, 1)
    assert "issue_unread" in place.journal.codes(), "the reviewer was asked all the same"
    assert '"failed"' in result
    assert place.now(run).head_sha == ""


def test_a_dry_run_says_who_may_not_ask(place: Place, people: MemoryPeople) -> None:
    place.tracker.issues = {n: replace(WRITTEN, number=n) for n in (1, 2, 3)}
    people.labelled[1] = TRIAGER
    people.faults["labelled_by 2"] = FORBIDDEN
    reasons = [row.reason for row in candidates(place.house, place.house.runs.latest)]
    assert "'triage'" in (reasons[0] or "")
    assert "cannot be read" in (reasons[1] or "")
    assert reasons[2] is None
