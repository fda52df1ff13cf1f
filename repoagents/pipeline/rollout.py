"""Rollout: the key figures of recent runs, and what the next phase is judged by."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from repoagents.domain.change import TakenBack
from repoagents.domain.check import Check
from repoagents.domain.engines import rehearses
from repoagents.domain.reports import Decision, Review, Role, Verification
from repoagents.domain.rollout import Soak
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.domain.settings import Settings
from repoagents.errors import GitError
from repoagents.pipeline.approval import REJECT
from repoagents.pipeline.dossier import Kept
from repoagents.pipeline.stages import Built
from repoagents.policy.rollout import (
    FINISHED,
    MOST_RUNS,
    WELL,
    WINDOW,
    Assessment,
    Evidence,
    Kpis,
    Share,
    assess,
    is_refuted,
    is_taken_back,
)
from repoagents.policy.safety import phase_of, phase_within
from repoagents.ports import CLOSED, Bench, Books, Reports

MERGE, PULL_REQUEST = "merge", "draft_pull_request"
SOAK, DASHBOARD = "reports/soak.json", "dashboard/index.html"


def measure(books: Books, reverted: Sequence[TakenBack] = ()) -> Kpis:
    """The figures of the newest runs that ended within the window."""
    runs = _recent(books)
    kept = {run.id: Kept(books.stages, run.id) for run in runs}
    claims = [refuted for run in runs for refuted in _claims(kept[run.id], run)]
    reviews = [review for one in kept.values() if (review := one.last(Stage.REVIEW, Review))]
    stumbled = [run for run in runs if run.failures or run.status is RunStatus.FAILED]
    return Kpis(
        finished=len(runs),
        succeeded=sum(run.status in WELL for run in runs),
        dry_runs=len(books.artifacts.plans()),
        false_claims=_share(claims),
        passed_reviews=_share([review.decision is Decision.APPROVE for review in reviews]),
        blocked=_share([run.status is RunStatus.BLOCKED for run in runs]),
        recovered=_share([run.status in WELL for run in stumbled]),
        overridden=_share([_turned_down(books, run, reverted) for run in runs]),
        unreadable=tuple(run.id for run in runs if kept[run.id].unreadable),
    )


def look_for_reverts(bench: Bench, books: Books) -> tuple[TakenBack, ...]:
    """What was reverted on the base within the window, fetched where anything of ours is merged.

    Without a connection what was fetched last counts.
    """
    if not any(_merged(books, run) for run in _recent(books)):
        return ()
    with suppress(GitError):
        bench.workspaces.refresh()
    try:
        return bench.workspaces.taken_back(books.clock.now() - WINDOW)
    except GitError:
        return ()


def judge(
    books: Books,
    reports: Reports,
    checks: Sequence[Check],
    version: str,
    reverted: Sequence[TakenBack] = (),
) -> Assessment:
    """Whether the phase after the one in force is justified."""
    settings, brake = books.settings, books.brakes.find()
    phase = phase_of(settings)
    newest = next(iter(books.runs.select(limit=1)), None)
    return assess(
        Evidence(
            now=books.clock.now(),
            version=version,
            phase=phase_within(settings, brake) if phase and brake else phase,
            kpis=measure(books, reverted),
            soak=read_soak(reports),
            checks=checks,
            rehearsed=rehearses(settings),
            reviewer=Role.REVIEWER in settings.roles.enabled,
            dashboard=reports.read(DASHBOARD) is not None,
            newest=newest.issue_number if newest else None,
            values=_values(settings),
        )
    )


def read_soak(reports: Reports) -> Soak | None:
    """How the newest soak ended; None when there was none, or its report cannot be read."""
    text = reports.read(SOAK)
    if text is None:
        return None
    try:
        row = json.loads(text)
        at = datetime.fromisoformat(row["at"])
        timedelta(seconds=row["seconds"])
        problems = tuple(str(problem) for problem in row["problems"])
        return Soak(at, str(row["version"]), float(row["seconds"]), problems) if at.tzinfo else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _recent(books: Books) -> list[Run]:
    since = books.clock.now() - WINDOW
    runs = books.runs.select(FINISHED, limit=MOST_RUNS)
    return [run for run in runs if run.updated_at >= since]


def _claims(kept: Kept, run: Run) -> Iterator[bool]:
    """Of each answer of the builder, whether git or the checks refuted it, as far as is known."""
    base = kept.last(Stage.BASE_CHECK, Verification)
    for number in range(1, run.round + 1):
        built = kept.last(Stage.BUILD, Built, number)
        proof = kept.last(Stage.VERIFY, Verification, number)
        if built is not None and not built.report.questions and not kept.unreadable:
            claimed = built.report.changed_files
            yield is_refuted(claimed, built.change.paths, proof, base)


def _turned_down(books: Books, run: Run, reverted: Sequence[TakenBack]) -> bool:
    """Whether a person rejected the result, closed its pull request, or reverted the merge."""
    if any(word.decision in (REJECT, CLOSED) for word in books.approvals.select(run.id)):
        return True
    locations = (row.location for row in books.ledger.rows(run.id) if row.name == PULL_REQUEST)
    pull = next((place.rpartition("/")[2] for place in locations if "/pull/" in place), "")
    return _merged(books, run) and is_taken_back(run.head_sha, pull, reverted)


def _merged(books: Books, run: Run) -> bool:
    rows = books.ledger.rows(run.id)
    return any(row.name == MERGE and row.state == "done" for row in rows)


def _share(facts: Sequence[bool]) -> Share:
    return Share(sum(facts), len(facts))


def _values(settings: Settings) -> str:
    flags = settings.safety
    allowed = (
        ("comments", flags.allow_write_comments),
        ("pull requests", flags.allow_open_pr),
        ("merges", flags.allow_merge),
    )
    on = ", ".join(name for name, is_on in allowed if is_on) or "no write"
    policy, mode = settings.workspace.dirty_policy, settings.merge_policy.mode
    return f"dirty_policy {policy}, merge_policy {mode}, {on} allowed"
