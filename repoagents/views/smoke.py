"""The report of `github smoke`: its JSON row, and as Markdown for people."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime

from repoagents.domain.smoke import (
    BranchPolicy,
    IssueRow,
    Issues,
    Level,
    Overall,
    Section,
    Smoke,
)
from repoagents.policy.wording import one_line
from repoagents.views.layout import hanging
from repoagents.views.markdown import bullets, code, document, inline, neutral, section, table
from repoagents.views.snapshot import instant
from repoagents.views.words import minute, spoken

TITLES = {
    "auth": "Credential",
    "repo_access": "Repository",
    "branch_policy": "Branch",
    "origin": "Origin",
    "publish": "Writes",
    "issues": "Issues",
}
HEADS = {
    Overall.CLEAN: "GitHub is as the bot needs it",
    Overall.ATTENTION: "GitHub needs a look",
    Overall.ISSUES: "GitHub is not as the bot needs it",
}
LITERAL = ("account", "full_name", "default_branch", "remote_url", "repo_slug")
"""Values that people copy: shown to the letter."""

_SHOWN = 20
_INDENT = " " * 11

Fact = tuple[str, str]


def smoke_row(smoke: Smoke) -> dict[str, object]:
    """The report as `github-smoke.json` holds it."""
    return {field.name: _plain(getattr(smoke, field.name)) for field in fields(smoke)}


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return instant(value) if isinstance(value, datetime) else value


def render_smoke(smoke: Smoke) -> str:
    """The report as Markdown; what was made from a fixture says so on its first line."""
    meta, summary = smoke.meta, smoke.summary
    origin = f"the fixture {code(meta.fixture_path)}" if meta.fixture_path else "GitHub itself"
    return document(
        f"# {HEADS[summary.status]}",
        f"{summary.status.value}: {neutral(summary.message)}",
        table(("part", "status"), [(TITLES[n], part.status.value) for n, part in smoke.parts()]),
        *(_section(TITLES[name], part) for name, part in smoke.parts()),
        section("Sampled issue", _sampled(smoke.sampled_issue)),
        f"{inline(meta.tracker_repo)}, {minute(meta.rendered_at)}, from {origin}.",
        rehearsal=meta.rehearsal,
    )


def render_smoke_text(smoke: Smoke, width: int) -> str:
    """The report for a terminal: each part's status, and what was found with its fix."""
    meta, summary = smoke.meta, smoke.summary
    lines = [meta.rehearsal, ""] if meta.rehearsal else []
    lines += hanging(f"{summary.status.value:<11}", f"{HEADS[summary.status]}.", width)
    lines += [*hanging(_INDENT, one_line(summary.message, 500), width), ""]
    for name, part in smoke.parts():
        lines.append(f"{part.status.value:<11}{TITLES[name]}")
        for point in part.warnings:
            lines += hanging(_INDENT, one_line(point.message, 300), width)
            lines += (
                hanging(f"{_INDENT}fix: ", one_line(point.fix, 500), width) if point.fix else []
            )
    row = smoke.sampled_issue
    if row is not None:
        taken = "would be taken up" if row.eligible else f"is left: {one_line(row.reason, 300)}"
        told = f"#{row.number} {one_line(row.title, 120)}: {taken}"
        lines += ["", *hanging("looked at  ", told, width)]
    return "\n".join([*lines, "", f"{one_line(meta.tracker_repo)}, {minute(meta.rendered_at)}"])


def _section(title: str, part: Section) -> str:
    facts = [f"{name}: {value}" for name, value in _facts(part) if value]
    rows = [
        (
            "to know" if point.level is Level.OK else point.level.value,
            inline(point.message, 300),
            code(point.fix) if point.fix else "",
        )
        for point in part.warnings
    ]
    listed = _rows(part.sampled) if isinstance(part, Issues) else ""
    found = table(("level", "found", "fix"), rows) if rows else ""
    return section(title, bullets(facts), found, listed)


def _facts(part: Section) -> Iterator[Fact]:
    """A section's own values, in words; those that are unknown or empty are left out."""
    if isinstance(part, BranchPolicy):
        yield from _branch(part)
        return
    if isinstance(part, Issues):
        yield "open", f"{part.count} or more" if part.more else str(part.count)
        yield "label", code(part.label) if part.label else ""
        return
    for field in fields(part):
        value = getattr(part, field.name)
        if field.name in LITERAL:
            yield spoken(field.name), code(value) if value else ""
        elif field.name not in ("status", "warnings") and value is not None:
            yield spoken(field.name), _word(value)


def _branch(part: BranchPolicy) -> Iterator[Fact]:
    unknown = "not told" if part.protected is not None else ""
    branches = (part.default_branch, part.base_branch, part.local_branch)
    names = ("default branch", "changes start from", "the checkout is on")
    for name, branch in zip(names, branches, strict=True):
        yield name, code(branch) if branch else ""
    yield "protected", _word(part.protected)
    reviews = part.required_reviews
    yield "required reviews", unknown if reviews is None else str(reviews)
    checks = part.required_checks
    yield "required checks", unknown if checks is None else _word(checks) or "none"
    yield "rulesets", _word(part.rulesets)
    yield "their rules", _word(part.rules)
    for reason in part.unread:
        yield "not read", inline(reason, 300)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(inline(str(item), 100) for item in value)
    if isinstance(value, datetime):
        return instant(value) or ""
    return "" if value is None else inline(str(value))


def _rows(rows: Sequence[IssueRow]) -> str:
    shown = [
        (f"#{row.number}", inline(row.title, 80), "yes" if row.eligible else inline(row.reason))
        for row in rows[:_SHOWN]
    ]
    return table(("issue", "title", "eligible"), shown) if shown else ""


def _sampled(row: IssueRow | None) -> str:
    if row is None:
        return "None."
    taken = "would be taken up" if row.eligible else f"is left: {inline(row.reason, 300)}"
    labels = f"labels: {_word(row.labels)}" if row.labels else "no label"
    lines = (f"#{row.number} {inline(row.title, 120)}", inline(row.url), labels, taken)
    return bullets(filter(None, lines))
