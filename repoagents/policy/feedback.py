"""What checks and people ask for after the pull request, as a contract for the builder."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from repoagents.domain.change import Conflict
from repoagents.domain.pull_request import (
    Annotation,
    CheckDetail,
    CheckRun,
    PullRequest,
    Remark,
    RequiredCheck,
    ReviewState,
    Thread,
)
from repoagents.policy import commands
from repoagents.policy.merging import is_person
from repoagents.policy.wording import clean, one_line, tail

ROUNDS = 3
"""How often failing checks, and how often remarks, go back to the builder."""

FAILED = ("failure", "error", "timed_out", "action_required")
"""The conclusions that go back to the builder; `error` is a commit status's."""

ASKS = (ReviewState.CHANGES_REQUESTED, ReviewState.COMMENTED)
"""Reviews whose own words ask for something; one that was dismissed, or approves, does not."""

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
THREAD_LIMIT = 12_000
"""Characters of a thread that come back, the newest first."""
ERROR = "##[error]"
"""How Actions begins the line of a step's error."""

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ", re.MULTILINE)


def threads(pull: PullRequest) -> tuple[Thread, ...]:
    """What people say about the change: below its lines, and in reviews as threads with the id 0.

    Bots, the bot itself among them, are left out, and a review that is a command.
    """
    reviews = (
        Thread(0, "", 0, (Remark(review.id, review.author, review.body),))
        for review in pull.reviews
        if review.state in ASKS and review.body.strip() and commands.parse(review.body) is None
    )
    people = (only(thread, _is_person) for thread in (*pull.threads, *reviews))
    return tuple(thread for thread in people if thread.remarks)


def only(thread: Thread, wanted: Callable[[Remark], bool]) -> Thread:
    """The thread without the remarks that are not wanted."""
    return replace(thread, remarks=tuple(filter(wanted, thread.remarks)))


def name_of(thread: Thread, remark: Remark) -> str:
    """By what a remark is known once a round was begun for it: reviews are counted apart."""
    return f"{remark.id}" if thread.id else f"review-{remark.id}"


def failed_checks(pull: PullRequest, required: Sequence[RequiredCheck]) -> tuple[CheckRun, ...]:
    """The checks that stand in the way of a merge; none while one of those that count runs.

    So that all that fails on one commit comes back at once. A cancelled check says nothing.
    """
    counted = tuple(c for c in pull.checks if not required or any(r.counts(c) for r in required))
    if any(check.conclusion is None for check in counted):
        return ()
    return tuple(check for check in counted if check.conclusion in FAILED)


def contract(
    checks: Sequence[tuple[CheckRun, CheckDetail]], asked: Sequence[Thread]
) -> tuple[str, ...]:
    """What the next round must put right, a point for each.

    The first line of a point is ours; what follows are words from outside, cleaned and bounded.
    """
    failed = tuple(_failed(check, detail) for check, detail in checks)
    return failed + tuple(_asked(thread) for thread in asked)


def that_fit(
    checks: Sequence[tuple[CheckRun, CheckDetail]], asked: Sequence[Thread]
) -> tuple[Thread, ...]:
    """The threads that one round has room for besides the checks; the others wait for the next."""
    left = ROUND_LIMIT - sum(len(_failed(check, detail)) for check, detail in checks)
    taken: list[Thread] = []
    for thread in asked:
        left -= len(_asked(thread)) + AROUND
        if left < 0:
            break
        taken.append(thread)
    return tuple(taken)


def answer(thread: Thread, head_sha: str, asked_at: str, before: int) -> str:
    """What a thread, or the author of a review, is told when its round is over.

    It was asked for when the commit `asked_at` stood there, after so many rounds.
    """
    what = "this" if thread.id else f"the review by {thread.remarks[-1].author.login}"
    if before >= ROUNDS:
        return f"{head_sha} stands as it was: {what} came after {ROUNDS} rounds, a person goes on."
    if asked_at == head_sha:
        return f"{head_sha} stands as it was: nothing was changed for {what}."
    return f"{head_sha} answers {what}."


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


def _asked(thread: Thread) -> str:
    """The newest remark with what was said before it."""
    place = one_line(f"{thread.path}:{thread.line}" if thread.line else thread.path)
    where = f"at {place}" if place else "in a review of the change"
    *before, last = thread.remarks
    if not before:
        return f"{last.author.login} asks {where}:\n{_words(last)}"
    return f"{last.author.login} asks {where}; all of the thread:\n{_quoted(thread.remarks)}"


def _quoted(remarks: Iterable[Remark]) -> str:
    """Each remark below its author's name, oldest first; of too many the newest."""
    blocks, left = [], THREAD_LIMIT
    for remark in reversed(tuple(remarks)):
        block = f"{remark.author.login}:\n{_words(remark)}"
        left -= len(block)
        if left < 0:
            blocks.append("[what was said before is left out]")
            break
        blocks.append(block)
    return "\n\n".join(reversed(blocks))


def _words(remark: Remark) -> str:
    return clean(remark.body)[:BODY_LIMIT].strip()


def _is_person(remark: Remark) -> bool:
    return not remark.ours and is_person(remark.author, author_id=0)
