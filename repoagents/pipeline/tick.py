"""One tick of the worker: take up requests, read the tracker when it is due, start flows.

What ticks is not async: the engine refuses its synchronous calls inside a running event loop. The
errands beside it are.
"""

from datetime import timedelta
from functools import partial

from repoagents.domain.delivery import Delivery
from repoagents.domain.issue import Issue
from repoagents.domain.run import AT_WORK, Run, RunStatus
from repoagents.errors import RepoAgentsError, StateUnreadable
from repoagents.pipeline import reconcile, tally
from repoagents.pipeline.boundary import bugs_told
from repoagents.pipeline.inbox import drain
from repoagents.pipeline.outcome import make_up
from repoagents.pipeline.rhythm import Rhythm, is_due, poll_interval
from repoagents.pipeline.sighting import COMMANDS_HOLD, Sight, look
from repoagents.policy import eligibility
from repoagents.ports import Flows, House

OF_PULL_REQUESTS = ("pull_request", "pull_request_review", "check_run", "check_suite")
"""Deliveries after which the pull requests are looked at without waiting for the poll."""

OVERLAP = timedelta(minutes=10)
"""By how much a listing of comments may lag behind, or the clocks differ."""


def tick(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Drain inbox and deliveries, and poll when that is due; an outage ends none of them."""
    drain(house, flows, rhythm)
    if rhythm.issue is not None:
        return
    drain_deliveries(house, flows, rhythm)
    now, last = house.clock.now(), rhythm.last_poll
    if rhythm.polls and is_due(last.begun_at, poll_interval(house), now):
        last.begun_at = now
        try:
            with bugs_told(house.journal, "in the poll"):
                poll(house, flows, rhythm)
            last.read_at, last.problem = now, ""
        except RepoAgentsError as error:
            last.problem = str(error)
            if rhythm.insists or isinstance(error, StateUnreadable):
                raise
            house.journal.warn("poll_failed", f"the tracker could not be read: {error}")


def poll(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Look at every issue that is listed, at work or newly commented on, by priority and age."""
    issues = house.tracker.read_issues()
    for problem in house.tracker.problems:
        house.journal.warn("issue_unreadable", problem)
    listed = {issue.number: issue for issue in eligibility.order(issues, house.settings)}
    heard = _commented(house, rhythm)
    sights: dict[int, Sight] = {}
    for number in dict.fromkeys((*listed, *_at_work(house), *heard)):
        read = partial(_read, house, number, None if number in heard else listed.get(number))
        sights[number] = look(house, flows, rhythm.said, number, read)
    rhythm.again = {number for number, sight in sights.items() if not sight.whole}
    drain(house, flows, rhythm)
    make_up(house)
    queued = sum(sight.run is not None for sight in sights.values())
    bare, last = tally.is_bare(house, issues), rhythm.last_poll
    found = tally.count(house, issues, help_out=bare and not last.bare)
    last.bare = bare
    house.journal.note("polled", f"{found}; {queued} queued")


def _at_work(house: House) -> tuple[int, ...]:
    """The issues with an active run, where accounts are known: one may be missing in a listing."""
    if house.tracker.people is None:
        return ()
    return tuple(run.issue_number for run in house.runs.select(AT_WORK, limit=10_000))


def _commented(house: House, rhythm: Rhythm) -> set[int]:
    """The issues whose comments may hold a command that no look has followed."""
    people = house.tracker.people
    if people is None or not house.settings.tracker.comment_commands:
        return set()
    now, last = house.clock.now(), rhythm.last_poll
    since = min(last.heard_at or now, now) - (OVERLAP if last.heard_at else COMMANDS_HOLD)
    found = people.commented_since(since)
    last.heard_at = now
    return rhythm.again.union(found)


def _read(house: House, number: int, listed: Issue | None) -> Issue | None:
    """The issue whole where something may come of it; else as the listing has it."""
    if listed is not None:
        latest = house.runs.latest(number)
        left = eligibility.why_not(listed, latest, house.settings) is not None
        if house.tracker.people is None or (left and not _would_end(house, latest, listed)):
            return listed
    return house.tracker.read_issue(number)


def _would_end(house: House, run: Run | None, listed: Issue) -> bool:
    """Whether the listing's word, which may be older than the run, would call it off."""
    if run is None or run.status not in (*AT_WORK, RunStatus.AWAITING_APPROVAL):
        return False
    return reconcile.why_unwanted(house, run, listed) is not None


def drain_deliveries(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Look at what each pending delivery names, at each issue once, and mark the delivery taken."""
    came: dict[int, str] = {}

    def follow(delivery: Delivery) -> str:
        event = delivery.look
        if event is None:
            return "left: it names no issue"
        if event.repo.lower() != house.settings.tracker.repo.lower():
            return f"left: it is of another repository, {event.repo}"
        if event.number not in came:
            read = partial(house.tracker.read_issue, event.number)
            sight = look(house, flows, rhythm.said, event.number, read)
            came[event.number] = sight.words
            rhythm.again |= set() if sight.whole else {event.number}
        return came[event.number]

    for delivery in house.deliveries.pending():
        outcome = follow(delivery)
        if delivery.event in OF_PULL_REQUESTS:
            rhythm.errands.followed_at = None
        house.deliveries.take(delivery.id, outcome, house.clock.now())
        house.journal.note(
            "delivery_taken",
            f"{delivery.because}: {outcome}",
            issue=delivery.issue_number,
            delivery=delivery.id,
        )
    if came:
        drain(house, flows, rhythm)
