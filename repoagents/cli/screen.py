"""What is redrawn in place on a terminal. The only user of rich."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from repoagents.cli.colours import STATUSES, coloured_status
from repoagents.cli.terminal import paint
from repoagents.domain.run import Run, RunStatus

COLUMNS = (("issue", 6), ("status", 17), ("stage", 12), ("elapsed", 8))
"""Headings and widths; the last event gets what is left, and is cut where it does not fit."""


class Table:
    """A live table of stage, elapsed time and last event per run, with the signs of life below."""

    def __init__(
        self,
        stream: IO[str],
        now: Callable[[], datetime],
        signs: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._now = now
        self._signs = signs
        self._runs: Sequence[Run] = ()
        self._below: tuple[str, ...] = ()
        # A function, so that elapsed times go on between two polls.
        self._live = Live(
            get_renderable=self._draw, console=Console(file=stream), refresh_per_second=4
        )
        self._live.start()

    def show(self, runs: Sequence[Run], _finished: object) -> None:
        """Redraw."""
        self._runs, self._below = runs, tuple(self._signs())
        self._live.refresh()

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._live.stop()

    def _draw(self) -> Group:
        table = Grid(box=None, padding=(0, 1, 0, 0), expand=True, show_header=bool(self._runs))
        for heading, width in COLUMNS:
            table.add_column(heading, no_wrap=True, width=width)
        table.add_column("last event", ratio=1, no_wrap=True, overflow="ellipsis")
        for run in self._runs:
            # Text, not str: brackets in an event are not markup.
            table.add_row(
                str(run.issue_number),
                Text.from_ansi(paint(run.status.value, STATUSES[run.status])),
                _stage(run),
                _elapsed(run, self._now()),
                Text(_last(run)),
            )
        return Group(table, *(Text(line, style="dim") for line in self._below))


@contextmanager
def page(stream: IO[str]) -> Iterator[Callable[[str], None]]:
    """A text that is redrawn by calling what this gives; the last one stays.

    On the terminal's other screen: a window that is made narrower would fold the lines of this one,
    and leave parts of them behind.
    """
    console, last = Console(file=stream, highlight=False), [""]

    def redraw(text: str) -> None:
        last[0] = text
        live.update(Text.from_ansi(coloured_status(text)), refresh=True)

    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            yield redraw
    finally:
        console.print(Text.from_ansi(coloured_status(last[0])))


def _stage(run: Run) -> str:
    if run.status is not RunStatus.IN_PROGRESS or run.stage is None:
        return ""
    return run.stage.value + (f" {run.round}" if run.round > 1 else "")


def _elapsed(run: Run, now: datetime) -> str:
    """Time in the stage while it runs, else from the run's start to its end."""
    since = run.stage_started_at if run.status is RunStatus.IN_PROGRESS else run.started_at
    if since is None:
        return ""
    until = run.finished_at or now
    return str(timedelta(seconds=max(0, round((until - since).total_seconds()))))


def _last(run: Run) -> str:
    said = run.last_event
    if run.failure is not None and run.status is not RunStatus.IN_PROGRESS:
        said = run.failure.message
    return said.strip().partition("\n")[0]
