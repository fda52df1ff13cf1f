"""The worker's inbox: each request of a person is taken up once, and what came of it kept."""

from datetime import datetime, timedelta

from repoagents.domain.run import AT_WORK, FailureClass, Run, RunStatus
from repoagents.errors import RateLimited, RepoAgentsError, StateUnreadable, Unavailable
from repoagents.pipeline import approval, sendback
from repoagents.pipeline.boundary import bugs_told, change
from repoagents.pipeline.intake import accept, wish_of
from repoagents.pipeline.outcome import say
from repoagents.pipeline.people import AskerUnknown
from repoagents.pipeline.rhythm import Rhythm
from repoagents.ports import Flows, House, Request

TRY_AGAIN = timedelta(minutes=1)
"""After how long a request is taken up again that an outage of GitHub stood in the way of."""


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
