"""Which issues are worked on, and in which order."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from repoagents.domain.issue import Issue, IssueState
from repoagents.domain.run import Run, RunStatus
from repoagents.domain.settings import Settings

_PRIORITY = re.compile(r"p([0-9])|priority/([0-9]{1,6})")
_LATEST = datetime.max.replace(tzinfo=UTC)

_STANDING = {
    RunStatus.COMPLETED: "is completed and its text has not changed: "
    "`repoagents trigger {n} --force` runs again",
    RunStatus.FAILED: "has failed and its text has not changed: `repoagents retry {n}` tries again",
    RunStatus.BLOCKED: "waits for a person: `repoagents status --issue {n}` says for what, "
    "`repoagents retry {n}` goes on",
    RunStatus.CANCELLED: "was cancelled and its text has not changed: "
    "`repoagents retry {n}` takes it up again",
    RunStatus.NO_CHANGE: "ended without a change and its text has not changed: "
    "`repoagents retry {n} --note TEXT` tries again with a hint",
    RunStatus.SUPERSEDED: "was superseded and its text has not changed: "
    "`repoagents trigger {n} --force` runs again",
}

_ACTIVE = {
    RunStatus.QUEUED: "is queued already",
    RunStatus.IN_PROGRESS: "is being worked on",
    RunStatus.RETRY_PENDING: "waits for its next attempt: `repoagents retry {n}` starts it now",
    RunStatus.AWAITING_APPROVAL: "waits for an approval: `repoagents approval show {n}`",
}


def why_not(
    issue: Issue,
    latest: Run | None,
    settings: Settings,
    *,
    forced: bool = False,
    by_hand: bool = False,
) -> str | None:
    """Why an issue gets no new run now, or None when it gets one.

    `latest` is the issue's newest run. `by_hand` (a person named the issue) needs no label;
    `forced` runs an unchanged text again. An active run refuses always.
    """
    if issue.state is IssueState.CLOSED:
        return f"issue #{issue.number} is closed: reopen it first"
    label = _trigger_label(settings)
    if label and not by_hand and label not in issue.labels:
        return (
            f"issue #{issue.number} does not carry the label '{label}': add it, "
            f"or name the issue with `repoagents trigger {issue.number}`"
        )
    return _why_not_again(issue, latest, forced=forced) if latest else None


def order(issues: Sequence[Issue], settings: Settings) -> tuple[Issue, ...]:
    """The issues by priority label (`P0` to `P9`, `priority/N`; lowest first), age, number.

    The trigger label itself gives no priority, whatever it is called.
    """
    trigger = _trigger_label(settings)

    def rank(issue: Issue) -> tuple[float, datetime, int]:
        found = [_priority(label) for label in issue.labels if label != trigger]
        return min(found, default=float("inf")), issue.created_at or _LATEST, issue.number

    return tuple(sorted(issues, key=rank))


def _trigger_label(settings: Settings) -> str:
    return (settings.tracker.trigger_label or "").strip().lower()


def _why_not_again(issue: Issue, latest: Run, *, forced: bool) -> str | None:
    if not latest.status.terminal:
        standing = _ACTIVE[latest.status]
    elif forced or latest.fingerprint != issue.fingerprint:
        return None
    else:
        standing = _STANDING[latest.status]
    return f"issue #{issue.number} {standing.format(n=issue.number)} (run {latest.id})"


def _priority(label: str) -> float:
    match = _PRIORITY.fullmatch(label)
    return int(match[1] or match[2]) if match else float("inf")
