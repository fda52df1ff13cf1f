"""Charts where a person would rather look than read: SVG without script, style or address."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Protocol
from xml.etree import ElementTree

from markupsafe import Markup

from repoagents.domain.pulse import Part
from repoagents.domain.run import RunStatus
from repoagents.ports import Day
from repoagents.views.snapshot import Snapshot

DAYS = 30
OPTIONS: dict[str, object] = {
    "js": (),
    "css": (),
    "no_prefix": True,
    "width": 560,
    "height": 220,
    "margin": 4,
    "spacing": 8,
    "show_minor_x_labels": False,
    "legend_box_size": 10,
    "max_scale": 5,
    "truncate_legend": 24,
    "truncate_label": 24,
}
"""How the library draws; colours and type come from the page's style sheet."""

NAMESPACE = "http://www.w3.org/2000/svg"
LEFT_OUT = ("", "style", "script", "defs", "desc", "title")
"""Elements that do not come along; a comment has no name."""

GROUPS: tuple[tuple[str, str, tuple[RunStatus, ...]], ...] = (
    ("good", "done", (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL)),
    ("idle", "ended", (RunStatus.NO_CHANGE, RunStatus.CANCELLED, RunStatus.SUPERSEDED)),
    ("warn", "blocked", (RunStatus.BLOCKED,)),
    ("bad", "failed", (RunStatus.FAILED,)),
)
"""How outcomes are drawn: the class of the colour, the word, the statuses."""

QUEUE = (
    ("idle", RunStatus.QUEUED),
    ("busy", RunStatus.IN_PROGRESS),
    ("idle", RunStatus.RETRY_PENDING),
    ("warn", RunStatus.AWAITING_APPROVAL),
    ("warn", RunStatus.BLOCKED),
)


@dataclass(frozen=True)
class Chart:
    """A drawing, what it shows in words, and its numbers as a table: head and rows."""

    name: str
    title: str
    summary: str
    drawing: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Series = tuple[str, str, Sequence[float | None]]
"""The class of the colour, the name, and a value for each label."""


def draw_charts(snapshot: Snapshot) -> tuple[Chart, ...]:
    """Every chart that there are numbers for."""
    days = _filled(snapshot)
    found = [_queue(snapshot), _headroom(snapshot)]
    if any(day.outcomes or day.usage.calls for day in days):
        found = [_outcomes(days), _handoffs(days), _spend(days), *found]
    return tuple(chart for chart in found if chart is not None)


def _filled(snapshot: Snapshot) -> tuple[Day, ...]:
    """The last days without a gap, oldest first."""
    from repoagents.domain.reports import Usage

    known = {day.day: day for day in snapshot.days}
    today = snapshot.now.date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    return tuple(known.get(day, Day(day, {}, Usage(), ())) for day in days)


def _outcomes(days: Sequence[Day]) -> Chart:
    series = [
        (colour, word, [sum(day.outcomes.get(status, 0) for status in statuses) for day in days])
        for colour, word, statuses in GROUPS
    ]
    told = [f"{sum(values):g} {word}" for _, word, values in series]
    return Chart(
        "outcomes",
        "How runs ended",
        f"In the last {DAYS} days: {', '.join(told)}.",
        _bars(days, series, "{:g}".format),
        ("day", *(word for _, word, _ in series)),
        _rows(days, series, "{:g}"),
    )


def _handoffs(days: Sequence[Day]) -> Chart:
    minutes = [median(day.seconds) / 60 if day.seconds else None for day in days]
    every = sorted(second for day in days for second in day.seconds)
    told = f"the median run took {median(every) / 60:.1f} minutes" if every else "no run ended"
    series: list[Series] = [("busy", "minutes", minutes)]
    return Chart(
        "handoffs",
        "Time to handoff",
        f"In the last {DAYS} days {told}.",
        _bars(days, series, lambda value: f"{value:g} min"),
        ("day", "median minutes"),
        _rows(days, series, "{:.1f}"),
    )


def _spend(days: Sequence[Day]) -> Chart:
    """Money where the engine names any, tokens where it does not."""
    costs = [day.usage.cost for day in days]
    if any(cost for cost in costs):
        unit, form, values = "cost", "{:,.2f}", [cost or 0.0 for cost in costs]
    else:
        unit, form, values = "tokens", "{:,.0f}", [float(day.usage.tokens) for day in days]
    series: list[Series] = [("busy", unit, values)]
    return Chart(
        "spend",
        "Spent on agents",
        f"In the last {DAYS} days: {form.format(sum(values))} {unit}, "
        f"{sum(day.usage.calls for day in days):,} calls.",
        _bars(days, series, form.format),
        ("day", unit),
        _rows(days, series, form),
    )


def _queue(snapshot: Snapshot) -> Chart:
    counts = snapshot.counts or {}
    rows = [(colour, status.value, counts.get(status, 0)) for colour, status in QUEUE]
    told = ", ".join(f"{count} {word.replace('_', ' ')}" for _, word, count in rows)
    return Chart(
        "queue",
        "What is open now",
        f"{told}.",
        _lanes(rows),
        ("status", "runs"),
        tuple((word, str(count)) for _, word, count in rows),
    )


def _headroom(snapshot: Snapshot) -> Chart | None:
    """What GitHub still takes this hour; None where that is not known."""
    worker = next((pulse for pulse in snapshot.pulses if pulse.part is Part.WORKER), None)
    quota = worker.quota if worker else None
    if quota is None:
        return None
    used = max(quota.limit - quota.remaining, 0)
    return Chart(
        "headroom",
        "GitHub's rate limit",
        f"{quota.remaining:,} of {quota.limit:,} requests are left until "
        f"{quota.reset_at:%H:%M} UTC.",
        _lanes([("good", "left", quota.remaining), ("idle", "used", used)]),
        ("requests", "number"),
        (("left", f"{quota.remaining:,}"), ("used", f"{used:,}")),
    )


def _rows(days: Sequence[Day], series: Sequence[Series], form: str) -> tuple[tuple[str, ...], ...]:
    """The days on which something was, as cells."""
    rows = []
    for place, day in enumerate(days):
        values = [values[place] for _, _, values in series]
        if any(values):
            rows.append((day.day.isoformat(), *(form.format(value or 0) for value in values)))
    return tuple(rows)


# --- drawing ------------------------------------------------------------------------------------


def _bars(days: Sequence[Day], series: Sequence[Series], told: Callable[[float], str]) -> Markup:
    """Bars per day, stacked."""
    import pygal

    several = len(series) > 1
    graph = pygal.StackedBar(
        **OPTIONS, value_formatter=told, show_legend=several, x_labels_major_every=7
    )
    graph.x_labels = [f"{day.day:%d %b}" for day in days]
    for _, name, values in series:
        graph.add(name, values)
    root = _bare(graph)
    for place, (colour, _, _) in enumerate(series):
        for element in _of_class(root, f"color-{place}"):
            _paint(element, colour)
    return _text_of(root)


def _lanes(lanes: Sequence[tuple[str, str, int]]) -> Markup:
    """One lying bar for each name, the first at the top, with its number beside it."""
    import pygal

    lanes = list(reversed(lanes))
    graph = pygal.HorizontalBar(
        **OPTIONS,
        value_formatter="{:,.0f}".format,
        show_legend=False,
        print_values=True,
        show_y_guides=False,
    )
    graph.x_labels = [name.replace("_", " ") for _, name, _ in lanes]
    graph.add("", [value for _, _, value in lanes])
    root = _bare(graph)
    for element, (colour, _, _) in zip(_of_class(root, "bar"), lanes, strict=True):
        _paint(element, colour)
    return _text_of(root)


class Graph(Protocol):
    """A chart of the library."""

    def render_tree(self) -> ElementTree.Element:
        """The drawing."""


def _bare(graph: Graph) -> ElementTree.Element:
    """The drawing without what a strict policy would refuse, and what only scripts use."""
    root = graph.render_tree()
    for element in list(root.iter()):
        element.attrib.pop("style", None)
        for child in list(element):
            name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
            if name in LEFT_OUT or "tooltip" in child.get("class", "").split():
                element.remove(child)
    root.attrib.pop("id", None)
    root.set("class", "chart")
    # The figure around it tells what it shows.
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return root


def _of_class(root: ElementTree.Element, word: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if word in element.get("class", "").split()]


def _paint(element: ElementTree.Element, colour: str) -> None:
    element.set("class", f"{element.get('class')} {colour}")


def _text_of(root: ElementTree.Element) -> Markup:
    ElementTree.register_namespace("", NAMESPACE)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - drawn here
