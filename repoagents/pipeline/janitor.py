"""Cleaning: worktrees of finished runs, and what has outlived its retention."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from repoagents.domain.run import AT_WORK, Run, RunStatus
from repoagents.errors import RepoAgentsError, StateUnreadable
from repoagents.pipeline import approval
from repoagents.pipeline.followup import with_open_pull_request
from repoagents.pipeline.preview import DRY_RUN
from repoagents.ports import Flows, House, Worktree

FINISHED = (
    RunStatus.COMPLETED,
    RunStatus.NO_CHANGE,
    RunStatus.FAILED,
    RunStatus.CANCELLED,
    RunStatus.SUPERSEDED,
)

LEFT_ALONE = (RunStatus.BLOCKED, RunStatus.COMPLETED)
"""Runs that a person may come for, and whose worktrees go when nobody has for long."""

EVENTS_STAY = timedelta(days=7)
"""How long a delivery or a request is known, so that one that comes again does nothing."""

STILL_AT_WORK = timedelta(hours=2)
"""How long a dry run may take; nobody else knows of it."""

_BEGUN = re.compile(rf"(?:{DRY_RUN})?([0-9]{{8}}-[0-9]{{6}})-[0-9a-f]+")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Removal:
    """One thing removed, or that would be: its path, bytes and why."""

    path: str
    size: int
    reason: str


async def tidy(house: House, flows: Flows) -> None:
    """All that the loop cleans: worktrees, artifacts, and what was kept for runs that are over.

    It goes on where something cannot be removed, which is tried again the next time. Whatever may
    be much is forgotten in portions, so that nobody waits long for the state.
    """
    await sweep(house, dry_run=False, expired_only=True)
    before = house.clock.now() - EVENTS_STAY
    for forget_before in (house.deliveries.forget_before, house.inbox.forget_before):
        with _outlived(house, "forgetting what came"):
            while await asyncio.to_thread(forget_before, before):
                continue
    with _outlived(house, "forgetting flows"):
        await flows.forget(lambda run_id: _is_at_rest(house, run_id))
    with _outlived(house, "tidying the bot's clone"):
        await asyncio.to_thread(_tidy_clone, house)


async def sweep(house: House, *, dry_run: bool, expired_only: bool = False) -> tuple[Removal, ...]:
    """Remove worktrees of finished runs, nothing under an open approval or pull request.

    The loop calls it with `expired_only`: then only what is older than `retention` goes, worktrees
    and artifacts. `clean` removes worktrees of every finished run.
    """
    removed, worktrees = [], tuple[Worktree, ...]()
    with _outlived(house, "looking for worktrees", tells=expired_only):
        worktrees = await asyncio.to_thread(house.workspaces.worktrees)
    for worktree in worktrees:
        with _outlived(house, f"removing {worktree.path}", tells=expired_only):
            removal = await _clear(house, worktree, dry_run=dry_run, expired_only=expired_only)
            removed += [removal] if removal else []
    if expired_only:
        for number, run_id, path in await asyncio.to_thread(house.artifacts.folders):
            with _outlived(house, f"removing {path}"):
                reason = await asyncio.to_thread(_why_expired, house, run_id)
                removed += [Removal(str(path), 0, reason)] if reason else []
                if reason and not dry_run:
                    await asyncio.to_thread(house.artifacts.remove, number, run_id)
    return tuple(removed)


@contextmanager
def _outlived(house: House, what: str, *, tells: bool = True) -> Iterator[None]:
    """Tell what cannot be done, and go on with the rest."""
    try:
        yield
    except StateUnreadable:
        raise
    except RepoAgentsError as error:
        if not tells:
            raise
        house.journal.warn("errand_failed", f"{what}: {error}")


async def _clear(
    house: House, worktree: Worktree, *, dry_run: bool, expired_only: bool
) -> Removal | None:
    """Remove one worktree if it may go; what is removed, or would be."""
    reason = await asyncio.to_thread(_why_remove, house, worktree, expired_only=expired_only)
    if reason is None:
        return None
    size = await asyncio.to_thread(house.workspaces.size, worktree)
    if not dry_run:
        problem = await house.checks.hook("before_remove", worktree)
        if problem:
            house.journal.warn("hook_failed", f"before_remove: {problem}", run=worktree.run_id)
        # Asked again: a person may have sent the run back to work while the hook took its time.
        if await asyncio.to_thread(_why_remove, house, worktree, expired_only=expired_only) is None:
            return None
        await asyncio.to_thread(_remove, house, worktree)
    return Removal(str(worktree.path), size, reason)


def _why_remove(house: House, worktree: Worktree, *, expired_only: bool) -> str | None:
    now, run_id = house.clock.now(), worktree.run_id
    days = house.settings.retention.worktree_days
    if expired_only and _is_young(run_id, days, now):
        return None
    run = house.runs.find(run_id)
    if run is None:
        over = _is_dry_run_over(run_id, now)
        gone = over if over is not None else not expired_only
        return "no run of this id is known" if gone else None
    if expired_only and not _older(run.finished_at, days, now):
        return None
    if _is_needed(house, run) and not (expired_only and _has_long_waited(house, run)):
        return None
    return f"run of issue {run.issue_number} is {run.status}"


def _has_long_waited(house: House, run: Run) -> bool:
    """Whether nobody has come for a blocked run, or for a result that a flag withholds.

    To publish takes only the commit, and a run that is sent back has its worktree made again.
    """
    days = house.settings.retention.artifact_days
    long = run.status in LEFT_ALONE and _older(run.finished_at, days, house.clock.now())
    return long and all(each.id != run.id for each in with_open_pull_request(house))


def _is_needed(house: House, run: Run) -> bool:
    """Whether a run goes on, waits for a person, or has its pull request open.

    Only the newest run of an issue can be approved, or followed up.
    """
    if run.status not in FINISHED:
        return True
    newest = house.runs.latest(run.issue_number)
    if newest is None or newest.id != run.id:
        return False
    waits = approval.waiting_of(house, run) is not None
    return waits or any(each.id == run.id for each in with_open_pull_request(house))


def _remove(house: House, worktree: Worktree) -> None:
    if house.runs.find(worktree.run_id) is None:
        house.processes.end_orphans(worktree.run_id)  # of a dry run that was killed
    house.workspaces.remove(worktree)
    house.journal.note(
        "worktree_removed",
        f"worktree of issue {worktree.issue_number} removed",
        run=worktree.run_id,
        issue=worktree.issue_number,
    )


def _why_expired(house: House, run_id: str) -> str | None:
    """Why the artifacts of a run, or of a dry run, may go, or None."""
    now, days = house.clock.now(), house.settings.retention.artifact_days
    if _is_young(run_id, days, now):
        return None
    run = house.runs.find(run_id)
    if run is None:
        gone = _is_dry_run_over(run_id, now) is True
    else:
        gone = _older(run.finished_at, days, now) and not _is_needed(house, run)
    return f"older than {days:g} days" if gone else None


def _is_young(run_id: str, days: float, now: datetime) -> bool:
    """Whether the name alone tells that nothing of the run is old: so nobody need be asked."""
    begun = _begun(run_id)
    return begun is not None and not _older(begun, days, now)


def _is_dry_run_over(run_id: str, now: datetime) -> bool | None:
    """Whether a dry run has ended, as its name tells; None for any other name."""
    begun = _begun(run_id) if run_id.startswith(DRY_RUN) else None
    return None if begun is None else now - begun >= STILL_AT_WORK


def _begun(run_id: str) -> datetime | None:
    """When a run or a dry run began, as its name tells; None for any other name."""
    named = _BEGUN.fullmatch(run_id)
    try:
        return datetime.strptime(f"{named[1]}+0000", "%Y%m%d-%H%M%S%z") if named else None
    except ValueError:  # It looks like a date, and is none.
        return None


def _is_at_rest(house: House, run_id: str) -> bool:
    """Whether a run has rested for so long that nobody looks into its flows any more.

    When a person sends it back to work, that begins a flow of its own.
    """
    now, days = house.clock.now(), house.settings.retention.worktree_days
    if _is_young(run_id, days, now):
        return False
    run = house.runs.find(run_id)
    return run is None or (run.status not in AT_WORK and _older(run.updated_at, days, now))


def _tidy_clone(house: House) -> None:
    heads = {run.head_sha for run in _with_commits(house)}

    def is_over(name: str) -> bool:
        if _COMMIT.fullmatch(name):  # The merge of a base goes by its own name.
            return name not in heads
        now, days = house.clock.now(), house.settings.retention.worktree_days
        run = None if _is_young(name, days, now) else house.runs.find(name)
        return run is not None and (
            _older(run.finished_at, days, now) and not _is_needed(house, run)
        )

    house.workspaces.tidy(is_over)


def _with_commits(house: House) -> Iterator[Run]:
    """Every run whose commit somebody may still ask for."""
    yield from house.runs.select((*AT_WORK, RunStatus.BLOCKED), limit=10_000)
    yield from (waiting.run for waiting in approval.pending(house))
    yield from with_open_pull_request(house)


def _older(at: datetime | None, days: float, now: datetime) -> bool:
    return at is not None and now - at > timedelta(days=days)
