"""`status`: where the runs stand."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from repoagents.cli import overview, place, terminal
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.colours import coloured_status
from repoagents.cli.follow import Lines, Timing, Watch, follow
from repoagents.cli.options import AS_JSON, ISSUE, Whole
from repoagents.cli.output import at_terminal, examples, unanswered
from repoagents.domain.run import Run, RunStatus

WATCH_SECONDS = 1.0
BESIDE = 9
"""Lines that the heading, the counts and the signs of life take of a screen."""


@click.command(epilog=examples("status", "status --issue 12", "status --watch"))
@click.option("--issue", type=ISSUE, metavar="N", help="Only this issue, in full.")
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
@click.option(
    "--limit",
    type=Whole(min=1),
    default=overview.LIMIT,
    metavar="N",
    show_default=True,
    help="At most this many runs.",
)
@AS_JSON
def command(*, issue: int | None, watch: bool, limit: int, as_json: bool) -> int:
    """Show the runs, and whether a worker is live.

    It only reads, and works beside a running worker.
    """
    if watch and as_json:
        raise click.UsageError("--watch and --json exclude each other")
    question = overview.Question(place.control_folder(), issue, limit, as_json)
    if watch:
        _watch(question)
    text = overview.answer(question)
    if text is None:
        reason = f"issue {issue} has no run yet: `repoagents trigger {issue}` makes one"
        unanswered(reason, as_json=as_json, issue=issue)
        return UNFINISHED
    click.echo(text if as_json else coloured_status(text))
    return DONE


def _watch(question: overview.Question) -> NoReturn:
    """Until Ctrl-C: redraw the answer on a terminal, write what changes into a pipe."""
    if not at_terminal(sys.stdout) or terminal.is_dumb():
        _tell(question)
    from repoagents.cli.screen import page

    pause = threading.Event()
    with page(sys.stdout) as redraw:
        while True:
            fits = question._replace(limit=max(min(question.limit, terminal.lines() - BESIDE), 1))
            redraw(overview.answer(fits) or f"issue {question.issue} has no run yet")
            pause.wait(WATCH_SECONDS)


def _tell(question: overview.Question) -> NoReturn:
    from repoagents.bootstrap import SystemClock

    lines = Lines(click.echo, SystemClock().now)
    follow(Watch(_Reopened(question.control), lines, question.issue))


class _Reopened:
    """The runs of a state that may not exist yet: opened anew for every question."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def runs(
        self, statuses: Sequence[RunStatus] = (), limit: int = 50, issue: int | None = None
    ) -> tuple[Run, ...]:
        """Runs, newest first."""
        return overview.open_records(self._control).runs(statuses, limit, issue)

    def timings(self, run_id: str) -> tuple[Timing, ...]:
        """The finished stages of a run, in order."""
        return overview.open_records(self._control).timings(run_id)
