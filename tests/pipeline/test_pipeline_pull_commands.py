"""Commands below the bot's own pull request: about its issue, by the same rules."""

from dataclasses import replace

import pytest

from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.people import Account
from repoagents.domain.run import Run, RunStatus
from repoagents.domain.settings import SafetySettings
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.ports import FROM_COMMENT
from tests.fakes.people import EPOCH, MACHINE, MAINTAINER, STRANGER
from tests.fakes.pulls import MemoryHub
from tests.pipeline.conftest import ISSUE, Place
from tests.pipeline.test_pipeline_sighting import deliver

PULL = 101
"""The pull request of issue 1."""


def allow_commands(place: Place) -> None:
    tracker = replace(place.house.settings.tracker, comment_commands=True, repo="octo/cat")
    place.with_settings(tracker=tracker)


async def published(place: Place) -> Run:
    """A run whose draft pull request is out; commands are on."""
    allow_commands(place)
    return await place.flow(place.queue())


def say(
    place: Place,
    body: str,
    comment_id: int = 1,
    by: Account = MAINTAINER,
    number: int = PULL,
    **over: object,
) -> None:
    """A comment below a pull request, now."""
    place.clock.advance(1)
    written = Comment(by.login, body, id=comment_id, author_id=by.id, created_at=place.clock.now())
    page = place.tracker.issues.get(number) or Issue(number, "Fix", pull_request=True)
    comments = (*page.comments, replace(written, **over))
    place.tracker.issues[number] = replace(page, comments=comments)


def sees(place: Place, *, by_delivery: bool, number: int = PULL) -> None:
    """A poll, in which the page is listed as changed, or a delivery that names it."""
    if by_delivery:
        deliver(place, place.clock.token(8), number)
        tick(place.house, place.flows, Rhythm(polls=False))
        return
    place.tracker.people.commented.add(number)
    tick(place.house, place.flows, Rhythm())


def outcome(place: Place, comment_id: int = 1) -> str:
    """What came of a command."""
    found = place.house.inbox.outcome(f"{FROM_COMMENT}{comment_id}")
    assert found is not None
    return found


BOTH = pytest.mark.parametrize("by_delivery", [False, True])


@BOTH
async def test_an_approval_there_merges_what_it_shows(
    place: Place, hub: MemoryHub, by_delivery: bool
) -> None:
    run = await published(place)
    say(place, "/repoagents approve")
    sees(place, by_delivery=by_delivery)
    assert outcome(place) == "merged: https://hub.test/pull/101"
    assert hub.merged == [(run.branch, run.head_sha)]
    (word,) = place.house.approvals.select(run.id)
    assert (word.by, word.head_sha) == (MAINTAINER.login, run.head_sha)


@BOTH
async def test_it_is_stopped_sent_back_and_told_of_there(
    place: Place, hub: MemoryHub, by_delivery: bool
) -> None:
    run = await published(place)
    say(place, "/repoagents stop", 1)
    sees(place, by_delivery=by_delivery)
    assert place.now(run).status is RunStatus.CANCELLED
    say(place, "/repoagents retry use the other way", 2)
    sees(place, by_delivery=by_delivery)
    again = place.now(run)
    assert (again.status, again.note) == (RunStatus.QUEUED, "use the other way")
    say(place, "/repoagents status", 3)
    sees(place, by_delivery=by_delivery)
    assert outcome(place, 3).startswith(f"told: run {run.id}")
    assert [number for number, _ in hub.comments] == [1], "the issue's comment is the one"


async def test_an_approval_from_before_the_push_is_none(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    say(
        place,
        "/repoagents approve",
        created_at=place.clock.now().replace(year=2026, month=3, day=3),
    )
    sees(place, by_delivery=True)
    assert "was pushed after that: look" in outcome(place)
    assert hub.merged == []
    assert place.house.approvals.select(run.id) == ()


OTHERS: dict[str, tuple[Account, dict[str, object]]] = {
    "may not ask": (STRANGER, {}),
    "is a bot": (MACHINE, {"bot": True}),
    "was edited": (MAINTAINER, {"changed_at": EPOCH}),
}


@pytest.mark.parametrize("words", OTHERS)
async def test_the_rules_are_those_of_the_issue(place: Place, hub: MemoryHub, words: str) -> None:
    run = await published(place)
    by, over = OTHERS[words]
    say(place, "/repoagents approve", by=by, **over)
    sees(place, by_delivery=True)
    assert words in outcome(place)
    assert hub.merged == []
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL


async def test_work_is_not_asked_for_there(place: Place, hub: MemoryHub) -> None:
    run = await published(place)
    say(place, "/repoagents run")
    sees(place, by_delivery=True)
    assert outcome(place) == "refused: work is asked for below the issue, #1"
    assert place.house.runs.of_issue(1) == (run,)
    assert place.house.runs.latest(PULL) is None


@pytest.mark.parametrize("verb", ["approve", "stop", "retry", "status", "run"])
async def test_a_pull_request_that_is_not_the_bots_takes_no_command(
    place: Place, hub: MemoryHub, verb: str
) -> None:
    run = await published(place)
    say(place, f"/repoagents {verb}", number=7)
    sees(place, by_delivery=True, number=7)
    assert "not the pull request of an issue's newest run" in outcome(place)
    assert place.now(run).status is RunStatus.AWAITING_APPROVAL
    assert hub.merged == []
    assert place.journal.codes().count("command_refused") == 1
    sees(place, by_delivery=True, number=7)
    assert place.journal.codes().count("command_refused") == 1, "it is looked at once"


async def test_an_earlier_runs_pull_request_approves_nothing_of_the_newest(
    place: Place, hub: MemoryHub
) -> None:
    await published(place)
    say(place, "/repoagents stop", 1)
    sees(place, by_delivery=True)
    place.tracker.issues[1] = replace(ISSUE, body="Mend it otherwise.")
    newer = place.queue(place.tracker.issues[1])
    assert newer.fingerprint == place.tracker.issues[1].fingerprint
    say(place, "/repoagents approve", 2)
    sees(place, by_delivery=True)
    assert "newest run" in outcome(place, 2)
    assert hub.merged == []


async def test_below_a_closed_pull_request_nothing_is_taken(place: Place, hub: MemoryHub) -> None:
    await published(place)
    say(place, "/repoagents approve")
    place.tracker.issues[PULL] = replace(place.tracker.issues[PULL], state=IssueState.CLOSED)
    sees(place, by_delivery=True)
    assert place.house.inbox.outcome(f"{FROM_COMMENT}1") is None


async def test_with_commands_off_nothing_is_heard_there(place: Place, hub: MemoryHub) -> None:
    await published(place)
    tracker = replace(place.house.settings.tracker, comment_commands=False)
    place.with_settings(tracker=tracker, safety=SafetySettings())
    say(place, "/repoagents stop")
    sees(place, by_delivery=True)
    assert place.house.inbox.outcome(f"{FROM_COMMENT}1") is None
