"""How names, instants and costs are worded for people: alike in every view."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Only for its type: a plain `status` does without the reports.
    from repoagents.domain.reports import Usage


def spoken(name: str) -> str:
    """A stable name as people say it: `in_progress` becomes `in progress`."""
    return name.replace("_", " ")


def minute(at: datetime | None) -> str:
    """An instant as people read it."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "at an unknown time"


def cost_of(usage: "Usage") -> str:
    """A cost in the currency of the engine, or that it named none."""
    return "not reported" if usage.cost is None else f"{usage.cost:.2f}"
