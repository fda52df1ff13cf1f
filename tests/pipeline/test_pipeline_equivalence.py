"""The same history, seen by polls, by webhooks, by both, shuffled or doubled: the same runs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.domain.delivery import Delivery
from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.people import Act
from repoagents.domain.run import RunStatus
from repoagents.domain.settings import TrackerSettings
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.ports import Runs
from repoagents.store.database import open_database
from tests.fakes.clock import FakeClock
from tests.fakes.people import MAINTAINER, STRANGER, TRIAGER, MemoryPeople
from tests.fakes.workspaces import MemoryWorkspaces
from tests.fakes.world import ListJournal, MemoryTracker, NotedFlows
from tests.pipeline.conftest import Place

BEGUN = FakeClock().now()
NUMBERS = (1, 2)
WRITERS = {1: STRANGER.login, 2: MAINTAINER.login}
EVENTS = (
    *("label", "unlabel", "stop", "go on", "edit", "close", "reopen", "lock", "unlock"),
    *(
        "work",
        "finish",
        "delete",
        "say run",
        "say stop",
        "say retry",
        "say status",
        "stranger says run",
        "quote run",
    ),
)
SPOKEN = {
    "say run": (MAINTAINER, "/repoagents run"),
    "say stop": (MAINTAINER, "/repoagents stop"),
    "say retry": (MAINTAINER, "/repoagents retry look again"),
    "say status": (MAINTAINER, "/repoagents status"),
    "stranger says run": (TRIAGER, "/repoagents run"),
    "quote run": (MAINTAINER, "> /repoagents run"),
}
CHANGES: dict[str, Callable[[Issue, int], Issue]] = {
    "label": lambda was, _: replace(was, labels=tuple({*was.labels, "repoagents"})),
    "unlabel": lambda was, _: replace(was, labels=tuple({*was.labels} - {"repoagents"})),
    "stop": lambda was, _: replace(was, labels=tuple({*was.labels, "repoagents-stop"})),
    "go on": lambda was, _: replace(was, labels=tuple({*was.labels} - {"repoagents-stop"})),
    "edit": lambda was, serial: replace(was, body=f"Text {serial}."),
    "close": lambda was, _: replace(was, state=IssueState.CLOSED),
    "reopen": lambda was, _: replace(was, state=IssueState.OPEN),
    "lock": lambda was, _: replace(was, locked=True),
    "unlock": lambda was, _: replace(was, locked=False),
}


@dataclass(frozen=True)
class Happening:
    """One event of an issue; with a `look`, whoever watches looks after it."""

    event: str
    number: int
    look: bool


OFTEN = ("label", "label", "label", "label", *EVENTS)
HISTORIES = st.lists(
    st.builds(Happening, st.sampled_from(OFTEN), st.sampled_from((1, 1, 1, 2)), st.booleans()),
    min_size=6,
    max_size=16,
)


class LikeGitHub(MemoryTracker):
    """Lists the labelled issues alone, and those without their comments."""

    def read_issues(self) -> tuple[Issue, ...]:
        """The open ones with the label."""
        listed = (issue for issue in super().read_issues() if "repoagents" in issue.labels)
        return tuple(replace(issue, comments=()) for issue in listed)


@dataclass
class World:
    """A tracker that a history happens to; `serial` numbers texts, comments and deliveries."""

    tracker: LikeGitHub = field(default_factory=LikeGitHub)
    people: MemoryPeople = field(default_factory=MemoryPeople)
    serial: count = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Two open issues, one of them a stranger's."""
        self.tracker.people = self.people
        for number in NUMBERS:
            self.tracker.issues[number] = Issue(number, "T", "B", author=WRITERS[number])

    def happen(self, what: Happening) -> None:
        """Change the tracker."""
        serial = next(self.serial)
        issue = self.tracker.issues.get(what.number)
        if issue is None or what.event in ("work", "finish"):
            return
        if what.event == "delete":
            del self.tracker.issues[what.number]
        elif what.event in SPOKEN:
            who, body = SPOKEN[what.event]
            at = BEGUN + timedelta(seconds=serial)
            comment = Comment(who.login, body, id=serial, author_id=who.id, created_at=at)
            issue = replace(issue, comments=(*issue.comments, comment))
            self.people.commented.add(what.number)
            self.tracker.issues[what.number] = issue
        else:
            after = CHANGES[what.event](issue, serial)
            self._note(issue, after, BEGUN + timedelta(seconds=serial))
            self.tracker.issues[what.number] = after

    def _note(self, was: Issue, now: Issue, at: datetime) -> None:
        """Who set the label and who changed the text, and when."""
        if "repoagents" in {*now.labels} - {*was.labels}:
            self.people.labelled_at[now.number] = at
        if now.fingerprint != was.fingerprint:
            author = MAINTAINER if now.author == MAINTAINER.login else STRANGER
            self.people.edits.setdefault(now.number, []).append(Act(author, at))


Watch = Callable[[Place, Rhythm, list[Happening]], None]


def by_poll(place: Place, rhythm: Rhythm, _new: list[Happening]) -> None:
    place.clock.advance(301)
    tick(place.house, place.flows, rhythm)


def deliver(place: Place, happenings: list[Happening]) -> None:
    """A delivery for each, with an id of its own."""
    for what in happenings:
        row = Delivery(
            place.clock.token(12), "issues", place.clock.now(), "", "octo/cat", what.number
        )
        assert place.house.deliveries.put(row)


def by_webhook(place: Place, rhythm: Rhythm, new: list[Happening]) -> None:
    place.clock.advance(301)
    deliver(place, new)
    rhythm.polls = False
    tick(place.house, place.flows, rhythm)


def by_both(place: Place, rhythm: Rhythm, new: list[Happening]) -> None:
    place.clock.advance(301)
    deliver(place, new)
    tick(place.house, place.flows, rhythm)


def shuffled_and_doubled(place: Place, rhythm: Rhythm, new: list[Happening]) -> None:
    by_webhook(place, rhythm, [*reversed(new), *new[::2], *new])


WATCHES = (by_poll, by_webhook, by_both, shuffled_and_doubled)


def work(runs: Runs, what: Happening, at: datetime) -> None:
    """The worker takes up the issue's queued run, or brings it to its end."""
    run = runs.latest(what.number)
    if run is None or what.event not in ("work", "finish"):
        return
    if run.status is RunStatus.QUEUED:
        assert runs.replace(run, run.start(at))
    elif run.status is RunStatus.IN_PROGRESS and what.event == "finish":
        assert runs.replace(run, run.complete(at))


def seen(place: Place, history: list[Happening], watch: Watch) -> list[object]:
    """The runs that come of a history which is watched like this, a last look at the end."""
    place.clock = FakeClock()
    database = open_database(place.house.root / f"{watch.__name__}.sqlite", clock=place.clock)
    world, place.flows, rhythm = World(), NotedFlows(), Rhythm()
    place.house = replace(
        place.house,
        clock=place.clock,
        tracker=world.tracker,
        workspaces=MemoryWorkspaces(place.house.root / "grounds"),
        journal=ListJournal(),
        runs=database.runs,
        stages=database.stages,
        ledger=database.ledger,
        inbox=database.inbox,
        deliveries=database.deliveries,
    )
    new: list[Happening] = []
    for what in history:
        world.happen(what)
        work(database.runs, what, place.clock.now())
        new.append(what)
        if what.look:
            watch(place, rhythm, new)
            new = []
    watch(place, rhythm, new)
    runs = [run for number in NUMBERS for run in database.runs.of_issue(number)]
    told = sorted(
        (run.issue_number, run.status, run.fingerprint, run.asked_by, run.generation, run.note)
        for run in runs
    )
    started = len(set(place.flows.started))
    database.close()
    for path in place.house.root.glob(f"{watch.__name__}.sqlite*"):
        path.unlink()
    return [told, started]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORIES)
def test_however_a_history_is_seen_the_same_runs_come_of_it(
    place: Place, history: list[Happening]
) -> None:
    place.with_settings(tracker=TrackerSettings(repo="octo/cat", comment_commands=True))
    first, *others = [seen(place, history, watch) for watch in WATCHES]
    for other in others:
        assert other == first


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: watch.__name__)
def test_the_property_is_not_empty(place: Place, watch: Watch) -> None:
    place.with_settings(tracker=TrackerSettings(repo="octo/cat", comment_commands=True))
    history = [
        Happening("label", 1, look=True),
        Happening("edit", 1, look=True),
        Happening("label", 2, look=False),
        Happening("say run", 1, look=True),
        Happening("edit", 2, look=True),
        Happening("close", 1, look=False),
    ]
    told, started = seen(place, history, watch)
    assert started == 4
    assert [(row[0], row[1].value, row[3]) for row in told] == [
        (1, "cancelled", "mona"),
        (1, "cancelled", "mona"),
        (2, "cancelled", "mona"),
        (2, "queued", "mona"),
    ]
