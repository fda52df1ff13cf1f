"""A role's report as a person reads it, and as JSON with the promised field names."""

from dataclasses import asdict, fields
from enum import Enum

from repoagents.domain.reports import BuildReport, Plan, Review, Role
from repoagents.views.documents import render_json
from repoagents.views.markdown import inline

_ITEM_LIMIT = 20_000


def report_json(report: object) -> str:
    """Any report value (a dataclass) as readable JSON; field names are its attributes."""
    if not hasattr(report, "__dataclass_fields__"):
        raise TypeError(f"{type(report).__name__} is not a report")
    return render_json(asdict(report), plain=_plain) + "\n"  # type: ignore[call-overload]


def _plain(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)


def render_report(role: Role, report: Plan | BuildReport | Review) -> str:
    """A role's report as Markdown: one section per field that says something."""
    lines = [f"# {role.value}", ""]
    for spec in fields(report):
        value = getattr(report, spec.name)
        if value in ("", ()):
            continue
        lines += [f"## {spec.name.replace('_', ' ')}", ""]
        lines += (
            [f"- {_item(item)}" for item in value] if isinstance(value, tuple) else [_item(value)]
        )
        lines.append("")
    return "\n".join(lines)


def _item(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if hasattr(value, "__dataclass_fields__"):
        parts = (getattr(value, name) for name in value.__dataclass_fields__)
        return " · ".join(_item(part) for part in parts)
    return inline(str(value), _ITEM_LIMIT)
