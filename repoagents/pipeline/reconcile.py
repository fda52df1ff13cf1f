"""Before each role and each write: is this issue still one that somebody wants worked on?"""

from repoagents.domain.issue import IssueState
from repoagents.domain.run import Run
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
