"""What an issue shows of its run, and how often it may change."""

from datetime import datetime, timedelta

from repoagents.domain.run import AT_WORK, RunStatus
from repoagents.domain.settings import TrackerSettings

EVERY = timedelta(seconds=30)
"""How far apart the edits of a status comment are, but for the last word, which always comes."""

SETTLES = timedelta(minutes=2)
"""How long what was sent may not be seen yet.

A request may be under way for 100 seconds, by the time limits of our own door (10 to connect, 90 to
answer), and GitHub's lists lag a few seconds behind what was written.
"""

_WITH_A_PERSON = (RunStatus.BLOCKED, RunStatus.FAILED, RunStatus.AWAITING_APPROVAL)


def is_too_soon(last: datetime | None, now: datetime) -> bool:
    """Whether the comment was written a moment ago; a clock that was set back counts for nothing.

    `last` is when it was last written, None when never.
    """
    return last is not None and timedelta(0) <= now - last < EVERY


def may_be_unseen(sent: datetime, now: datetime) -> bool:
    """Whether what was tried to be written at an instant may stand without being listed yet."""
    return now - sent < SETTLES


def is_worth_a_try(since: datetime, last: datetime, now: datetime) -> bool:
    """Whether another try is due: each wait is as long as the time from `since` to the `last` try.

    A try that the clock, set back since then, puts into the future holds up none.
    """
    return last > now or now - last >= last - since


def only_edits(status: RunStatus) -> bool:
    """Whether a run of this status has nothing to say that is worth a new comment."""
    return status in (RunStatus.CANCELLED, RunStatus.RETRY_PENDING)


def label_of(status: RunStatus, tracker: TrackerSettings) -> str | None:
    """The label of ours that an issue wears whose run has this status, or None."""
    if status in AT_WORK:
        return tracker.working_label
    return tracker.waiting_label if status in _WITH_A_PERSON else None
