"""What checks and people ask for after the pull request, as a contract for the builder."""

import re
from collections.abc import Sequence

from repoagents.domain.change import Conflict
from repoagents.domain.pull_request import (
    Annotation,
    CheckDetail,
    CheckRun,
    PullRequest,
    Remark,
)
from repoagents.policy.wording import clean, one_line, tail

ROUNDS = 3
"""How often failing checks, and how often remarks, go back to the builder."""

MOST_CHECKS = 4
"""Failed checks that come back at once; what fails in a whole matrix mostly fails for one cause."""

ROUND_LIMIT = 50_000
"""Characters of one round's contract, so that its prompt shows all of it."""

AROUND = 200
"""Characters that a prompt puts around a remark."""

PATHS = 100
"""Conflicting paths that are named."""

TAIL_LIMIT = 3_000
ANNOTATIONS, ANNOTATION_LIMIT = 20, 300
BODY_LIMIT = 4_000
ERROR = "##[error]"
"""How Actions begins the line of a step's error."""

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ", re.MULTILINE)


def failed_checks(pull: PullRequest, required: Sequence[str]) -> tuple[CheckRun, ...]:
    """The checks that stand in the way of a merge; none while one of those that count runs.

    So that all that fails on one commit comes back at once. A cancelled check says nothing.
    """
    counted = tuple(check for check in pull.checks if not required or check.name in required)
    if any(check.conclusion is None for check in counted):
        return ()
    return tuple(c for c in counted if c.conclusion in ("failure", "timed_out", "action_required"))


def contract(
    checks: Sequence[tuple[CheckRun, CheckDetail]], remarks: Sequence[Remark]
) -> tuple[str, ...]:
    """What the next round must put right, a point for each.

    The first line of a point is ours; what follows are words from outside, cleaned and bounded.
    """
    failed = tuple(_failed(check, detail) for check, detail in checks)
    return failed + tuple(_asked(remark) for remark in remarks)


def that_fit(
    checks: Sequence[tuple[CheckRun, CheckDetail]], remarks: Sequence[Remark]
) -> tuple[Remark, ...]:
    """The remarks that one round has room for beside the checks; the others wait for the next."""
    left = ROUND_LIMIT - sum(len(_failed(check, detail)) for check, detail in checks)
    taken: list[Remark] = []
    for remark in remarks:
        left -= len(_asked(remark)) + AROUND
        if left < 0:
            break
        taken.append(remark)
    return tuple(taken)


def resolve(conflict: Conflict, branch: str) -> tuple[str, ...]:
    """What is left of merging a branch into the change, a point for each path."""
    how = (
        f"{one_line(branch)} has moved on and conflicts with this change. The worktree holds the "
        "merge of both as far as git could make it: put the rest right so that what each of them "
        "is for still holds. Where text conflicts, this change stands between <<<<<<< and =======, "
        "and the other side from there to >>>>>>>; leave none of these lines"
    )
    points = tuple(
        f"resolve {one_line(path, 500)}" + (f": {one_line(why, 500)}" if why else "")
        for path, why in conflict.paths[:PATHS]
    )
    more = len(conflict.paths) - PATHS
    return (how, *points, *([f"and {more} more paths"] if more > 0 else []))


def _failed(check: CheckRun, detail: CheckDetail) -> str:
    missing = f" ({'; '.join(one_line(why) for why in detail.unread)})" if detail.unread else ""
    parts = [
        f"the check {one_line(check.name)} fails on the pull request{missing}:",
        tail(check.tail, TAIL_LIMIT),
        *(_annotated(note) for note in detail.annotations[:ANNOTATIONS]),
    ]
    if more := len(detail.annotations[ANNOTATIONS:]):
        parts.append(f"and {more} more annotations")
    if end := tail(_failing_part(detail.log), TAIL_LIMIT):
        parts += ["the end of its log:", end]
    return "\n".join(filter(None, parts)).removesuffix(":")


def _annotated(note: Annotation) -> str:
    place = f"{note.path}:{note.line}" if note.line else note.path
    return one_line(f"{place}: {note.level}: {note.message}", ANNOTATION_LIMIT)


def _failing_part(log: str) -> str:
    """A job's log up to its last error: behind that it only cleans up. Without its time stamps."""
    plain = _STAMP.sub("", log.removeprefix("\ufeff"))
    last = plain.rfind(ERROR)
    end = plain.find("\n", last)
    return plain if last < 0 or end < 0 else plain[:end]


def _asked(remark: Remark) -> str:
    place = one_line(f"{remark.path}:{remark.line}" if remark.line else remark.path)
    return f"{remark.author.login} asks at {place}:\n{clean(remark.body)[:BODY_LIMIT].strip()}"
