"""Cleaning: worktrees of finished runs, and what has outlived its retention."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from repoagents.domain.run import Run, RunStatus
from repoagents.pipeline import approval
from repoagents.ports import House, Worktree

FINISHED = (
    RunStatus.COMPLETED,
    RunStatus.NO_CHANGE,
    RunStatus.FAILED,
    RunStatus.CANCELLED,
    RunStatus.SUPERSEDED,
)


@dataclass(frozen=True)
class Removal:
    """One thing removed, or that would be: its path, bytes and why."""

    path: str
    size: int
    reason: str


async def sweep(house: House, *, dry_run: bool, expired_only: bool = False) -> tuple[Removal, ...]:
    """Remove worktrees of finished runs, nothing under an open approval.

    The loop calls it with `expired_only`: then only what is older than `retention` goes, worktrees
    and artifacts. `clean` removes worktrees of every finished run.
    """
    removed = []
    for worktree in house.workspaces.worktrees():
        run = house.runs.find(worktree.run_id)
        reason = _why_remove(house, run, expired_only=expired_only)
        if reason is None:
            continue
        size = house.workspaces.size(worktree)
        removed.append(Removal(str(worktree.path), size, reason))
        if not dry_run:
            await _remove(house, worktree)
    if expired_only:
        removed += _expired_artifacts(house, dry_run=dry_run)
    return tuple(removed)


def _why_remove(house: House, run: Run | None, *, expired_only: bool) -> str | None:
    if run is None:
        return None if expired_only else "no run of this id is known"
    if run.status not in FINISHED or approval.waiting_of(house, run) is not None:
        return None
    days = house.settings.retention.worktree_days
    if expired_only and not _older(run.finished_at, days, house.clock.now()):
        return None
    return f"run of issue {run.issue_number} is {run.status}"


async def _remove(house: House, worktree: Worktree) -> None:
    problem = await house.checks.hook("before_remove", worktree)
    if problem:
        house.journal.warn("hook_failed", f"before_remove: {problem}", run=worktree.run_id)
    house.workspaces.remove(worktree)
    house.journal.note(
        "worktree_removed",
        f"worktree of issue {worktree.issue_number} removed",
        run=worktree.run_id,
        issue=worktree.issue_number,
    )


def _expired_artifacts(house: House, *, dry_run: bool) -> list[Removal]:
    removed = []
    days = house.settings.retention.artifact_days
    for number, run_id, path in house.artifacts.folders():
        run = house.runs.find(run_id)
        if run is None or run.status not in FINISHED:
            continue
        if approval.waiting_of(house, run) is not None:
            continue
        if _older(run.finished_at, days, house.clock.now()):
            removed.append(Removal(str(path), 0, f"older than {days:g} days"))
            if not dry_run:
                house.artifacts.remove(number, run_id)
    return removed


def _older(at: datetime | None, days: float, now: datetime) -> bool:
    return at is not None and now - at > timedelta(days=days)
