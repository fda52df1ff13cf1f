"""Before a worker takes up anything: end what a dead worker left, and account for it."""

from repoagents.domain.run import AT_WORK, Failure, FailureClass, Run, RunStatus
from repoagents.pipeline import handover
from repoagents.pipeline.boundary import change
from repoagents.ports import House

RESUME_LIMIT = 5
"""How often a run may go down with its worker before it is failed."""


def recover(house: House, issue: int | None = None) -> tuple[Run, ...]:
    """End orphans and park every interrupted run; returns the runs to go on, oldest first."""
    going_on = []
    for run in house.runs.select(AT_WORK, limit=10_000):
        if issue is not None and run.issue_number != issue:
            continue
        ended = house.processes.end_orphans(run.id) if run.attempt else ()
        if ended:
            house.journal.warn(
                "orphan_ended",
                f"processes {', '.join(map(str, ended))} of a dead worker were ended",
                **run.tags,
            )
        after = _account(house, run)
        if not after.status.terminal:
            going_on.append(after)
    return tuple(sorted(going_on, key=lambda run: (run.created_at, run.id)))


def _account(house: House, run: Run) -> Run:
    """A run found in progress went down with its worker: count it, and end it at the limit."""
    if run.status is not RunStatus.IN_PROGRESS:
        return run
    now = house.clock.now()
    if run.resumes >= RESUME_LIMIT:
        failure = Failure(
            FailureClass.CRASH_LOOP,
            f"the worker died {run.resumes + 1} times during this run",
            f"look at the log, then `repoagents retry {run.issue_number} --fresh`",
        )
        failed = change(house, run.id, lambda was: was.fail(failure, now))
        handover.renew(house, failed)
        return failed
    failure = Failure(FailureClass.INTERRUPTED, "the worker died", "it goes on by itself")
    return change(house, run.id, lambda was: was.park(failure, now, crashed=True))


def park_all(house: House, issue: int | None = None) -> tuple[Run, ...]:
    """The worker is being stopped: its runs wait for the next one."""
    parked = []
    failure = Failure(
        FailureClass.INTERRUPTED, "the worker was stopped", "`repoagents run` goes on with it"
    )
    for run in house.runs.select((RunStatus.IN_PROGRESS,), limit=10_000):
        if issue is None or run.issue_number == issue:
            house.processes.stop(run.id, FailureClass.INTERRUPTED.value)
            parked.append(change(house, run.id, lambda was: was.park(failure, house.clock.now())))
    return tuple(parked)
