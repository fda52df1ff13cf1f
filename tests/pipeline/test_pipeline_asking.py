"""Who may ask: only for whom the tracker vouches a run starts, and it goes on only for them."""

from dataclasses import replace

import pytest

from repoagents.domain.issue import Issue, IssueState
from repoagents.domain.people import Permission
from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import Forbidden, Unavailable
from repoagents.pipeline.attempt import run_attempt
from repoagents.pipeline.intake import Wish, accept
from repoagents.pipeline.preview import candidates
from repoagents.pipeline.reconcile import why_stop
from repoagents.pipeline.tick import Rhythm, tick
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
    assert people.asked == ["labelled_by 1", "permission max"]


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
    assert people.asked == ["labelled_by 1", "permission mona"]
    assert len(place.flows.started) == 1


@pytest.mark.parametrize("request_", ["labelled_by 2", "permission max"])
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

EDITED = replace(WRITTEN, body="Something else altogether.")


def left(place: Place, run: Run) -> None:
    """The run has ended."""
    begun = run.start(place.clock.now())
    assert place.house.runs.replace(run, begun)
    assert place.house.runs.replace(begun, begun.complete(place.clock.now()))


def test_a_text_that_its_author_changed_is_no_new_request_of_who_set_the_label(
    place: Place, people: MemoryPeople
) -> None:
    left(place, accepted(place))
    reason = accept(place.house, EDITED, Wish())
    assert isinstance(reason, str)
    assert "trigger 1" in reason
    assert "'stranger'" in reason
    assert isinstance(accept(place.house, EDITED, Wish(by_hand=True)), Run)


@pytest.mark.parametrize("author", [MAINTAINER.login, OTHER_MAINTAINER.login])
def test_a_text_that_only_permitted_people_can_have_changed_is_one(
    place: Place, people: MemoryPeople, author: str
) -> None:
    left(place, accepted(place))
    assert isinstance(accept(place.house, replace(EDITED, author=author), Wish()), Run)


def test_with_a_user_token_our_own_issue_may_be_reworded(
    place: Place, people: MemoryPeople
) -> None:
    people.us = STRANGER
    left(place, accepted(place))
    assert isinstance(accept(place.house, EDITED, Wish()), Run)


def test_the_text_of_a_deleted_account_is_nobodys(place: Place, people: MemoryPeople) -> None:
    left(place, accepted(place))
    assert isinstance(accept(place.house, replace(EDITED, author=""), Wish()), str)


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
