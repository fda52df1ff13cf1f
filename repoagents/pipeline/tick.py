"""One tick of the worker: take up requests, read the tracker when it is due, start flows.

Nothing here is async: the engine refuses its synchronous calls inside a running event loop.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.errors import RepoAgentsError, StateUnreadable
from repoagents.pipeline import approval, janitor, sendback
from repoagents.pipeline.boundary import change
from repoagents.pipeline.intake import Wish, accept
from repoagents.policy import eligibility
from repoagents.ports import Flows, House, Request

SWEEP_EVERY = timedelta(hours=1)


@dataclass
class Rhythm:
    """When the loop last did what it does now and then; `issue` limits it to one issue.

    `insists` makes an unreadable tracker an error: of a worker that is to end, it is the answer.
    """

    issue: int | None = None
    insists: bool = False
    polls: bool = True
    polled_at: datetime | None = None
    swept_at: datetime | None = None
    said: dict[int, str] = field(default_factory=dict)


def tick(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Drain the inbox and poll when that is due; an outage ends neither."""
    drain(house, flows, rhythm.issue)
    now = house.clock.now()
    if rhythm.issue is None and rhythm.polls and _due(rhythm.polled_at, _interval(house), now):
        rhythm.polled_at = now
        try:
            poll(house, flows, rhythm)
        except RepoAgentsError as error:
            if rhythm.insists or isinstance(error, StateUnreadable):
                raise
            house.journal.warn("poll_failed", f"the tracker could not be read: {error}")


async def sweep_when_due(house: House, rhythm: Rhythm) -> None:
    """Remove what has outlived its retention, now and then."""
    now = house.clock.now()
    if rhythm.issue is None and _due(rhythm.swept_at, SWEEP_EVERY, now):
        rhythm.swept_at = now
        await janitor.sweep(house, dry_run=False, expired_only=True)


def _interval(house: House) -> timedelta:
    return timedelta(seconds=house.settings.tracker.poll_interval_seconds)


def _due(last: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether the interval is over; a clock that was set back counts as over."""
    return last is None or now - last >= interval or now < last


def poll(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Read every open issue and queue the eligible ones, in order of priority and age."""
    issues = house.tracker.read_issues()
    for problem in house.tracker.problems:
        house.journal.warn("issue_unreadable", problem)
    queued = 0
    for issue in eligibility.order(issues, house.settings):
        accepted = accept(house, issue, Wish())
        if isinstance(accepted, Run):
            queued += 1
            flows.start(accepted)
        elif rhythm.said.get(issue.number) != accepted:
            rhythm.said[issue.number] = accepted
            house.journal.note(
                "issue_left", f"issue {issue.number}: {accepted}", issue=issue.number
            )
    label = house.settings.tracker.trigger_label
    labelled = [issue for issue in issues if label is None or label.lower() in issue.labels]
    house.journal.note(
        "polled",
        f"{len(issues)} open, {len(labelled)} labelled {label or '(any)'}, {queued} queued",
    )


def drain(house: House, flows: Flows, issue: int | None = None) -> None:
    """Take up every pending request (of one issue, when one is named), each once."""
    for request in house.inbox.pending():
        if issue is not None and request.issue_number != issue:
            continue
        try:
            outcome = _take_up(house, flows, request)
        except StateUnreadable:
            raise
        except RepoAgentsError as error:
            outcome = f"failed: {error}"
        house.inbox.take(request.id, outcome, house.clock.now())
        house.journal.note(
            "request_taken",
            f"{request.kind} of issue {request.issue_number}: {outcome}",
            issue=request.issue_number,
        )


def _take_up(house: House, flows: Flows, request: Request) -> str:
    match request.kind:
        case "trigger":
            return _trigger(house, flows, request)
        case "retry":
            return _retry(house, flows, request)
        case "cancel":
            return cancel(house, request, flows)
        case "approve":
            return approval.approve(house, request.issue_number, request.by)
        case _:
            return f"refused: unknown kind {request.kind!r}"


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
    wish = Wish(by_hand=True, forced=request.force, note=request.note)
    accepted = accept(house, issue, wish)
    if isinstance(accepted, str):
        return f"refused: {accepted}"
    flows.start(accepted)
    return f"queued: run {accepted.id}"


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
    now = house.clock.now()

    def move(was: Run) -> Run:
        return was.cancel(now, request.by) if _cancellable(was) else was

    run = change(house, run.id, move)
    if run.status is not RunStatus.CANCELLED:
        return f"refused: run {run.id} is {run.status} already"
    house.processes.stop(run.id, FailureClass.CANCELLED.value)
    if flows is not None:
        flows.wake(run)
    return f"cancelled: run {run.id}; the work is kept"


def _cancellable(run: Run) -> bool:
    return not run.status.terminal or run.status is RunStatus.BLOCKED
