"""Which runs have a pull request open: kept beside the books that say so, and found at once.

Among a hundred thousand finished runs a handful is looked for at every poll. To work it out from
the effects each time would read the effects of all of them.
"""

from repoagents.domain.effect import MergePullRequest, OpenDraftPullRequest
from repoagents.domain.run import RunStatus
from repoagents.ports import CLOSED
from repoagents.store.rows import Execute

DECISIVE = (OpenDraftPullRequest, MergePullRequest)
"""The effects by which a pull request comes to be open, or ends."""

CLEAR = "DELETE FROM open_pulls WHERE run_id = :id"
NOTE = """
INSERT INTO open_pulls (run_id)
SELECT id FROM runs WHERE id = :id
AND EXISTS (SELECT 1 FROM effects
    WHERE run_id = :id AND name = 'draft_pull_request' AND state = 'done')
AND NOT EXISTS (SELECT 1 FROM effects WHERE run_id = :id AND name = 'merge' AND state = 'done')
AND COALESCE(
    (SELECT decision FROM approvals WHERE run_id = :id ORDER BY seq DESC LIMIT 1), ''
) <> :closed
"""
NEWEST = """
SELECT runs.* FROM open_pulls CROSS JOIN runs
WHERE runs.id = open_pulls.run_id AND runs.status IN ({}) AND NOT EXISTS (
    SELECT 1 FROM runs AS later
    WHERE later.issue_number = runs.issue_number AND later.seq > runs.seq
)
ORDER BY runs.seq DESC
"""
"""A cross join, because SQLite then begins with its left side: the short one."""


def note_anew(execute: Execute, run_id: str) -> None:
    """Work it out for one run; in the transaction that changed its effects or its approvals."""
    execute(CLEAR, {"id": run_id})
    execute(NOTE, {"id": run_id, "closed": CLOSED})


def newest_query(statuses: tuple[RunStatus, ...]) -> tuple[str, dict[str, str]]:
    """The query for the newest runs of their issues with these statuses, and its parameters."""
    names = {f"status{n}": status.value for n, status in enumerate(statuses)}
    return NEWEST.format(", ".join(f":{name}" for name in names)), names
