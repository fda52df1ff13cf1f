"""The dashboard: one static page that shows every run, to search, to filter and to watch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from repoagents.domain.pulse import Part
from repoagents.domain.reports import Usage
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.policy.attention import Standing
from repoagents.policy.wording import age, clean, one_line
from repoagents.views import tones
from repoagents.views.brief import shortlist
from repoagents.views.charts import draw_charts
from repoagents.views.headline import ASKED
from repoagents.views.html import embed, link, render_page
from repoagents.views.permits import permits_of, why_held
from repoagents.views.snapshot import Card, Snapshot, instant
from repoagents.views.text import newest_of_each, signs_of_life
from repoagents.views.words import cost_of, spoken

REFRESHES = (0, 10, 30, 60, 120)
"""What the page offers, in seconds; 0 is off."""

FIRST = 50
"""How many runs are at hand when the page opens; the others are read when somebody looks."""

PLAIN = 50
"""How many runs are shown where there is no JavaScript."""

KEPT = 20_000
"""How many runs' texts are kept for the next page."""

KINDS = {
    Stage.BASE_CHECK: "check",
    Stage.VERIFY: "check",
    Stage.PLAN: "role",
    Stage.BUILD: "role",
    Stage.REVIEW: "role",
}
"""What does the work of a stage: an agent, a check of the project, or else code of ours."""

OPENED_FIRST = ("handoff.html", "handoff.md", "changes.patch")


@dataclass(frozen=True)
class Meter:
    """How much of a limit is used: `share` in percent, and the class of its colour."""

    name: str
    told: str
    share: float
    colour: str


def render_dashboard(
    snapshot: Snapshot, standing: Standing, *, refresh: int = 0, artifacts: str | None = None
) -> str:
    """The page. `refresh` is how often it reloads itself, in seconds, until somebody chooses.

    `artifacts` is the address of the artifacts' folder as seen from the page; without it, no run's
    files are linked.
    """
    cards = {card.run.id: card for card in snapshot.cards}
    listed = {run.id for run in snapshot.runs}
    # Old runs that need somebody are told as well, wherever the list ends.
    runs = snapshot.runs + tuple(c.run for c in snapshot.cards if c.run.id not in listed)
    rows = [_row(run, snapshot, cards.get(run.id)) for run in runs]
    counts, (concerns, more) = snapshot.counts, shortlist(standing)
    return render_page(
        "dashboard.html",
        {
            "rehearsal": snapshot.rehearsal,
            "snapshot": snapshot,
            "standing": standing,
            "level": tones.LEVELS[standing.level],
            "weights": tones.WEIGHTS,
            "concerns": concerns,
            "more": more,
            "made_at": instant(snapshot.now),
            "signs": list(signs_of_life(snapshot.pulses, snapshot.now)),
            "meters": list(_meters(snapshot)),
            "permits": list(permits_of(snapshot)),
            "held": why_held(snapshot),
            "statuses": [
                (status.value, spoken(status), tones.STATUSES[status], counts.get(status, 0))
                for status in RunStatus
            ],
            "charts": draw_charts(snapshot),
            "refreshes": sorted({*REFRESHES, refresh}),
            "refresh": refresh,
            "plain": [(run, spoken(run.status.value), _reason(run)) for run in runs[:PLAIN]],
            "options": {
                "artifacts": artifacts,
                "colours": tones.STATUSES,
                "total": max(snapshot.total, len(runs)),
                "listed": len(runs),
                "made": int(snapshot.now.timestamp()),
                "refresh": refresh,
            },
            # Joined as text: what is marked up already would be looked at once more, run by run.
            "first": Markup(",".join(rows[:FIRST])),  # noqa: S704 - each is embedded
            "rest": Markup(",".join(rows[FIRST:])),  # noqa: S704 - as above
        },
        script="dashboard.js",
        style="dashboard.css",
    )


def _meters(snapshot: Snapshot) -> Iterator[Meter]:
    """What was used of each limit that is set, and of GitHub's."""
    caps = snapshot.caps
    cost, unknown = caps.day.cost if caps.day.calls else 0.0, cost_of(caps.day)
    used: tuple[tuple[str, str, float | None, str], ...] = (
        ("Calls, last hour", "limits.calls_per_hour", float(caps.hour.calls), "{:,.0f}"),
        ("Tokens, last day", "limits.tokens_per_day", float(caps.day.tokens), "{:,.0f}"),
        ("Cost, last day", "limits.cost_per_day", cost, "{:,.2f}"),
        ("Open pull requests", "limits.open_pull_requests", float(snapshot.open_pulls), "{:,.0f}"),
    )
    for name, key, amount, form in used:
        limit = caps.limits.get(key, 0)
        if limit:
            told = unknown if amount is None else f"{form.format(amount)} of {form.format(limit)}"
            yield _meter(name, told, (amount or 0) / limit)
    worker = next((pulse for pulse in snapshot.pulses if pulse.part is Part.WORKER), None)
    quota = worker.quota if worker else None
    if quota and quota.limit and quota.reset_at > snapshot.now:
        spent = max(quota.limit - quota.remaining, 0)
        yield _meter("GitHub requests", f"{spent:,} of {quota.limit:,}", spent / quota.limit)


def _meter(name: str, told: str, share: float) -> Meter:
    colour = "bad" if share >= 1 else "warn" if share >= 0.8 else "busy"
    return Meter(name, told, round(min(share, 1) * 100, 1), colour)


# --- runs ---------------------------------------------------------------------------------------


def _row(run: Run, snapshot: Snapshot, card: Card | None) -> str:
    """A run as the page's script reads it; see `dashboard.js` for the places."""
    if card is None:
        return _short(run)
    return f"{_short(run)[:-1]},{embed(_details(card, snapshot))}]"


@lru_cache(maxsize=KEPT)
def _short(run: Run) -> str:
    """A run's row without details, kept: of thousands of runs, a moment changes one."""
    return str(
        embed(
            [
                run.issue_number,
                one_line(run.title),
                run.status.value,
                run.attempt,
                int(run.updated_at.timestamp()),
                _reason(run),
                run.id,
                run.branch,
            ]
        )
    )


def _reason(run: Run) -> str:
    return one_line(f"{run.failure.kind.value}: {run.failure.message}") if run.failure else ""


def _details(card: Card, snapshot: Snapshot) -> dict[str, object]:
    run = card.run
    happened, asked = _story(card, live=bool(snapshot.holder))
    told: dict[str, object] = {
        "happened": happened,
        "asked": asked,
        "waits": card.waits,
        "stages": [
            [spoken(stage.value), KINDS.get(stage, "code"), round_, round(seconds, 1)]
            for stage, round_, seconds in newest_of_each(card.timings)
        ],
        "running": _running(run, snapshot),
        "rounds": [run.round, run.round_limit],
        "effects": [_effect(*row) for row in card.effects],
        "findings": [
            [severity, tones.SEVERITIES.get(severity, "idle"), who, one_line(text, 400)]
            for severity, who, text in card.findings
        ],
        "reasons": [one_line(reason, 400) for reason in card.reasons],
        "usage": _usage(card.usage),
        "facts": [[name, value] for name, value in _facts(run) if value],
        "files": [clean(name) for name in _in_order(card.files)],
    }
    return {name: value for name, value in told.items() if value}


def _story(card: Card, *, live: bool) -> tuple[str, str]:
    """What happened, with the reason that a headline leaves to the page below; what is asked."""
    run = card.run
    if run.status is RunStatus.IN_PROGRESS and not live:
        where = spoken(run.stage.value) if run.stage else "its start"
        return f"stands at {where}: no worker is live.", "`repoagents run` goes on with it"
    happened, _, asked = one_line(card.headline, 900).partition(ASKED)
    happened = happened.removeprefix(f"Issue #{run.issue_number}: ").strip()
    if run.status is RunStatus.BLOCKED and run.failure is not None:
        short = happened.removesuffix(".")
        reason = one_line(run.failure.message, 400).removeprefix(f"{short}: ")
        happened = happened if reason in short else f"{short}: {reason}"
    return happened, asked.removesuffix(".")


def _effect(name: str, state: str, flag: str, reason: str, location: str) -> list[str]:
    """Name, state, colour, flag, what is told, and the address where it is one."""
    told = location or reason
    return [
        spoken(name),
        state,
        tones.EFFECTS.get(state, "idle"),
        flag,
        one_line(told),
        link(location),
    ]


def _running(run: Run, snapshot: Snapshot) -> list[object]:
    """The stage under way: name, kind, round, seconds so far; empty where nobody works on it."""
    if run.status is not RunStatus.IN_PROGRESS or run.stage is None or not snapshot.holder:
        return []
    since = run.stage_started_at or run.updated_at
    seconds = max((snapshot.now - since).total_seconds(), 0.0)
    return [spoken(run.stage.value), KINDS.get(run.stage, "code"), run.round, round(seconds, 1)]


def _usage(usage: Usage) -> str:
    if not usage.calls and not usage.tokens and not usage.cost:
        return ""
    words = f"{usage.calls} {'call' if usage.calls == 1 else 'calls'}"
    words += f", {usage.tokens:,} tokens" if usage.tokens else ""
    return words if usage.cost is None else f"{words}, cost {usage.cost:,.2f}"


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    yield "run", run.id
    yield "branch", one_line(run.branch)
    yield "base", run.base_sha[:12]
    yield "head", run.head_sha[:12]
    yield "note", one_line(run.note)
    yield "asked by", one_line(run.asked_by)
    if run.started_at is not None and run.finished_at is not None:
        yield "took", age(run.finished_at - run.started_at)


def _in_order(names: tuple[str, ...]) -> Iterator[str]:
    """What is read first, first."""
    yield from (name for name in OPENED_FIRST if name in names)
    yield from (name for name in names if name not in OPENED_FIRST)
