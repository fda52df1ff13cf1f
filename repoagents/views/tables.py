"""What `status` and the dashboard show, as rows and as Markdown: to be read anywhere."""

from dataclasses import replace

from repoagents.views.charts import draw_charts
from repoagents.views.markdown import document, fenced, inline, neutral, section, table
from repoagents.views.snapshot import Snapshot, instant, snapshot_row
from repoagents.views.text import render_status

LISTED = 500
"""How many runs are listed."""

_WIDTH = 120


def status_row(snapshot: Snapshot) -> dict[str, object]:
    """`status.json`: what `status --json` answers."""
    listed = replace(snapshot, runs=snapshot.runs[:LISTED])
    return {"rehearsal": snapshot.rehearsal, **snapshot_row(listed)}


def render_status_report(snapshot: Snapshot) -> str:
    """`status.md`: what `status` prints."""
    runs = snapshot.runs[:LISTED]
    shown = render_status(
        runs, snapshot.counts, snapshot.now, _WIDTH, snapshot.holder, snapshot.pulses
    )
    return document("# Runs", fenced(shown), rehearsal=snapshot.rehearsal)


def dashboard_row(snapshot: Snapshot) -> dict[str, object]:
    """`dashboard.json`: the dashboard's charts as numbers, and its cards."""
    return {
        "rehearsal": snapshot.rehearsal,
        "rendered_at": instant(snapshot.now),
        "repo": snapshot.repo,
        "charts": [
            {
                "name": chart.name,
                "title": chart.title,
                "summary": chart.summary,
                "rows": [dict(zip(chart.head, row, strict=True)) for row in chart.rows],
            }
            for chart in draw_charts(snapshot)
        ],
        "cards": [
            {"issue": card.run.issue_number, "run": card.run.id, "headline": card.headline}
            for card in snapshot.cards
        ],
    }


def render_dashboard_report(snapshot: Snapshot) -> str:
    """`dashboard.md`: the same to read where no browser is."""
    charts = (
        section(chart.title, neutral(chart.summary), table(chart.head, chart.rows))
        for chart in draw_charts(snapshot)
    )
    cards = [
        (f"#{card.run.issue_number}", card.run.status.value, inline(card.headline, 300))
        for card in snapshot.cards
    ]
    runs = table(("issue", "status", "what happened, and what is asked"), cards) if cards else ""
    return document("# Dashboard", *charts, section("Runs", runs), rehearsal=snapshot.rehearsal)
