"""The state of operations: all that a snapshot holds, for a person who was not there."""

from collections.abc import Iterator

from repoagents.domain.reports import Usage
from repoagents.policy.attention import Standing
from repoagents.policy.wording import age
from repoagents.views.brief import concern_row, concern_table
from repoagents.views.markdown import bullets, code, document, inline, neutral, section, table
from repoagents.views.snapshot import Card, Snapshot, effect_row, stage_row
from repoagents.views.tables import status_row
from repoagents.views.text import signs_of_life
from repoagents.views.words import cost_of, minute

_SHOWN = 50


def ops_status_row(snapshot: Snapshot, standing: Standing) -> dict[str, object]:
    """The report as `ops-status.json` holds it: what `status --json` has, and more."""
    caps = snapshot.caps
    return {
        **status_row(snapshot),
        "repo": snapshot.repo,
        "version": snapshot.version,
        "installation": snapshot.installation,
        "level": standing.level.value,
        "headline": standing.headline,
        "flags": dict(snapshot.flags),
        "free_bytes": snapshot.free_bytes,
        "total_runs": snapshot.total,
        "spent": {"hour": _usage_row(caps.hour), "day": _usage_row(caps.day)},
        "limits": dict(caps.limits),
        "days": [
            {
                "day": day.day.isoformat(),
                "outcomes": {status.value: count for status, count in day.outcomes.items()},
                "spent": _usage_row(day.usage),
                "seconds": list(day.seconds),
            }
            for day in snapshot.days
        ],
        "findings": [concern_row(concern) for concern in standing.concerns],
        "details": [_card_row(card) for card in snapshot.cards],
    }


def _usage_row(usage: Usage) -> dict[str, object]:
    return {"calls": usage.calls, "tokens": usage.tokens, "cost": usage.cost}


def _card_row(card: Card) -> dict[str, object]:
    finding = ("severity", "source", "message")
    return {
        "run": card.run.id,
        "headline": card.headline,
        "waits": card.waits,
        "stages": [stage_row(timing) for timing in card.timings],
        "effects": [effect_row(effect) for effect in card.effects],
        "findings": [dict(zip(finding, row, strict=True)) for row in card.findings],
        "reasons": list(card.reasons),
        "spent": _usage_row(card.usage),
        "artifacts": [f"artifacts/{card.folder}/{name}" for name in card.files],
    }


def render_ops_status(snapshot: Snapshot, standing: Standing) -> str:
    """The report as Markdown; what was made from a fixture says so on its first line."""
    return document(
        "# Operations",
        neutral(standing.headline),
        section("Points", concern_table(standing.concerns) or "None."),
        section("Now", bullets(_now(snapshot))),
        section("Runs", *_runs(snapshot)),
        section("Spent and allowed", _spent(snapshot)),
        section("Days", _days(snapshot)),
        f"{inline(snapshot.repo)}, {minute(snapshot.now)}, repoagents {snapshot.version}.",
        rehearsal=snapshot.rehearsal,
    )


def _now(snapshot: Snapshot) -> Iterator[str]:
    yield inline(snapshot.holder) or "no worker is live; `repoagents run` starts one"
    yield from (inline(line) for line in signs_of_life(snapshot.pulses, snapshot.now))
    on = [code(name) for name, is_on in snapshot.flags.items() if is_on]
    yield f"allowed: {', '.join(on)}" if on else "every write is withheld: all flags are off"
    if snapshot.free_bytes is not None:
        yield f"{snapshot.free_bytes / 1e9:.1f} GB free on the disk"


def _runs(snapshot: Snapshot) -> Iterator[str]:
    totals = [f"{count} {status.value}" for status, count in snapshot.counted]
    yield ", ".join(totals) or "No run yet."
    rows = [
        (
            f"#{run.issue_number}",
            run.status.value,
            run.stage.value if run.stage and not run.status.terminal else "",
            age(snapshot.now - run.updated_at),
            inline(run.title, 80),
            inline(f"{run.failure.kind.value}: {run.failure.message}", 160) if run.failure else "",
        )
        for run in snapshot.runs[:_SHOWN]
    ]
    if rows:
        yield table(("issue", "status", "stage", "changed ago", "title", "reason"), rows)
    if snapshot.total > len(rows):
        yield f"The newest {len(rows)} of {snapshot.total}; all are in the state."


def _spent(snapshot: Snapshot) -> str:
    caps = snapshot.caps
    rows = [
        ("last hour", str(caps.hour.calls), f"{caps.hour.tokens:,}", cost_of(caps.hour)),
        ("last 24 hours", str(caps.day.calls), f"{caps.day.tokens:,}", cost_of(caps.day)),
    ]
    spent = table(("window", "calls", "tokens", "cost"), rows)
    limits = table(
        ("limit", "value"), [(code(key), f"{value:,}") for key, value in caps.limits.items()]
    )
    return f"{spent}\n\n{limits}"


def _days(snapshot: Snapshot) -> str:
    rows = [
        (
            day.day.isoformat(),
            ", ".join(f"{count} {status.value}" for status, count in day.outcomes.items()),
            str(day.usage.calls),
            f"{day.usage.tokens:,}",
            cost_of(day.usage),
        )
        for day in reversed(snapshot.days)
    ]
    return table(("day", "ended", "calls", "tokens", "cost"), rows) if rows else ""
