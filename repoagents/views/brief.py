"""The brief: how things stand in one line, at most five points, and what to type next."""

from collections.abc import Sequence

from repoagents.policy.attention import MOST, Concern, Standing
from repoagents.policy.wording import one_line
from repoagents.views.layout import hanging
from repoagents.views.markdown import code, document, inline, neutral, section, table
from repoagents.views.snapshot import Snapshot, instant
from repoagents.views.words import minute

_INDENT = " " * 10


def shortlist(standing: Standing) -> tuple[Sequence[Concern], int]:
    """The concerns that a first page has room for, and how many more there are."""
    shown = standing.concerns[:MOST]
    return shown, len(standing.concerns) - len(shown)


def brief_row(snapshot: Snapshot, standing: Standing) -> dict[str, object]:
    """The brief as `ops-brief.json` holds it; `more` counts the points that are left out."""
    shown, more = shortlist(standing)
    return {
        "rehearsal": snapshot.rehearsal,
        "rendered_at": instant(snapshot.now),
        "repo": snapshot.repo,
        "level": standing.level.value,
        "headline": standing.headline,
        "findings": [concern_row(concern) for concern in shown],
        "more": more,
    }


def concern_row(concern: Concern) -> dict[str, str]:
    """A concern as the reports' JSON shows it."""
    return {
        "code": concern.code,
        "severity": concern.weight.value,
        "title": concern.title,
        "evidence": concern.evidence,
        "next_command": concern.command,
    }


def render_brief(snapshot: Snapshot, standing: Standing) -> str:
    """The brief as Markdown; what was made from a fixture says so on its first line."""
    shown, more = shortlist(standing)
    return document(
        f"# {standing.level.value.capitalize()}",
        neutral(standing.headline),
        section(
            "What to look at",
            concern_table(shown) or "Nothing.",
            f"{more} more in ops-status.md." if more else "",
        ),
        f"{inline(snapshot.repo)}, {minute(snapshot.now)}.",
        rehearsal=snapshot.rehearsal,
    )


def render_brief_text(snapshot: Snapshot, standing: Standing, width: int) -> str:
    """The brief for a terminal: the level and headline, then each point with what to type."""
    shown, more = shortlist(standing)
    lines = [snapshot.rehearsal, ""] if snapshot.rehearsal else []
    level = standing.level.value
    said = one_line(standing.headline, 500).removeprefix(f"{level.capitalize()}: ")
    lines += hanging(f"{level:<10}", said, width)
    for point in shown:
        lines += ["", *hanging(f"{point.weight.value:<10}", one_line(point.title), width)]
        lines += hanging(_INDENT, one_line(point.evidence, 300), width)
        lines += [f"{_INDENT}$ {one_line(point.command, 500)}"] if point.command else []
    if more:
        lines += ["", f"{more} more in ops-status.md"]
    return "\n".join([*lines, "", f"{one_line(snapshot.repo)}, {minute(snapshot.now)}"])


def concern_table(concerns: Sequence[Concern]) -> str:
    """Concerns as a Markdown table; empty without one."""
    rows = [
        (c.weight.value, neutral(c.title), inline(c.evidence, 300), code(c.command))
        for c in concerns
    ]
    return table(("weight", "what", "evidence", "next command"), rows) if rows else ""
