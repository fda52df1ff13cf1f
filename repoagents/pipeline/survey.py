"""One look at everything that is remembered: the snapshot that reports are made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta

from repoagents.domain.pulse import Part
from repoagents.domain.reports import Review
from repoagents.domain.run import Run, RunStatus
from repoagents.domain.smoke import REHEARSAL
from repoagents.pipeline import approval, dossier
from repoagents.pipeline.followup import FOLLOWED
from repoagents.policy.attention import Cap, Signs, Standing, current_runs, weigh
from repoagents.policy.safety import holding
from repoagents.ports import Books, Kept
from repoagents.views.headline import headline
from repoagents.views.snapshot import Caps, Card, Snapshot

RUNS, CARDS = 10_000, 200
"""How many runs a snapshot lists, and how many of the newest it tells in full."""

URGENT = (
    RunStatus.QUEUED,
    RunStatus.IN_PROGRESS,
    RunStatus.RETRY_PENDING,
    RunStatus.AWAITING_APPROVAL,
    RunStatus.BLOCKED,
    RunStatus.FAILED,
)
"""Runs that are told in full however old they are, up to the same number."""

CHARTED = timedelta(days=30)

_OPEN = "limits.open_pull_requests"


@dataclass(frozen=True)
class Host:
    """What the composition root knows of this machine.

    `holder` is a line about the live worker, empty without one; `polls` is whether that one reads
    the tracker: one that works on a single issue does not. `drift` are outdated texts of `init`.
    """

    version: str
    holder: str = ""
    polls: bool = False
    free_bytes: int | None = None
    drift: tuple[str, ...] = ()


def survey(books: Books, host: Host, *, runs: int = RUNS, cards: int = CARDS) -> Snapshot:
    """The snapshot of this moment; nothing is written, no request is made."""
    settings, now = books.settings, books.clock.now()
    listed = books.runs.select(limit=runs)
    told = {run.id: run for run in listed[:cards]}
    told |= {run.id: run for run in books.runs.select(URGENT, limit=cards)}
    spent = books.spend.spent("", now)
    limits = {f"limits.{f.name}": getattr(settings.limits, f.name) for f in fields(settings.limits)}
    flags = {f"safety.{f.name}": getattr(settings.safety, f.name) for f in fields(settings.safety)}
    return Snapshot(
        now=now,
        runs=listed,
        counts=books.runs.counts(),
        holder=host.holder,
        pulses=books.pulses.all(),
        repo=settings.tracker.repo or settings.tracker.kind,
        version=host.version,
        installation=books.installation,
        cards=cards_of(books, tuple(told.values())),
        days=books.history.days(now - CHARTED),
        caps=Caps(spent.hour, spent.day, limits),
        open_pulls=_open_pulls(books),
        flags=flags,
        free_bytes=host.free_bytes,
        rehearsal=REHEARSAL if dossier.rehearsed(settings) else "",
        brake=holding(settings, books.brakes.find()),
    )


def _open_pulls(books: Books) -> int:
    """0 without GitHub: there, a draft is a file that nobody can merge or close."""
    if books.settings.tracker.kind != "github":
        return 0
    return len(books.runs.with_open_pull_request(FOLLOWED))


def stand(books: Books, snapshot: Snapshot, host: Host) -> Standing:
    """How things stand by a snapshot."""
    settings, caps = books.settings, snapshot.caps
    pulses = {pulse.part: pulse for pulse in snapshot.pulses}
    worker, receiver = pulses.get(Part.WORKER), pulses.get(Part.RECEIVER)
    every = timedelta(seconds=settings.tracker.poll_interval_seconds)
    used = {
        "limits.calls_per_hour": caps.hour.calls,
        "limits.tokens_per_day": caps.day.tokens,
        "limits.cost_per_day": caps.day.cost or 0,
    }
    runs = {run.id: run for run in (*snapshot.runs, *(card.run for card in snapshot.cards))}
    return weigh(
        Signs(
            now=snapshot.now,
            runs=sorted(runs.values(), key=lambda run: run.created_at, reverse=True),
            waiting=frozenset(card.run.id for card in snapshot.cards if card.waits),
            worker_live=bool(snapshot.holder),
            worker_since=worker.since if worker else None,
            poll_every=every if host.polls else None,
            polled_at=worker.heard_at if worker else None,
            poll_problem=worker.problem if worker else "",
            receiver_beat=receiver.beat_at if receiver else None,
            paused_until=worker.pause.until if worker and worker.pause else None,
            caps=tuple(Cap(key, value, caps.limits[key]) for key, value in used.items()),
            open_pulls=Cap(_OPEN, snapshot.open_pulls, caps.limits[_OPEN]),
            run_limit=timedelta(seconds=settings.agent.run_timeout_seconds),
            drift=host.drift,
            free_bytes=snapshot.free_bytes,
            brake=snapshot.brake,
        )
    )


def cards_of(books: Books, runs: Sequence[Run]) -> tuple[Card, ...]:
    """Each run with what was kept of it, read for all at once; `runs` are newest first."""
    kept = books.history.kept([run.id for run in runs])
    newest = {run.id for run in current_runs(runs)}
    return tuple(_card(books, run, kept[run.id], newest=run.id in newest) for run in runs)


def _card(books: Books, run: Run, kept: Kept, *, newest: bool) -> Card:
    effects = tuple(map(dossier.effect_row, kept.effects))
    return Card(
        run=run,
        headline=headline(run, kept.verdict, effects),
        timings=kept.timings,
        effects=effects,
        usage=kept.usage,
        findings=tuple(_findings(kept.review)),
        reasons=kept.verdict.reasons + kept.verdict.points if kept.verdict else (),
        files=books.artifacts.names(run.issue_number, run.id),
        waits=newest and approval.waits(run, kept.effects),
    )


def _findings(review: Review | None) -> Iterator[tuple[str, str, str]]:
    for found in review.findings if review else ():
        place = f"{found.file}:{found.line}: " if found.line else f"{found.file}: "
        yield found.severity.value, "reviewer", (place if found.file else "") + found.message
