"""`retry`: a person sends a run back to work, at the failed stage or from the plan on."""

from repoagents.domain.reports import Plan
from repoagents.domain.run import FailureClass, Run, RunStatus, Stage
from repoagents.pipeline import handover
from repoagents.pipeline.boundary import change
from repoagents.pipeline.intake import accept, why_dirty, wish_of
from repoagents.ports import House, Request

ASKED_AGAIN = (FailureClass.QUESTION, FailureClass.POLICY_BLOCK, FailureClass.TAMPERED)


def send_back(house: House, request: Request) -> Run | str:
    """The queued run, or why there is nothing to retry."""
    number = request.issue_number
    run = house.runs.latest(number)
    if run is None:
        return f"issue {number} has no run yet; `repoagents trigger {number}` starts one"
    if run.status is RunStatus.QUEUED and run.generation and run.updated_at >= request.at:
        return run  # This very request was carried out, and the worker died before it said so.
    if not run.status.retryable:
        return _why_not(run)
    issue = house.tracker.read_issue(number)
    if issue is not None and (request.fresh or issue.fingerprint != run.fingerprint):
        reason = why_dirty(house)
        if reason is not None:
            return reason
        if not run.status.terminal:
            run = change(house, run.id, lambda was: was.cancel(house.clock.now(), request.by))
            handover.renew(house, run)
        return accept(house, issue, wish_of(request, fresh=True))
    _forget_what_stopped_it(house, run)
    sent = change(
        house,
        run.id,
        lambda was: was.requeue(house.clock.now(), request.note) if was.status.retryable else was,
    )
    return _queued(house, sent)


def _queued(house: House, run: Run) -> Run | str:
    if run.status is not RunStatus.QUEUED:
        return _why_not(run)
    handover.renew(house, run)
    return run


def _why_not(run: Run) -> str:
    number = run.issue_number
    if run.status is RunStatus.COMPLETED:
        return f"issue {number} is completed; `repoagents trigger {number} --force` runs it again"
    return f"issue {number} is {run.status}; nothing to retry"


def _forget_what_stopped_it(house: House, run: Run) -> None:
    """Void the stage whose kept answer led to the stop, so that it is asked again."""
    stopped = run.failure is not None and run.failure.kind in ASKED_AGAIN
    if not stopped and run.status is not RunStatus.NO_CHANGE:
        return
    planned = house.stages.last(run.id, Stage.PLAN, Plan)
    if planned is not None and planned.questions:
        house.stages.void(run.id, Stage.PLAN, 0)
        return
    for stage in (Stage.BUILD, Stage.VERIFY, Stage.REVIEW, Stage.VERDICT):
        house.stages.void(run.id, stage, run.round)
