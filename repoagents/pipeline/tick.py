"""One tick of the worker: take up requests, read the tracker when it is due, start flows.

What ticks is not async: the engine refuses its synchronous calls inside a running event loop. The
errands beside it are.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from repoagents.domain.delivery import Delivery
from repoagents.domain.issue import Issue
from repoagents.domain.run import AT_WORK, FailureClass, Run, RunStatus
from repoagents.errors import RateLimited, RepoAgentsError, StateUnreadable, Unavailable
from repoagents.pipeline import approval, janitor, sendback, tally
from repoagents.pipeline.boundary import bugs_told, change
from repoagents.pipeline.followup import follow_up
from repoagents.pipeline.intake import accept, wish_of
from repoagents.pipeline.outcome import make_up, say
from repoagents.pipeline.people import AskerUnknown
from repoagents.pipeline.redelivery import ask_again
from repoagents.pipeline.sighting import COMMANDS_HOLD, Sight, look
from repoagents.policy import eligibility
from repoagents.policy.safety import may_ask_for_deliveries
from repoagents.ports import Flows, House, Request

SWEEP_EVERY = timedelta(hours=1)

ASK_AGAIN_EVERY = timedelta(hours=1)

TRY_AGAIN = timedelta(minutes=1)
"""After how long a request is taken up again that an outage of GitHub stood in the way of."""

OF_PULL_REQUESTS = ("pull_request", "pull_request_review", "check_run", "check_suite")
"""Deliveries after which the pull requests are looked at without waiting for the poll."""

OVERLAP = timedelta(minutes=10)
"""By how much a listing of comments may lag behind, or the clocks differ."""


@dataclass
class Rhythm:
    """When the loop last did what it does now and then; `issue` limits it to one issue.

    `insists` makes an unreadable tracker an error: of a worker that is to end, it is the answer.
    A poll began at `polled_at`, one was whole at `read_at`; `problem` is why the last was not.
    `followed_at` is forgotten when somebody did something to a pull request, `heard_at` is when
    comments were last asked for, `again` names the issues whose last look failed, `said` what was
    last said of each, `later` when a request is taken up again. `asked_at` is when missed
    deliveries were last asked for, `may_ask` false once GitHub has refused that. `bare` is true
    once a poll has told that nothing is labelled.
    """

    issue: int | None = None
    insists: bool = False
    polls: bool = True
    polled_at: datetime | None = None
    read_at: datetime | None = None
    problem: str = ""
    heard_at: datetime | None = None
    swept_at: datetime | None = None
    followed_at: datetime | None = None
    asked_at: datetime | None = None
    may_ask: bool = True
    again: set[int] = field(default_factory=set)
    said: dict[int, str] = field(default_factory=dict)
    later: dict[str, datetime] = field(default_factory=dict)
    bare: bool = False


def tick(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Drain inbox and deliveries, and poll when that is due; an outage ends none of them."""
    drain(house, flows, rhythm)
    if rhythm.issue is not None:
        return
    drain_deliveries(house, flows, rhythm)
    now = house.clock.now()
    if rhythm.polls and _due(rhythm.polled_at, _interval(house), now):
        rhythm.polled_at = now
        try:
            with bugs_told(house.journal, "in the poll"):
                poll(house, flows, rhythm)
            rhythm.read_at, rhythm.problem = now, ""
        except RepoAgentsError as error:
            rhythm.problem = str(error)
            if rhythm.insists or isinstance(error, StateUnreadable):
                raise
            house.journal.warn("poll_failed", f"the tracker could not be read: {error}")


async def follow_when_due(house: House, rhythm: Rhythm) -> None:
    """Look after the pull requests of finished runs at each poll; it may take long."""
    now = house.clock.now()
    wanted = rhythm.issue is None and rhythm.polls
    if wanted and _due(rhythm.followed_at, _interval(house), now):
        rhythm.followed_at = now
        if await follow_up(house):
            # There is room for an issue that waited for one, and no event will tell.
            rhythm.polled_at = None


async def run_errands(house: House, rhythm: Rhythm) -> None:
    """What runs alongside the ticks, each when it is due."""
    await ask_again_when_due(house, rhythm)
    await follow_when_due(house, rhythm)


async def ask_again_when_due(house: House, rhythm: Rhythm) -> None:
    """Ask for the deliveries that GitHub could not bring, at the start and now and then."""
    now, hooks = house.clock.now(), house.tracker.hooks
    if hooks is None or rhythm.issue is not None or not rhythm.may_ask:
        return
    if not _due(rhythm.asked_at, ASK_AGAIN_EVERY, now):
        return
    if may_ask_for_deliveries(house.settings, await asyncio.to_thread(house.brakes.find)):
        rhythm.asked_at = now
        rhythm.may_ask = await ask_again(house, hooks)


async def sweep_when_due(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Remove what has outlived its retention, now and then."""
    now = house.clock.now()
    if rhythm.issue is None and _due(rhythm.swept_at, SWEEP_EVERY, now):
        rhythm.swept_at = now
        await janitor.tidy(house, flows)


def _interval(house: House) -> timedelta:
    return timedelta(seconds=house.settings.tracker.poll_interval_seconds)


def _due(last: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether the interval is over; a clock that was set back counts as over."""
    return last is None or now - last >= interval or now < last


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
    bare = tally.is_bare(house, issues)
    found = tally.count(house, issues, help_out=bare and not rhythm.bare)
    rhythm.bare = bare
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
    now = house.clock.now()
    since = min(rhythm.heard_at or now, now) - (OVERLAP if rhythm.heard_at else COMMANDS_HOLD)
    found = people.commented_since(since)
    rhythm.heard_at = now
    return rhythm.again.union(found)


def _read(house: House, number: int, listed: Issue | None) -> Issue | None:
    """The issue whole where something may come of it; else as the listing has it."""
    if listed is not None:
        latest = house.runs.latest(number)
        left = eligibility.why_not(listed, latest, house.settings) is not None
        if left or house.tracker.people is None:
            return listed
    return house.tracker.read_issue(number)


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
            rhythm.followed_at = None
        house.deliveries.take(delivery.id, outcome, house.clock.now())
        house.journal.note(
            "delivery_taken",
            f"{delivery.because}: {outcome}",
            issue=delivery.issue_number,
            delivery=delivery.id,
        )
    if came:
        drain(house, flows, rhythm)


def drain(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Take up every pending request (of one issue, when the worker is for one), each once.

    What a comment asks for while GitHub cannot be reached is tried again in a minute: its author
    has seen that it was heard, and nobody is there to be told of the failure.
    """
    for request in house.inbox.pending():
        if rhythm.issue not in (None, request.issue_number):
            continue
        due = rhythm.later.get(request.id)
        if due is not None and house.clock.now() < due:
            continue
        try:
            with bugs_told(house.journal, f"in {request.kind}", issue=request.issue_number):
                came = _take_up(house, flows, request)
        except StateUnreadable:
            raise
        except RepoAgentsError as error:
            if _passes(request, error):
                rhythm.later[request.id] = house.clock.now() + TRY_AGAIN
                continue
            came = f"failed: {error}"
            if isinstance(error, AskerUnknown):
                number = request.issue_number
                house.journal.warn("asker_unread", f"issue {number}: {error}", issue=number)
        house.inbox.take(request.id, came, house.clock.now())
        house.journal.note(
            "request_taken",
            f"{request.kind} of issue {request.issue_number}: {came}",
            issue=request.issue_number,
        )


def _passes(request: Request, error: RepoAgentsError) -> bool:
    """Whether a comment's request need only wait for what stands in its way."""
    reason = error.__cause__ if isinstance(error, AskerUnknown) else error
    return request.comment_id is not None and isinstance(reason, Unavailable | RateLimited)


def _take_up(house: House, flows: Flows, request: Request) -> str:
    match request.kind:
        case "trigger":
            return _trigger(house, flows, request)
        case "retry":
            return _retry(house, flows, request)
        case "cancel":
            return cancel(house, request, flows)
        case "approve":
            number, asked_by = request.issue_number, request.asked_by
            return approval.approve(house, number, request.by, at=request.at, login=asked_by)
        case "status":
            return _status(house, request.issue_number)
        case _:  # One that was refused as it was kept says why.
            return f"refused: {request.note or f'unknown kind {request.kind!r}'}"


def _trigger(house: House, flows: Flows, request: Request) -> str:
    latest = house.runs.latest(request.issue_number)
    if latest is not None and not latest.status.terminal:
        flows.start(latest)
        if latest.status is RunStatus.RETRY_PENDING:
            flows.wake(change(house, latest.id, lambda was: _hurried(was, house.clock.now())))
        return f"following: run {latest.id} is {latest.status}"
    issue = house.tracker.read_issue(request.issue_number)
    if issue is None:
        return f"refused: there is no issue {request.issue_number}"
    accepted = accept(house, issue, wish_of(request))
    if isinstance(accepted, str):
        return f"refused: {accepted}"
    flows.start(accepted)
    return f"queued: run {accepted.id}"


def _status(house: House, number: int) -> str:
    """Bring the issue's status comment up to date, if its flag is on."""
    run = house.runs.latest(number)
    if run is None:
        return f"refused: there is no run of issue {number}"
    say(house, run.id)
    return f"told: run {run.id} is {run.status}"


def _hurried(run: Run, now: datetime) -> Run:
    return run.hurry(now) if run.status is RunStatus.RETRY_PENDING else run


def _retry(house: House, flows: Flows, request: Request) -> str:
    sent = sendback.send_back(house, request)
    if isinstance(sent, str):
        return f"refused: {sent}"
    flows.wake(sent)
    flows.start(sent)
    return f"queued: run {sent.id}"


def cancel(house: House, request: Request, flows: Flows | None = None) -> str:
    """End an issue's active run and its processes; the work is kept."""
    run = house.runs.latest(request.issue_number)
    if run is None:
        return f"refused: there is no run of issue {request.issue_number}"
    if not _cancellable(run):
        return f"refused: run {run.id} is {run.status} already"
    now, flows_on = house.clock.now(), run.status in AT_WORK and flows is not None

    def move(was: Run) -> Run:
        return was.cancel(now, request.by) if _cancellable(was) else was

    run = change(house, run.id, move)
    if run.status is not RunStatus.CANCELLED:
        return f"refused: run {run.id} is {run.status} already"
    house.processes.stop(run.id, FailureClass.CANCELLED.value)
    if flows is not None:
        flows.wake(run)
    if not flows_on:
        say(house, run.id)  # Otherwise its flow does, when what it was about has ended.
    return f"cancelled: run {run.id}; the work is kept"


def _cancellable(run: Run) -> bool:
    return not run.status.terminal or run.status is RunStatus.BLOCKED
