"""Before each role and each write: is this issue still one that somebody wants worked on?"""

from repoagents.domain.issue import Issue
from repoagents.domain.run import FailureClass, Run
from repoagents.pipeline import people
from repoagents.pipeline.boundary import change, current
from repoagents.policy import eligibility
from repoagents.ports import House


def why_stop(house: House, run: Run) -> str | None:
    """Why the run must stop now and publish nothing, or None.

    Whoever asked for it must still be permitted to. An error while reading is raised, not taken
    for an answer: an outage never releases a run.
    """
    issue = house.tracker.read_issue(run.issue_number)
    reason = why_unwanted(house, run, issue)
    if reason is not None or issue is None:
        return reason
    return people.why_not_any_more(house, run, issue)


def why_unwanted(house: House, run: Run, issue: Issue | None) -> str | None:
    """The same by an issue that has been read, without a further request.

    Where a tracker knows accounts, others than the operator write there: a new text ends the run.
    """
    frozen = house.runs.issue(run.id)
    edits_count = house.tracker.people is not None
    return eligibility.why_no_longer(issue, run, frozen, house.settings, edits_count=edits_count)


def call_off(house: House, run: Run, reason: str) -> None:
    """Cancel the run for this reason and end its processes, unless it has ended already."""

    def move(now: Run) -> Run:
        ended = now.status.terminal or now.generation != run.generation
        return now if ended else now.call_off(reason, house.clock.now())

    before = current(house, run.id)
    if change(house, run.id, move) == before:
        return
    house.processes.stop(run.id, FailureClass.CANCELLED.value)
    house.journal.note(
        "run_called_off", f"run of issue {run.issue_number} called off: {reason}", **run.tags
    )
