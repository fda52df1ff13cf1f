"""Charts where a person would rather look than read: SVG without script, style or address."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, lru_cache
from math import ceil, floor, log10
from statistics import median
from types import ModuleType
from typing import Protocol
from xml.etree import ElementTree

from markupsafe import Markup

from repoagents.domain.reports import Usage
from repoagents.domain.run import RunStatus
from repoagents.ports import Day
from repoagents.views import tones
from repoagents.views.snapshot import Snapshot
from repoagents.views.words import spoken

DAYS = 30
LEAST, MOST = 1e-6, 1e12
"""What is less counts as nothing, and what is more as wrong."""

WIDTH, HEIGHT, LANE = 270, 140, 28
"""Of a drawing, and of a horizontal bar: about as large as it is shown, so that it can be read."""

OPTIONS: dict[str, object] = {
    "js": (),
    "css": (),
    "no_prefix": True,
    "width": WIDTH,
    "margin": 4,
    "margin_right": 14,
    "spacing": 6,
    "show_legend": False,
    "truncate_label": 24,
}
"""How the library draws; colours and type come from the page's style sheet."""

NAMESPACE = "http://www.w3.org/2000/svg"
LEFT_OUT = ("", "style", "script", "defs", "desc", "title")
"""Elements that do not come along; a comment has no name."""

GROUPS: tuple[tuple[str, str, tuple[RunStatus, ...]], ...] = (
    ("good", "done", (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL)),
    ("idle", "other", (RunStatus.NO_CHANGE, RunStatus.CANCELLED, RunStatus.SUPERSEDED)),
    ("warn", "blocked", (RunStatus.BLOCKED,)),
    ("bad", "failed", (RunStatus.FAILED,)),
)
"""How outcomes are drawn: the class of the colour, the word, the statuses."""

QUEUE = (
    RunStatus.QUEUED,
    RunStatus.IN_PROGRESS,
    RunStatus.RETRY_PENDING,
    RunStatus.AWAITING_APPROVAL,
    RunStatus.BLOCKED,
)
"""What is open, in the order in which a run passes through it."""


@dataclass(frozen=True)
class Chart:
    """A drawing, what it shows in words, and its numbers as a table: head and rows.

    `legend` tells the colours: class, and number and word; empty where there is but one colour.
    """

    name: str
    title: str
    summary: str
    drawing: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[str, str], ...] = ()


Series = tuple[str, str, tuple[float, ...]]
"""The class of the colour, the name, and a value for each day."""


def draw_charts(snapshot: Snapshot) -> tuple[Chart, ...]:
    """Every chart that there are numbers for."""
    days = _filled(snapshot)
    found = (_outcomes(days), _handoffs(days), _spend(days), _queue(snapshot))
    return tuple(chart for chart in found if chart is not None)


def _filled(snapshot: Snapshot) -> tuple[Day, ...]:
    """The last days without a gap, oldest first."""
    known = {day.day: _sound(day) for day in snapshot.days}
    today = snapshot.now.date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    return tuple(known.get(day, Day(day, {}, Usage(), ())) for day in days)


def _sound(day: Day) -> Day:
    """The day without numbers that no chart can show: a clock set back makes a time negative."""
    cost = day.usage.cost
    if cost is not None and not LEAST <= cost < MOST:
        cost = 0.0
    seconds = tuple(second if LEAST <= second < MOST else 0.0 for second in day.seconds)
    return replace(day, seconds=seconds, usage=replace(day.usage, cost=cost))


def _outcomes(days: Sequence[Day]) -> Chart | None:
    every = [
        (colour, word, tuple(float(sum(day.outcomes.get(s, 0) for s in group)) for day in days))
        for colour, word, group in GROUPS
    ]
    series = tuple(one for one in every if any(one[2]))
    if not series:
        return None
    number = sum(sum(values) for *_, values in series)
    return Chart(
        "outcomes",
        "How runs ended",
        f"{number:,g} {'run' if number == 1 else 'runs'} in {DAYS} days",
        _bars(_labels(days), series, "{:g}"),
        ("day", *(word for _, word, _ in series)),
        _rows(days, series, "{:g}"),
        tuple((colour, f"{sum(values):,g} {word}") for colour, word, values in series),
    )


def _handoffs(days: Sequence[Day]) -> Chart | None:
    every = [second for day in days for second in day.seconds]
    if not any(every):
        return None
    longest = max(median(day.seconds) for day in days if day.seconds)
    size, unit = (3600, "hours") if longest > 2 * 3600 else (60, "minutes")
    if longest < size:
        size, unit = 1, "seconds"
    values = tuple(median(day.seconds) / size if day.seconds else 0.0 for day in days)
    series: tuple[Series, ...] = (("busy", unit, values),)
    return Chart(
        "handoffs",
        "Time to handoff",
        f"the median of {len(every):,} in {DAYS} days: {median(every) / size:.1f} {unit}",
        _bars(_labels(days), series, "{:.1f}"),
        ("day", f"median, {unit}"),
        _rows(days, series, "{:.1f}"),
    )


def _spend(days: Sequence[Day]) -> Chart | None:
    """Money where the engine names any, tokens where it does not."""
    costs = [day.usage.cost or 0.0 for day in days]
    unit, form, values = "cost", "{:,.2f}", tuple(costs)
    if not any(costs):
        unit, form, values = "tokens", "{:,.0f}", tuple(float(day.usage.tokens) for day in days)
    if not any(values):
        return None
    calls = sum(day.usage.calls for day in days)
    series: tuple[Series, ...] = (("busy", unit, values),)
    return Chart(
        "spend",
        f"Spent on agents, {unit}",
        f"{form.format(sum(values))} for {calls:,} calls in {DAYS} days",
        _bars(_labels(days), series, form),
        ("day", unit),
        _rows(days, series, form),
    )


def _queue(snapshot: Snapshot) -> Chart | None:
    rows = tuple(
        (tones.STATUSES[status], spoken(status), snapshot.counts[status])
        for status in QUEUE
        if snapshot.counts.get(status)
    )
    if not rows:
        return None
    number = sum(count for *_, count in rows)
    return Chart(
        "queue",
        "What is open now",
        f"{number:,} {'run' if number == 1 else 'runs'}",
        _lanes(rows),
        ("status", "runs"),
        tuple((word, f"{count:,}") for _, word, count in rows),
    )


def _labels(days: Sequence[Day]) -> tuple[str, ...]:
    return tuple(f"{day.day.day} {day.day:%b}" for day in days)


def _rows(days: Sequence[Day], series: Sequence[Series], form: str) -> tuple[tuple[str, ...], ...]:
    """The days on which something was, as cells, the newest first."""
    rows = []
    for place, day in enumerate(days):
        values = [values[place] for _, _, values in series]
        if any(values):
            rows.append((day.day.isoformat(), *(form.format(value) for value in values)))
    return tuple(reversed(rows))


# --- drawing ------------------------------------------------------------------------------------
# A drawing takes its time and most of them stay as they are between two pages, so that each is
# kept by its numbers.


@lru_cache(maxsize=16)
def _bars(labels: tuple[str, ...], series: tuple[Series, ...], form: str) -> Markup:
    """Bars per day, stacked; each tells its numbers when it is pointed at."""
    pygal = _library()
    top = max(map(sum, zip(*(values for *_, values in series), strict=True)))
    steps = scale(top)
    graph = pygal.StackedBar(
        **OPTIONS,
        style=_style(),
        height=HEIGHT,
        range=(0, steps[-1]),
        show_minor_x_labels=False,
        value_formatter="{:,.10g}".format,
    )
    graph.y_labels = list(steps)
    graph.x_labels = list(labels)
    graph.x_labels_major = list(labels[::-7])
    for _, name, values in series:
        graph.add(name, list(values))
    root = _bare(graph)
    for place, (colour, name, values) in enumerate(series):
        (drawn,) = (part for part in _of_class(root, f"serie-{place}") if _of_class(part, "bars"))
        _paint(drawn, colour)
        (bars,) = _of_class(drawn, "bars")
        for bar, label, value in zip(list(bars), labels, values, strict=True):
            if not value:
                bars.remove(bar)
                continue
            words = f"{form.format(value)} {name}"
            ElementTree.SubElement(bar, f"{{{NAMESPACE}}}title").text = f"{label}: {words}"
    return _text_of(root)


@lru_cache(maxsize=16)
def _lanes(lanes: tuple[tuple[str, str, int], ...]) -> Markup:
    """One horizontal bar for each name, the first at the top, its number next to it."""
    pygal = _library()
    upwards = tuple(reversed(lanes))
    graph = pygal.HorizontalBar(
        **OPTIONS,
        style=_style(),
        height=LANE * len(lanes) + 8,
        # Room for the number behind the longest bar.
        range=(0, 1.2 * max(value for *_, value in lanes)),
        value_formatter="{:,.0f}".format,
        print_values=True,
        show_x_labels=False,
        show_y_guides=False,
        show_x_guides=False,
    )
    graph.x_labels = [name for _, name, _ in upwards]
    graph.add("", [value for *_, value in upwards])
    root = _bare(graph)
    bars = _of_class(root, "bar")
    numbers = _of_class(root, "value")
    for bar, number, (colour, _, _) in zip(bars, numbers, upwards, strict=True):
        _paint(bar, colour)
        (shape,) = _of_class(bar, "rect")
        end = float(shape.get("x", "0")) + float(shape.get("width", "0"))
        number.set("x", f"{end + 6:.1f}")
        number.set("text-anchor", "start")
    return _text_of(root)


def scale(top: float) -> tuple[float, ...]:
    """Round numbers from 0 to `top` or a little more, at most six; `top` is above 0 and finite."""
    power = 10.0 ** floor(log10(top / 4))
    step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size * 4 >= top)
    if top <= 4 and top == floor(top):
        step = 1.0
    # By their number, not until `top` is passed: a step too small to count would never get there.
    return tuple(float(f"{step * place:.10g}") for place in range(min(ceil(top / step), 5) + 1))


class Graph(Protocol):
    """A chart as the library has it."""

    def render_tree(self) -> ElementTree.Element:
        """The drawing."""


@cache
def _library() -> ModuleType:
    """The library, late because it is slow to import.

    It leaves a finder of an old kind behind, for extensions that we have none of: every further
    import of this process would warn of it.
    """
    import pygal

    sys.meta_path[:] = [f for f in sys.meta_path if type(f).__module__ != pygal.__name__]
    module: ModuleType = pygal
    return module


def _style() -> object:
    """The sizes that the library makes room for."""
    return _library().style.Style(label_font_size=12, major_label_font_size=12, value_font_size=12)


def _bare(graph: Graph) -> ElementTree.Element:
    """The drawing without what a strict policy would refuse, and what only scripts use."""
    root = graph.render_tree()
    for element in list(root.iter()):
        for child in list(element):
            name = str(child.tag).rpartition("}")[2]
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
