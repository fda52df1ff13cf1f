"""What follows from an issue as it is now: runs called off, commands taken, deliveries drained."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.access import Backlog
from repoagents.domain.delivery import Delivery
from repoagents.domain.effect import Effect, React
from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.people import Account, Act
from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.domain.settings import SafetySettings, TrackerSettings
from repoagents.errors import Forbidden, StoreError, Unavailable
from repoagents.pipeline.errands import sweep_when_due
from repoagents.pipeline.janitor import EVENTS_STAY
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.sighting import COMMANDS_HOLD
from repoagents.pipeline.tick import tick
from repoagents.ports import FROM_COMMENT
from tests.fakes.inspection import KnownAccess
from tests.fakes.people import EPOCH, MACHINE, MAINTAINER, STRANGER, MemoryPeople
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place

TRACKER = TrackerSettings(repo="octo/cat", comment_commands=True)


@dataclass
class NotedProcesses:
    """`ports.Processes` that notes whose processes were ended."""

    stopped: list[tuple[str, str]] = field(default_factory=list)

    def stop(self, run_id: str, kind: str) -> None:
        """Note it."""
        self.stopped.append((run_id, kind))

    def end_orphans(self, run_id: str) -> tuple[int, ...]:
        """There are none."""
        return ()


@pytest.fixture(autouse=True)
def people(place: Place) -> MemoryPeople:
    """The place's tracker with accounts, commands on; its repository in memory."""
    place.with_settings(tracker=TRACKER)
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=spaces, processes=NotedProcesses())
    place.waits.house = place.house
    place.tracker.people = MemoryPeople()
    return place.tracker.people


def sees(place: Place, rhythm: Rhythm | None = None) -> None:
    """A tick in which the poll is due."""
    place.clock.advance(301)
    tick(place.house, place.flows, rhythm or Rhythm())


def edit(place: Place, by: Account = MAINTAINER, **changes: object) -> None:
    """Somebody changes issue 1."""
    place.tracker.issues[1] = replace(place.tracker.issues[1], **changes)
    if "title" in changes or "body" in changes:
        assert isinstance(place.tracker.people, MemoryPeople)
        place.tracker.people.edits.setdefault(1, []).append(Act(by, place.clock.now()))


def say(place: Place, body: str, comment_id: int = 1, **over: object) -> None:
    """The maintainer's comment below issue 1."""
    given = {"author": MAINTAINER.login, "author_id": MAINTAINER.id, "id": comment_id} | over
    written = Comment(body=body, **given)
    issue = place.tracker.issues.setdefault(1, replace(ISSUE, labels=()))
    place.tracker.issues[1] = replace(issue, comments=(*issue.comments, written))
    assert isinstance(place.tracker.people, MemoryPeople)
    place.tracker.people.commented.add(1)


def outcome(place: Place, comment_id: int = 1) -> str:
    """What came of a command."""
    found = place.house.inbox.outcome(f"{FROM_COMMENT}{comment_id}")
    assert found is not None
    return found


def deliver(place: Place, delivery_id: str, number: int | None = 1, repo: str = "octo/cat") -> None:
    """A delivery arrives that says: look at this issue."""
    row = Delivery(
        delivery_id, "issues", place.clock.now(), "edited", repo, number, f"issue/{delivery_id}"
    )
    assert place.house.deliveries.put(row)


def started(place: Place) -> Run:
    """A run of the labelled issue."""
    place.tracker.issues[1] = ISSUE
    sees(place)
    run = place.house.runs.latest(1)
    assert run is not None
    assert run.asked_by == "mona"
    return run


# --- called off by the poll -----------------------------------------------------------------

CHANGES = {
    "was closed": {"state": IssueState.CLOSED},
    "was locked": {"locked": True},
    "was labelled 'repoagents-stop'": {"labels": ("repoagents", "repoagents-stop")},
    "was taken off": {"labels": ()},
    "is a pull request now": {"pull_request": True},
}


@pytest.mark.parametrize("by_delivery", [False, True])
@pytest.mark.parametrize("words", CHANGES)
def test_what_nobody_wants_any_more_ends_within_the_tick(
    place: Place, words: str, by_delivery: bool
) -> None:
    run = started(place)
    assert place.house.runs.replace(run, run.start(place.clock.now()))
    edit(place, **CHANGES[words])
    if by_delivery:
        deliver(place, "d-1")
        tick(place.house, place.flows, Rhythm(polls=False))
    else:
        sees(place)
    ended = place.now(run)
    assert ended.status is RunStatus.CANCELLED
    assert ended.failure is not None
    assert words in ended.failure.message
    assert place.house.processes.stopped == [(run.id, FailureClass.CANCELLED.value)]
    assert run.id in place.flows.woken
    assert "run_called_off" in place.journal.codes()


def test_what_is_gone_from_the_tracker_ends(place: Place) -> None:
    run = started(place)
    place.tracker.issues.clear()
    sees(place)
    assert place.now(run).status is RunStatus.CANCELLED


def test_an_edit_by_a_stranger_ends_the_run_and_starts_no_other(place: Place) -> None:
    place.tracker.issues[1] = replace(ISSUE, author=STRANGER.login)
    sees(place)
    run = place.house.runs.latest(1)
    assert run is not None
    edit(place, STRANGER, body="Another text.")
    rhythm = Rhythm()
    sees(place, rhythm)
    sees(place, rhythm)
    assert place.now(run).status is RunStatus.CANCELLED
    assert [row.id for row in place.house.runs.of_issue(1)] == [run.id]


def test_an_edit_by_a_maintainer_ends_the_run_and_starts_the_next(place: Place) -> None:
    place.tracker.issues[1] = replace(ISSUE, author=MAINTAINER.login)
    sees(place)
    edit(place, body="Another text.")
    sees(place)
    newer, older = place.house.runs.of_issue(1)
    assert older.status is RunStatus.CANCELLED
    assert newer.status is RunStatus.QUEUED
    assert newer.fingerprint == place.tracker.issues[1].fingerprint


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("before", [{"body": "As it was."}, {"labels": ()}])
def test_a_listing_that_lags_ends_no_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, before: dict[str, object], waits: bool
) -> None:
    run = started(place)
    if waits:
        now = place.clock.now()
        assert place.house.runs.replace(run, run.start(now).await_approval(now))
    stands = place.now(run)
    monkeypatch.setattr(place.tracker, "read_issues", lambda: (replace(ISSUE, **before),))
    sees(place)
    assert place.now(run) == stands


def test_a_run_that_is_missing_from_the_listing_is_looked_at_singly(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(place)
    monkeypatch.setattr(place.tracker, "read_issues", lambda: ())
    sees(place)
    assert place.now(run).status is RunStatus.QUEUED, "the listing may lag; the issue is there"
    edit(place, locked=True)
    sees(place)
    assert place.now(run).status is RunStatus.CANCELLED


def test_an_outage_ends_no_run(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(place)

    def cut(_number: int) -> Issue | None:
        raise Unavailable("cut off")

    monkeypatch.setattr(place.tracker, "read_issues", lambda: ())
    monkeypatch.setattr(place.tracker, "read_issue", cut)
    sees(place)
    assert place.now(run).status is RunStatus.QUEUED
    assert "issue_failed" in place.journal.codes()


def test_for_a_run_at_work_a_poll_costs_no_further_request(
    place: Place, people: MemoryPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(place)
    people.asked.clear()
    monkeypatch.setattr(place.tracker, "read_issue", None)
    sees(place)
    assert [ask for ask in people.asked if not ask.startswith("commented_since")] == []
    assert "issue_failed" not in place.journal.codes()


def test_a_local_trackers_run_looks_for_itself_before_each_role(place: Place) -> None:
    place.tracker.people = None
    place.tracker.issues[1] = ISSUE
    sees(place)
    edit(place, state=IssueState.CLOSED)
    sees(place)
    (run,) = place.house.runs.of_issue(1)
    assert run.status is RunStatus.QUEUED


def test_the_state_that_cannot_be_written_is_no_issues_fault(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.tracker.issues[1] = ISSUE

    def full(_run: Run, _issue: Issue) -> bool:
        raise StoreError("the disk is full")

    monkeypatch.setattr(place.house.runs, "add", full)
    sees(place)
    assert "poll_failed" in place.journal.codes()
    assert "issue_failed" not in place.journal.codes()


def test_the_run_keeps_the_issue_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Comment("eve", "It needs the time.", created_at=EPOCH - timedelta(days=1))
    place.tracker.issues[1] = replace(ISSUE, comments=(said,))
    bare = tuple(replace(issue, comments=()) for issue in place.tracker.read_issues())
    monkeypatch.setattr(place.tracker, "read_issues", lambda: bare)
    sees(place)
    run = place.house.runs.latest(1)
    assert run is not None
    assert place.house.runs.issue(run.id).comments[0].body == "It needs the time."


# --- where nothing is labelled ---------------------------------------------------------------


@dataclass
class CountedAccess(KnownAccess):
    """An inspection that counts how often it is asked what is open."""

    asked: int = 0

    def backlog(self) -> Backlog:
        """What is open."""
        self.asked += 1
        return super().backlog()


def polls_told(place: Place) -> list[str]:
    """What each poll found."""
    return [text for code, text, _ in place.journal.lines if code == "polled"]


def test_an_empty_poll_tells_once_how_to_ask_for_work(place: Place) -> None:
    page = "https://git.example.com/octo/cat"
    inspection = CountedAccess(open=Backlog(12, 7, more=False, has_label=False, page=page))
    place.tracker.inspection = inspection
    rhythm = Rhythm()
    sees(place, rhythm)
    sees(place, rhythm)
    first, second = polls_told(place)
    assert first.startswith("12 open, 0 labelled repoagents; `gh label create repoagents --repo ")
    assert f"; `gh issue edit 7 --repo {page} --add-label repoagents`; 0 queued" in first
    assert second == "0 labelled repoagents; 0 queued"
    assert inspection.asked == 1
    place.tracker.issues[1] = ISSUE
    sees(place, rhythm)
    assert polls_told(place)[-1] == "1 labelled repoagents; 1 queued"
    place.tracker.issues.clear()
    sees(place, rhythm)
    assert inspection.asked == 2, "it is news again"


def test_an_empty_poll_of_a_local_tracker_names_an_issue(place: Place) -> None:
    place.tracker.people = None
    place.tracker.issues[1] = replace(ISSUE, labels=(), source="issues/1.md")
    rhythm = Rhythm()
    sees(place, rhythm)
    sees(place, rhythm)
    first, second = polls_told(place)
    assert first == (
        "1 open, 0 labelled repoagents; add the label repoagents to an issue, "
        "for example in issues/1.md; 0 queued"
    )
    assert second == "1 open, 0 labelled repoagents; 0 queued"


def test_where_what_is_open_cannot_be_read_it_is_asked_again(place: Place) -> None:
    inspection = CountedAccess(broken=Unavailable("cut off"))
    place.tracker.inspection = inspection
    rhythm = Rhythm()
    sees(place, rhythm)
    sees(place, rhythm)
    assert place.journal.codes().count("poll_failed") == 2
    inspection.broken = None
    sees(place, rhythm)
    assert polls_told(place) == ["0 open, 0 labelled repoagents; 0 queued"]


# --- commands -------------------------------------------------------------------------------


def test_a_permitted_person_runs_stops_and_retries_by_comment(place: Place) -> None:
    say(place, "/repoagents run")
    sees(place)
    run = place.house.runs.latest(1)
    assert run is not None
    assert (run.asked_by, run.status) == ("mona", RunStatus.QUEUED)
    assert run.id in place.flows.started
    say(place, "/repoagents stop", 2)
    sees(place)
    assert place.now(run).status is RunStatus.CANCELLED
    say(place, "/repoagents retry look at line 3", 3)
    sees(place)
    again = place.now(run)
    assert (again.status, again.generation, again.note) == (
        RunStatus.QUEUED,
        1,
        "look at line 3",
    )
    words = [outcome(place, number).partition(":")[0] for number in (1, 2, 3)]
    assert words == ["queued", "cancelled", "queued"]


def test_a_command_is_taken_once(place: Place) -> None:
    say(place, "/repoagents run")
    for _ in range(3):
        sees(place)
        deliver(place, place.clock.token(8))
        sees(place)
    say(place, "/repoagents stop", 2)
    for _ in range(2):
        sees(place)
    assert len(place.house.runs.of_issue(1)) == 1
    assert place.journal.codes().count("request_taken") == 2


UNHEARD: dict[str, dict[str, object]] = {
    "our own": {"ours": True},
    "without an id": {"id": 0},
    "too old": {"created_at": None},
}


@pytest.mark.parametrize("why", UNHEARD)
def test_what_is_not_even_heard(place: Place, why: str) -> None:
    over = UNHEARD[why]
    if why == "too old":
        over = {"created_at": place.clock.now() - COMMANDS_HOLD - timedelta(minutes=1)}
    say(place, "/repoagents run", **over)
    sees(place)
    assert place.house.runs.latest(1) is None
    assert place.house.inbox.outcome(f"{FROM_COMMENT}1") is None


REFUSED: dict[str, dict[str, object]] = {
    "may not ask": {"author": STRANGER.login, "author_id": STRANGER.id},
    "is a bot": {"author": MACHINE.login, "author_id": MACHINE.id, "bot": True},
    "not known who": {"author": "", "author_id": 0},
    "was edited": {"changed_at": datetime(2026, 3, 4, tzinfo=UTC)},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_others_command_is_refused_once_and_for_all(
    place: Place, people: MemoryPeople, words: str
) -> None:
    say(place, "/repoagents run", **REFUSED[words])
    sees(place)
    people.permissions[STRANGER.login] = people.permissions[MAINTAINER.login]
    sees(place)
    assert place.house.runs.latest(1) is None
    assert outcome(place).startswith("refused:")
    assert words in outcome(place)
    assert place.journal.codes().count("command_refused") == 1


def test_a_listed_bot_may_run_but_not_approve(place: Place) -> None:
    place.with_settings(tracker=replace(TRACKER, allowed_bots=(MACHINE.id,)))
    bot = {"author": MACHINE.login, "author_id": MACHINE.id, "bot": True}
    say(place, "/repoagents run", 1, **bot)
    say(place, "/repoagents approve", 2, **bot)
    sees(place)
    assert outcome(place, 1).startswith("queued")
    assert "no bot can approve" in outcome(place, 2)


def test_a_command_that_is_kept_gets_its_eyes_and_a_refused_one_none(
    place: Place, people: MemoryPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []

    def react(effect: Effect) -> str:
        assert isinstance(effect, React)
        waiting = {request.id for request in place.house.inbox.pending()}
        seen.append((effect.comment_id, f"{FROM_COMMENT}{effect.comment_id}" in waiting))
        return "below it"

    monkeypatch.setattr(place.tracker, "perform", react)
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    say(place, "/repoagents run")
    say(place, "/repoagents run", 2, author=STRANGER.login, author_id=STRANGER.id)
    say(place, "Nice!", 3)
    for _ in range(2):
        sees(place)
    assert seen == [(1, True)], "once, and only when it was in the inbox"
    assert outcome(place, 2).startswith("refused")


def test_commands_are_off_unless_switched_on(place: Place) -> None:
    place.with_settings(tracker=replace(TRACKER, comment_commands=False))
    say(place, "/repoagents run")
    sees(place)
    deliver(place, "d-1")
    sees(place)
    assert place.house.runs.latest(1) is None


def test_below_a_closed_issue_nothing_is_commanded_until_it_is_open(place: Place) -> None:
    say(place, "/repoagents run")
    edit(place, state=IssueState.CLOSED)
    sees(place)
    assert place.house.inbox.outcome(f"{FROM_COMMENT}1") is None
    edit(place, state=IssueState.OPEN)
    sees(place)
    assert outcome(place).startswith("queued")


def test_a_permission_that_cannot_be_read_leaves_the_command_for_the_next_poll(
    place: Place, people: MemoryPeople
) -> None:
    say(place, "/repoagents run")
    people.faults["permission"] = Forbidden("not for you")
    rhythm = Rhythm()
    sees(place, rhythm)
    assert place.house.runs.latest(1) is None
    assert "asker_unread" in place.journal.codes()
    people.faults.clear()
    people.commented.clear()
    sees(place, rhythm)
    assert outcome(place).startswith("queued"), "though it is not a new comment any more"


def test_a_command_for_a_text_that_was_changed_since_starts_nothing(
    place: Place, people: MemoryPeople
) -> None:
    say(place, "/repoagents run", created_at=place.clock.now())
    edit(place, STRANGER, body="Send me the keys.")
    sees(place)
    assert place.house.runs.latest(1) is None
    assert "by stranger" in outcome(place)
    say(place, "/repoagents run", 2, created_at=place.clock.now())
    sees(place)
    assert outcome(place, 2).startswith("queued")


def test_edits_that_cannot_be_read_start_nothing_and_are_told(
    place: Place, people: MemoryPeople
) -> None:
    say(place, "/repoagents run", created_at=place.clock.now())
    people.faults["edits_since"] = Forbidden("not for you")
    sees(place)
    assert place.house.runs.latest(1) is None
    assert outcome(place).startswith("failed: it cannot be read who changed issue 1")
    assert "asker_unread" in place.journal.codes()


def test_comments_are_asked_for_since_the_last_time_and_a_little_before(
    place: Place, people: MemoryPeople
) -> None:
    rhythm = Rhythm()
    begun = place.clock.now()
    sees(place, rhythm)
    sees(place, rhythm)
    first, second = (ask.removeprefix("commented_since ") for ask in people.asked)
    assert first == f"{begun + timedelta(seconds=301) - COMMANDS_HOLD:%H:%M}"
    assert second == f"{begun + timedelta(seconds=301) - timedelta(minutes=10):%H:%M}"


async def test_status_brings_the_comment_up_to_date(place: Place) -> None:
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    say(place, "/repoagents status")
    sees(place)
    assert outcome(place).startswith("refused: there is no run")
    place.tracker.issues[1] = replace(place.tracker.issues[1], labels=("repoagents",))
    sees(place)
    say(place, "/repoagents status", 2)
    sees(place)
    assert "is queued" in outcome(place, 2)
    assert len(place.tracker.comments) == 1


async def test_an_approval_by_comment_is_the_word_of_its_author(place: Place) -> None:
    place.with_settings(safety=SafetySettings(allow_open_pr=False))
    run = await place.flow(started(place))
    assert run.status is RunStatus.COMPLETED
    place.with_settings(safety=SafetySettings(allow_open_pr=True))
    say(place, "/repoagents approve", created_at=place.clock.now())
    sees(place)
    assert outcome(place).startswith("published:")
    (word,) = place.house.approvals.select(run.id)
    assert word.by == "mona"


# --- deliveries -----------------------------------------------------------------------------


def taken(place: Place) -> list[str]:
    """What is said of each delivery."""
    return [text for code, text, _ in place.journal.lines if code == "delivery_taken"]


def test_a_delivery_starts_what_a_poll_would(place: Place) -> None:
    place.tracker.issues[1] = ISSUE
    deliver(place, "d-1")
    tick(place.house, place.flows, Rhythm(polls=False))
    run = place.house.runs.latest(1)
    assert run is not None
    assert place.flows.started == [run.id]
    assert taken(place) == [f"issues edited: queued: run {run.id}"]
    assert place.house.deliveries.pending() == ()


def test_each_issue_is_looked_at_once_however_many_deliveries_name_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.tracker.issues[1] = replace(ISSUE, labels=())
    reads, read = [], place.tracker.read_issue
    monkeypatch.setattr(place.tracker, "read_issue", lambda n: reads.append(n) or read(n))
    for number in range(5):
        deliver(place, f"d-{number}")
    tick(place.house, place.flows, Rhythm(polls=False))
    assert reads == [1]
    assert len(taken(place)) == 5


@pytest.mark.parametrize(
    ("number", "repo", "words"),
    [
        (None, "octo/cat", "names no issue"),
        (1, "octo/dog", "another repository"),
        (9, "OCTO/Cat", "there is no issue 9"),
    ],
)
def test_what_is_not_ours_is_taken_and_nothing_follows(
    place: Place, number: int | None, repo: str, words: str
) -> None:
    place.tracker.issues[1] = ISSUE
    deliver(place, "d-1", number, repo)
    tick(place.house, place.flows, Rhythm(polls=False))
    (said,) = taken(place)
    assert words in said
    assert place.house.deliveries.pending() == ()
    assert place.flows.started == []


def test_a_delivery_that_fails_is_taken_and_never_blocks_the_next(
    place: Place, people: MemoryPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.tracker.issues = {n: replace(ISSUE, number=n) for n in (1, 2, 3)}
    people.faults["labelled_by 2"] = Forbidden("not for you")
    read = place.tracker.read_issue

    def broken(number: int) -> Issue | None:
        if number == 1:
            raise Unavailable("cut off")
        return read(number)

    monkeypatch.setattr(place.tracker, "read_issue", broken)
    for number in (1, 2, 3):
        deliver(place, f"d-{number}", number)
    tick(place.house, place.flows, Rhythm(polls=False))
    assert place.house.deliveries.pending() == ()
    kinds = [text.split(": ")[1] for text in taken(place)]
    assert kinds == ["failed", "left", "queued"]


def test_a_worker_on_one_issue_leaves_deliveries_to_the_loop(place: Place) -> None:
    place.tracker.issues[1] = ISSUE
    deliver(place, "d-1")
    tick(place.house, place.flows, Rhythm(issue=2))
    assert len(place.house.deliveries.pending()) == 1


async def test_a_delivery_is_known_for_a_week(place: Place) -> None:
    place.tracker.issues[1] = replace(ISSUE, labels=())
    known: Callable[[], bool] = lambda: not place.house.deliveries.put(row)  # noqa: E731
    row = Delivery("d-1", "issues", place.clock.now(), "edited", "octo/cat", 1)
    assert not known()
    tick(place.house, place.flows, Rhythm(polls=False))
    place.clock.advance((EVENTS_STAY - timedelta(hours=1)).total_seconds())
    await sweep_when_due(place.house, place.flows, Rhythm())
    assert known()
    place.clock.advance(7200)
    await sweep_when_due(place.house, place.flows, Rhythm())
    assert not known()
