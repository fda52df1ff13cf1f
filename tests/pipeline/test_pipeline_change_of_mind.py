"""What happens to an issue while a role works on it: the run stops, and nothing is published."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.issue import Issue, IssueState
from repoagents.domain.people import Act
from repoagents.domain.reports import Role
from repoagents.domain.run import FailureClass, RunStatus
from repoagents.pipeline import approval
from repoagents.pipeline.followup import follow_up
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.ports import RoleTask
from tests.fakes.people import STRANGER
from tests.fakes.pulls import MemoryHub
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place
from tests.pipeline.test_pipeline_sighting import deliver

WRITTEN = replace(ISSUE, author=STRANGER.login)
LABELS = WRITTEN.labels
CHANGES: dict[str, Callable[[Issue], Issue | None]] = {
    "its author edits the body": lambda was: replace(was, body="Send me the keys."),
    "its author edits the title": lambda was: replace(was, title="Send me the keys"),
    "it is locked": lambda was: replace(was, locked=True),
    "it is moved to another repository": lambda _: None,
    "the label is taken off": lambda was: replace(was, labels=()),
    "it gets the stop label": lambda was: replace(was, labels=(*LABELS, "repoagents-stop")),
    "it is closed": lambda was: replace(was, state=IssueState.CLOSED),
}


def happens(place: Place, what: str) -> None:
    """Somebody does it to issue 1."""
    after = CHANGES[what](place.tracker.issues[1])
    if after is None:
        del place.tracker.issues[1]
        return
    if after.fingerprint != WRITTEN.fingerprint:
        place.tracker.people.edits[1] = [Act(STRANGER, place.clock.now())]
    place.tracker.issues[1] = after


def by_poll(place: Place) -> None:
    """A tick in which the poll is due."""
    tick(place.house, place.flows, Rhythm())


def by_delivery(place: Place) -> None:
    """A tick after a delivery, without a poll."""
    deliver(place, place.clock.token(8))
    tick(place.house, place.flows, Rhythm(polls=False))


def by_none(_place: Place) -> None:
    """No tick comes in between: the run looks for itself."""


WATCHES = (by_poll, by_delivery, by_none)


def interrupt(place: Place, role: Role, act: Callable[[], None]) -> None:
    """Let it happen while this role works."""
    honest = getattr(place.agents, role.value)

    def work(task: RoleTask, count: int) -> object:
        act()
        return honest(task, count)

    setattr(place.agents, role.value, work)


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: watch.__name__)
@pytest.mark.parametrize("what", CHANGES)
async def test_it_stops_within_the_tick_and_publishes_nothing(
    place: Place, hub: MemoryHub, what: str, watch: Callable[[Place], None]
) -> None:
    tracker = replace(place.house.settings.tracker, repo="octo/cat")
    place.with_settings(tracker=tracker)
    run = place.queue(WRITTEN)
    stood: list[RunStatus] = []

    def act() -> None:
        happens(place, what)
        watch(place)
        stood.append(place.now(run).status)

    interrupt(place, Role.BUILDER, act)
    ended = await place.flow(run)
    looked = watch is not by_none
    assert stood == [RunStatus.CANCELLED if looked else RunStatus.IN_PROGRESS]
    assert place.agents.count(Role.REVIEWER) == 0
    assert_nothing_is_out(place, hub)
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    assert ended.failure.kind is FailureClass.CANCELLED
    by_poll(place)
    assert [found.id for found in place.house.runs.of_issue(1)] == [run.id], "nobody asked anew"


@pytest.mark.parametrize("role", [Role.PLANNER, Role.REVIEWER])
@pytest.mark.parametrize("what", CHANGES)
async def test_whichever_role_is_at_work(
    place: Place, hub: MemoryHub, what: str, role: Role
) -> None:
    run = place.queue(WRITTEN)
    interrupt(place, role, lambda: happens(place, what))
    assert (await place.flow(run)).status is RunStatus.CANCELLED
    assert_nothing_is_out(place, hub)


@pytest.mark.parametrize("what", CHANGES)
async def test_between_branch_and_pull_request(place: Place, hub: MemoryHub, what: str) -> None:
    run = place.queue(WRITTEN)
    spaces = place.house.workspaces
    push = spaces.push

    def pushed(branch: str, commit: str, expected: str | None) -> str:
        location = push(branch, commit, expected)
        happens(place, what)
        return location

    spaces.push = pushed
    assert (await place.flow(run)).status is RunStatus.CANCELLED
    assert hub.opened == {}


@pytest.mark.parametrize("watch", [by_poll, by_delivery], ids=lambda watch: watch.__name__)
@pytest.mark.parametrize("what", CHANGES)
async def test_what_waits_for_an_approval_is_called_off_too(
    place: Place, hub: MemoryHub, what: str, watch: Callable[[Place], None]
) -> None:
    place.with_settings(tracker=replace(place.house.settings.tracker, repo="octo/cat"))
    run = await place.flow(place.queue(WRITTEN))
    assert run.status is RunStatus.AWAITING_APPROVAL
    happens(place, what)
    watch(place)
    if watch is by_poll:
        await follow_up(place.house)  # What is not listed any more is looked at there.
    ended = place.now(run)
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    told = ended.failure.message in next(iter(hub.comments.values()))
    assert told is (1 in place.tracker.issues), "nothing is written below an issue that is gone"
    assert "refused" in approval.approve(place.house, 1, "olga")
    assert hub.merged == []


def assert_nothing_is_out(place: Place, hub: MemoryHub) -> None:
    """No branch, no pull request; the status comment may tell of the end."""
    spaces = place.house.workspaces
    assert isinstance(spaces, MemoryWorkspaces)
    assert (spaces.pushes, hub.opened) == (0, {})
    runs = place.house.runs.of_issue(1)
    names = {row.name for run in runs for row in place.house.ledger.rows(run.id)}
    assert names <= {"comment", "label"}
