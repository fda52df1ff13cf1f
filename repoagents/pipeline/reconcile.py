"""Before each role and each write: is this issue still one that somebody wants worked on?"""

from repoagents.domain.issue import IssueState
from repoagents.domain.run import Run
from repoagents.pipeline.boundary import change
from repoagents.ports import House


def why_stop(house: House, run: Run) -> str | None:
    """Why the run must stop now and publish nothing, or None.

    An error while reading is raised, not taken for an answer: an outage never releases a run.
    """
    issue = house.tracker.read_issue(run.issue_number)
    if issue is None:
        return f"issue {run.issue_number} is gone from the tracker"
    if issue.state is IssueState.CLOSED:
        return f"issue {run.issue_number} was closed"
    return None


def call_off(house: House, run: Run, reason: str) -> None:
    """Cancel the run for this reason, unless it has ended already."""

    def move(now: Run) -> Run:
        ended = now.status.terminal or now.generation != run.generation
        return now if ended else now.cancel(house.clock.now(), reason)

    change(house, run.id, move)
