"""Which issues are worked on, and in which order."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from repoagents.domain.issue import Issue, IssueState
from repoagents.domain.markers import installation_of
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
    again: bool = False,
    by_hand: bool = False,
) -> str | None:
    """Why an issue gets no new run now, or None when it gets one.

    `latest` is the issue's newest run. `by_hand` (a person named the issue) needs no label and
    passes every filter; `again` runs an unchanged text again; `forced` does, too, and by hand it
    takes what is closed, locked, stopped or a pull request. An active run refuses always.
    """
    reason = None if by_hand and forced else _why_never(issue, settings)
    if reason is None and not by_hand:
        reason = _why_not_labelled(issue, settings) or _why_filtered(issue, settings)
    if reason is not None or latest is None:
        return reason
    return _why_not_again(issue, latest, forced=forced or again)


def why_not_alone(issue: Issue, installation: str) -> str | None:
    """Why another installation of this bot is at work below the issue, or None.

    It writes as the same account, or its comments would not be ours; the marker tells them apart.
    """
    found = (installation_of(comment.body) for comment in issue.comments if comment.ours)
    other = next((name for name in found if name not in (None, installation)), None)
    if other is None:
        return None
    return (
        f"another installation of this bot, {other}, has written below issue {issue.number}, and "
        f"only one may work on a repository (this one is {installation}): if that one is gone, "
        f"`repoagents trigger {issue.number} --force` takes the issue over"
    )


def why_no_longer(
    issue: Issue | None, run: Run, frozen: Issue, settings: Settings, *, edits_count: bool
) -> str | None:
    """Why a run that was accepted is not wanted any more, or None while it is.

    `issue` is the issue as it is now, None when it is gone; `frozen` as it was when the run was
    made: only what has changed since ends a run. `edits_count` says whether a new text does.
    """
    number = run.issue_number
    if issue is None:
        return f"issue {number} is gone from the tracker"
    stop, trigger = _normal(settings.tracker.stop_label), trigger_label(settings)
    changes = (
        (issue.pull_request > frozen.pull_request, f"#{number} is a pull request now"),
        (_closed(issue) > _closed(frozen), f"issue {number} was closed"),
        (issue.locked > frozen.locked, f"issue {number} was locked"),
        (
            issue.carries(stop) > frozen.carries(stop),
            f"issue {number} was labelled '{stop}'",
        ),
        (
            issue.carries(trigger) < frozen.carries(trigger),
            f"the label '{trigger}' was taken off issue {number}",
        ),
        (
            edits_count and issue.fingerprint != run.fingerprint,
            f"the text of issue {number} was changed",
        ),
    )
    return next((what for changed, what in changes if changed), None)


def order(issues: Sequence[Issue], settings: Settings) -> tuple[Issue, ...]:
    """The issues by priority label (`P0` to `P9`, `priority/N`; lowest first), age, number.

    The trigger label itself gives no priority, whatever it is called.
    """
    trigger = trigger_label(settings)

    def rank(issue: Issue) -> tuple[float, datetime, int]:
        found = [_priority(label) for label in issue.labels if label != trigger]
        return min(found, default=float("inf")), issue.created_at or _LATEST, issue.number

    return tuple(sorted(issues, key=rank))


def trigger_label(settings: Settings) -> str:
    """The trigger label as issues carry it; empty when every open issue is taken."""
    return _normal(settings.tracker.trigger_label or "")


def _normal(name: str) -> str:
    return name.strip().lower()


def _closed(issue: Issue) -> bool:
    return issue.state is IssueState.CLOSED


def _why_never(issue: Issue, settings: Settings) -> str | None:
    """What keeps an issue from a run whoever asks for it."""
    stop = _normal(settings.tracker.stop_label)
    if issue.pull_request:
        return f"#{issue.number} is a pull request"
    if _closed(issue):
        return f"issue #{issue.number} is closed: reopen it first"
    if issue.locked:
        return f"issue #{issue.number} is locked: unlock its conversation first"
    if issue.carries(stop):
        return f"issue #{issue.number} carries the label '{stop}': take it off first"
    return None


def _why_not_labelled(issue: Issue, settings: Settings) -> str | None:
    label = trigger_label(settings)
    if not label or issue.carries(label):
        return None
    return (
        f"issue #{issue.number} does not carry the label '{label}': add it, "
        f"or name the issue with `repoagents trigger {issue.number}`"
    )


def _why_filtered(issue: Issue, settings: Settings) -> str | None:
    """The first of `tracker.filters` that the issue does not pass, in words."""
    filters = settings.tracker.filters
    missing = [label for label in filters.labels if not issue.carries(label)]
    unwanted = [label for label in filters.exclude_labels if issue.carries(label)]
    rules = (
        ("labels", not missing, f"it lacks {_listed(missing)}"),
        ("exclude_labels", not unwanted, f"it carries {_listed(unwanted)}"),
        ("authors", _admits(filters.authors, (issue.author,)), f"its author is '{issue.author}'"),
        (
            "assignee",
            _admits((filters.assignee,), issue.assignees),
            f"it is not assigned to '{filters.assignee}'",
        ),
        (
            "milestone",
            _admits((filters.milestone,), (issue.milestone,)),
            f"it is not of the milestone '{filters.milestone}'",
        ),
    )
    for key, passed, what in rules:
        if not passed:
            return f"issue #{issue.number} is left out by tracker.filters.{key}: {what}"
    return None


def _admits(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether one of the names found is wanted; without a wanted name everything passes."""
    names = {_normal(name) for name in wanted} - {""}
    return not names or any(_normal(name) in names for name in found)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(f"'{label}'" for label in labels)


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
