"""What is left of a soak when its worker has ended: on disk, in the log, among the deliveries."""

import json
from collections.abc import Sequence
from pathlib import Path

from repoagents.domain.places import LOG
from repoagents.ports import Deliveries
from repoagents.rehearsal.hub.hooks import Delivery

KEPT = 202
"""The status by which the receiver answers for a delivery."""


def left_in(control: Path) -> tuple[str, ...]:
    """Worktrees that `clean` did not take, though every run has come to its end."""
    worktrees = sorted(control.glob("workspaces/issue-*/*/repo"))
    return tuple(f"a worktree is left: {path.relative_to(control)}" for path in worktrees)


def lost_in(sent: Sequence[Delivery], books: Deliveries) -> tuple[str, ...]:
    """Deliveries that were answered as kept and are not known.

    What two of them tell alike is kept once: it is lost when neither is known.
    """
    alike: dict[tuple[str, str, bytes], list[str]] = {}
    for delivery in sent:
        if delivery.outcome and delivery.outcome.status_code == KEPT and delivery.event != "ping":
            key = (delivery.event, delivery.action, delivery.body)
            alike.setdefault(key, []).append(delivery.guid)
    known = books.knows(tuple(guid for guids in alike.values() for guid in guids))
    return tuple(
        f"a delivery was answered and is lost: {event} {action} {guids[0]}"
        for (event, action, _), guids in alike.items()
        if not known & set(guids)
    )


def bugs_in(control: Path) -> tuple[str, ...]:
    """The bugs of ours that the log tells of."""
    text = (control / LOG).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if '"bug_met"' in line]
    return tuple(f"a bug was met: {line['message']}" for line in lines)
