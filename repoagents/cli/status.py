"""`status`: where the runs stand. Imports little, because it is typed all the time."""

import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from repoagents.bootstrap import SystemClock
from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.follow import Lines, Watch, follow
from repoagents.cli.output import at_terminal, effect_rows, examples, remark, render_json
from repoagents.domain.run import Run, RunStatus
from repoagents.store.reader import Reader, StateOnServer, open_reader
from repoagents.store.worker_lock import holder
from repoagents.views.snapshot import Snapshot, run_row, snapshot_row
from repoagents.views.text import render_run, render_status

WATCH_SECONDS = 1.0


class Question(NamedTuple):
    """What is asked: where, about all or one issue, how many runs, in which form."""

    control: Path
    issue: int | None
    limit: int
    as_json: bool


@click.command(epilog=examples("status", "status --issue 12", "status --watch"))
@click.option("--issue", type=click.IntRange(min=1), metavar="N", help="Only this issue, in full.")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    metavar="N",
    show_default=True,
    help="At most so many runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(*, issue: int | None, watch: bool, limit: int, as_json: bool) -> int:
    """Show the runs, and whether a worker is live.

    It only reads, and works beside a running worker.
    """
    if watch and as_json:
        raise click.UsageError("--watch and --json exclude each other")
    question = Question(place.control_folder(), issue, limit, as_json)
    if watch:
        return _watch(question)
    text = _text(question, _open(question.control))
    if text is None:
        remark(f"issue {issue} has no run yet: `repoagents trigger {issue}` makes one")
        return UNFINISHED
    click.echo(text)
    return DONE


def _open(control: Path) -> Reader:
    """The records, wherever they are."""
    try:
        return open_reader(control)
    except StateOnServer:
        return place.open_premises().reader()


def _text(question: Question, reader: Reader) -> str | None:
    if question.issue is None:
        return _all(question, reader)
    return _one(question, reader, question.issue)


def _all(question: Question, reader: Reader) -> str:
    runs, counts = reader.runs(limit=question.limit), reader.counts()
    now, worker = SystemClock().now(), _worker(question.control)
    if question.as_json:
        return render_json(snapshot_row(Snapshot(now, runs, counts, worker)))
    width = shutil.get_terminal_size().columns
    return render_status(runs, counts, now, width, worker).rstrip()


def _one(question: Question, reader: Reader, issue: int) -> str | None:
    """The newest run of an issue in full, and in JSON every run of it; None without a run."""
    runs = reader.runs(limit=question.limit, issue=issue)
    if not runs:
        return None
    effects, timings = effect_rows(reader, runs[0].id), reader.timings(runs[0].id)
    if not question.as_json:
        return render_run(runs[0], effects, timings, SystemClock().now()).rstrip()
    names = ("name", "state", "flag", "reason", "location")
    return render_json(
        {
            "worker": _worker(question.control),
            "issue": issue,
            "runs": [run_row(run) for run in runs],
            "effects": [dict(zip(names, row, strict=True)) for row in effects],
            "stages": [{"stage": s, "round": r, "seconds": t} for s, r, t in timings],
        }
    )


def _worker(control: Path) -> str:
    owner = holder(control)
    return f"a worker is live: {owner}" if owner else ""


def _watch(question: Question) -> NoReturn:
    """Until Ctrl-C: redraw the answer on a terminal, write what changes into a pipe."""
    if not at_terminal(sys.stdout):
        lines = Lines(click.echo, SystemClock().now)
        follow(Watch(_Reopened(question.control), lines, question.issue))
    from repoagents.cli.screen import page

    pause = threading.Event()
    with page(sys.stdout) as redraw:
        while True:
            text = _text(question, _open(question.control))
            redraw(text or f"issue {question.issue} has no run yet")
            pause.wait(WATCH_SECONDS)


class _Reopened:
    """The runs of a state that may not exist yet: opened anew for every question."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def runs(
        self, statuses: Sequence[RunStatus] = (), limit: int = 50, issue: int | None = None
    ) -> tuple[Run, ...]:
        """Runs, newest first."""
        return _open(self._control).runs(statuses, limit, issue)
