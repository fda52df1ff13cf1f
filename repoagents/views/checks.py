"""The doctor's checks: as text for a terminal, and as Markdown for a report."""

from collections.abc import Sequence

from repoagents.domain.check import Check
from repoagents.views.layout import hanging
from repoagents.views.markdown import code, document, inline, table


def render_checks(checks: Sequence[Check], width: int) -> str:
    """One line per check, with why and fix below those that are not in order, folded to fit."""
    lines = []
    for check in checks:
        lines += hanging(f"{check.status:<6}", f"{check.name}: {check.message}", width)
        lines += hanging("      why: ", check.why, width) if check.why else []
        lines += hanging("      fix: ", check.fix, width) if check.fix else []
    lines.append(_sum(checks))
    return "\n".join(lines)


def render_checks_report(checks: Sequence[Check], rehearsal: str) -> str:
    """The same as Markdown; what was made from a fixture says so on its first line."""
    rows = [
        (c.status, inline(c.name), inline(c.message), inline(c.why), code(c.fix) if c.fix else "")
        for c in checks
    ]
    return document(
        "# What a run depends on",
        _sum(checks),
        table(("status", "check", "found", "why", "fix"), rows),
        rehearsal=rehearsal,
    )


def _sum(checks: Sequence[Check]) -> str:
    count = {status: sum(c.status == status for c in checks) for status in ("error", "warn")}
    ready = "ready" if not count["error"] else "not ready"
    return f"{ready}: {count['error']} in error, {count['warn']} to look at"
