"""The dashboard: one static page that shows every run, to search, to filter and to watch."""

from repoagents.domain.run import Run, RunStatus
from repoagents.policy.attention import Level, Standing
from repoagents.policy.wording import age, one_line
from repoagents.views.charts import draw_charts
from repoagents.views.html import render_page
from repoagents.views.snapshot import Card, Snapshot, instant
from repoagents.views.text import signs_of_life

REFRESHES = (0, 10, 30, 60, 120)
"""What the page offers, in seconds; 0 is off."""

FIRST = 100
"""How many runs are at hand when the page opens; the others are read when somebody looks."""

COLOURS = {
    RunStatus.QUEUED: "",
    RunStatus.IN_PROGRESS: "busy",
    RunStatus.RETRY_PENDING: "",
    RunStatus.AWAITING_APPROVAL: "warn",
    RunStatus.BLOCKED: "warn",
    RunStatus.COMPLETED: "good",
    RunStatus.NO_CHANGE: "",
    RunStatus.FAILED: "bad",
    RunStatus.CANCELLED: "",
    RunStatus.SUPERSEDED: "",
}
LEVELS = {Level.BROKEN: "bad", Level.ATTENTION: "warn", Level.WORKING: "busy", Level.IDLE: "good"}
_OPENED = ("handoff.html", "handoff.md", "changes.patch")


def render_dashboard(
    snapshot: Snapshot, standing: Standing, *, refresh: int = 0, artifacts: str | None = None
) -> str:
    """The page. `refresh` is how often it reads itself anew, in seconds, until somebody chooses.

    `artifacts` is the address of the artifacts' folder as seen from the page; without it, no run's
    files are linked.
    """
    cards = {card.run.id: card for card in snapshot.cards}
    head, tail = snapshot.runs[:FIRST], snapshot.runs[FIRST:]
    listed = {run.id for run in snapshot.runs}
    # Old runs that need somebody are told as well, wherever the list ends.
    tail += tuple(card.run for card in snapshot.cards if card.run.id not in listed)
    counts = snapshot.counts or {}
    return render_page(
        "dashboard.html",
        {
            "rehearsal": snapshot.rehearsal,
            "snapshot": snapshot,
            "standing": standing,
            "level": LEVELS[standing.level],
            "made_at": instant(snapshot.now),
            "signs": list(signs_of_life(snapshot.pulses, snapshot.now)),
            "statuses": [
                (status.value, _words(status.value), COLOURS[status], counts.get(status, 0))
                for status in RunStatus
            ],
            "charts": draw_charts(snapshot),
            "refreshes": sorted({*REFRESHES, refresh}),
            "refresh": refresh,
            "plain": [(run, _words(run.status.value), _reason(run)) for run in head[:50]],
            "first": {
                "artifacts": artifacts,
                "colours": {status.value: COLOURS[status] for status in RunStatus},
                "total": snapshot.total,
                "refresh": refresh,
                "runs": [_row(run, snapshot, cards.get(run.id)) for run in head],
            },
            "rest": [_row(run, snapshot, cards.get(run.id)) for run in tail],
        },
        script="dashboard.js",
    )


def _row(run: Run, snapshot: Snapshot, card: Card | None) -> list[object]:
    """A run as the page's script reads it; see `dashboard.js` for the places."""
    return [
        run.issue_number,
        one_line(run.title),
        run.status.value,
        run.stage.value if run.stage and not run.status.terminal else "",
        run.attempt,
        age(snapshot.now - run.updated_at),
        instant(run.updated_at),
        _reason(run),
        run.id,
        run.branch,
        None if card is None else _details(card),
    ]


def _reason(run: Run) -> str:
    return one_line(f"{run.failure.kind.value}: {run.failure.message}") if run.failure else ""


def _details(card: Card) -> dict[str, object]:
    usage, run = card.usage, card.run
    cost = "cost not reported" if usage.cost is None else f"cost {usage.cost:,.2f}"
    first = [name for name in _OPENED if name in card.files]
    return {
        "headline": one_line(card.headline, 600),
        "next": one_line(run.failure.next_step, 400) if run.failure else "",
        "stages": [
            [_words(stage.value), round_, seconds] for stage, round_, seconds in card.timings
        ],
        "round": run.round,
        "effects": [
            [_words(name), state, flag, one_line(location or reason)]
            for name, state, flag, reason, location in card.effects
        ],
        "findings": [[severity, who, one_line(text, 400)] for severity, who, text in card.findings],
        "reasons": [one_line(reason, 400) for reason in card.reasons],
        "cost": f"{usage.calls} calls, {usage.tokens:,} tokens, {cost}",
        "files": [*first, *(name for name in card.files if name not in first)],
    }


def _words(name: str) -> str:
    return name.replace("_", " ")
