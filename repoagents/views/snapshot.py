"""The read model that every view of the runs is made from, and its form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from repoagents.domain.run import Run, RunStatus

EffectRow = tuple[str, str, str, str, str]
"""An effect of a run: name, state, the flag that withheld it, the reason, where it can be seen."""


@dataclass(frozen=True)
class Snapshot:
    """What was known at one instant: runs newest first, how many there are of each status.

    `holder` is a line about the worker that holds the lock, empty when none is live.
    """

    now: datetime
    runs: tuple[Run, ...] = ()
    counts: Mapping[RunStatus, int] | None = None
    holder: str = ""


def run_row(run: Run) -> dict[str, object]:
    """A run as the commands' JSON shows it: stable keys, instants in ISO 8601."""
    failure = run.failure
    return {
        "id": run.id,
        "issue": run.issue_number,
        "title": run.title,
        "status": run.status.value,
        "stage": run.stage.value if run.stage else None,
        "attempt": run.attempt,
        "round": run.round,
        "failure": failure
        and {
            "kind": failure.kind.value,
            "message": failure.message,
            "next_step": failure.next_step,
        },
        "next_at": _instant(run.next_at),
        "base_sha": run.base_sha,
        "head_sha": run.head_sha,
        "branch": run.branch,
        "verified": run.verified,
        "created_at": _instant(run.created_at),
        "updated_at": _instant(run.updated_at),
        "finished_at": _instant(run.finished_at),
    }


def snapshot_row(snapshot: Snapshot) -> dict[str, object]:
    """A snapshot as `status --json` shows it."""
    counts = snapshot.counts or {}
    return {
        "rendered_at": _instant(snapshot.now),
        "worker": snapshot.holder,
        "counts": {status.value: counts[status] for status in RunStatus if counts.get(status)},
        "runs": [run_row(run) for run in snapshot.runs],
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
