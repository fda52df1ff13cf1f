"""What checks and people ask for after the pull request, as a contract for the builder."""

from collections.abc import Sequence

from repoagents.domain.change import Conflict
from repoagents.domain.pull_request import CheckRun, PullRequest, Remark
from repoagents.policy.wording import clean, one_line, tail

ROUNDS = 3
"""How often failing checks, and how often remarks, go back to the builder."""

PATHS = 100
"""Conflicting paths that are named."""

TAIL_LIMIT = 3_000
BODY_LIMIT = 4_000


def failed_checks(pull: PullRequest, required: Sequence[str]) -> tuple[CheckRun, ...]:
    """The checks that stand in the way of a merge; none while one of those that count runs.

    So that all that fails on one commit comes back at once. A cancelled check says nothing.
    """
    counted = tuple(check for check in pull.checks if not required or check.name in required)
    if any(check.conclusion is None for check in counted):
        return ()
    return tuple(c for c in counted if c.conclusion in ("failure", "timed_out", "action_required"))


def contract(checks: Sequence[CheckRun], remarks: Sequence[Remark]) -> tuple[str, ...]:
    """What the next round must put right, a point for each."""
    return tuple(_failed(check) for check in checks) + tuple(_asked(remark) for remark in remarks)


def resolve(conflict: Conflict, branch: str) -> tuple[str, ...]:
    """What is left of merging a branch into the change, a point for each path."""
    how = (
        f"{one_line(branch)} has moved on and conflicts with this change. The worktree holds the "
        "merge of both as far as git could make it: put the rest right so that what each of them "
        "is for still holds. Where text conflicts, this change stands between <<<<<<< and =======, "
        "and the other side from there to >>>>>>>; leave none of these lines"
    )
    points = tuple(
        f"resolve {one_line(path)}" + (f": {one_line(why)}" if why else "")
        for path, why in conflict.paths[:PATHS]
    )
    more = len(conflict.paths) - PATHS
    return (how, *points, *([f"and {more} more paths"] if more > 0 else []))


def _failed(check: CheckRun) -> str:
    head = f"the check {one_line(check.name)} fails on the pull request"
    end = tail(check.tail, TAIL_LIMIT)
    return f"{head}:\n{end}" if end else head


def _asked(remark: Remark) -> str:
    place = one_line(f"{remark.path}:{remark.line}" if remark.line else remark.path)
    return f"{remark.author.login} asks at {place}:\n{clean(remark.body)[:BODY_LIMIT].strip()}"
