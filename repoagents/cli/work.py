"""Doing the work, or following whoever does it, with the progress shown meanwhile."""

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from repoagents.cli.boundary import DONE, INTERRUPTED, UNFINISHED
from repoagents.cli.desk import PENDING, Answer, Desk
from repoagents.cli.follow import POLL_SECONDS, Watch, display_on, in_background
from repoagents.cli.output import remark, shown_path
from repoagents.cli.redraw import redrawing
from repoagents.domain.run import Run, RunStatus
from repoagents.durable.worker import Assignment, Interrupted
from repoagents.errors import StoreError
from repoagents.pipeline.dossier import gather
from repoagents.policy.wording import one_line
from repoagents.ports import Request
from repoagents.views.headline import headline
from repoagents.views.text import signs_of_life

WELL_ENDED = (RunStatus.COMPLETED, RunStatus.NO_CHANGE, RunStatus.AWAITING_APPROVAL)
_SHOWN = (
    ("handoff.md", "read first"),
    ("handoff.html", "as a page"),
    ("changes.patch", "the change"),
)
UNDER_WAY = (RunStatus.QUEUED, RunStatus.IN_PROGRESS)


def be_worker(desk: Desk, assignment: Assignment, *, quiet: bool) -> tuple[Run, ...]:
    """Do the assigned work and show it, on the dashboard too; returns the runs seen moving.

    `quiet` keeps stdout free for a JSON answer. Raises `Interrupted` when a person ended it.
    """
    watch = _watch(desk, assignment.issue, quiet=quiet, news=_News(desk))
    with in_background(watch), redrawing(desk.premises, desk.house) as changed:
        desk.premises.work(assignment, changed)
    return tuple(watch.seen.values())


def see_through(desk: Desk, request: Request, *, quiet: bool) -> Answer:
    """Have a request done and follow it to its rest: by the live worker, or as the worker.

    A worker for another issue alone is let end first.
    """
    number, worked = request.issue_number, False
    while True:
        if desk.taker(number) is None:
            _await_turn(desk, number)
            worked = _try_working(desk, request, quiet=quiet)
        (answer,) = desk.ask([request])
        if worked or answer.outcome != PENDING:
            break  # else its worker ended before it heard
    if desk.taker(number) is not None and not answer.refused:
        _attend(desk, number, quiet=quiet)
    return answer


def _await_turn(desk: Desk, number: int) -> None:
    """Wait while somebody works on another issue alone."""
    pause, told = threading.Event(), ""
    try:
        while (worker := desk.worker) is not None and not worker.takes_up(number):
            if str(worker) != told:
                told = str(worker)
                remark(f"issue {number} waits for the end of {told}")
            pause.wait(POLL_SECONDS)
    except KeyboardInterrupt:
        remark(f"issue {number} was not begun; {told} goes on")
        raise


def _try_working(desk: Desk, request: Request, *, quiet: bool) -> bool:
    """Be the worker for the request's issue; False when somebody else is."""
    desk.house.inbox.put(request)
    try:
        be_worker(desk, Assignment(issue=request.issue_number), quiet=quiet)
    except StoreError:
        # Somebody else became the worker between the look and the lock.
        if desk.worker is None:
            raise
        return False
    return True


def _attend(desk: Desk, number: int, *, quiet: bool) -> None:
    """Follow the live worker until the issue's run rests or the worker is gone."""
    pause = threading.Event()
    try:
        with in_background(_watch(desk, number, quiet=quiet)):
            while True:
                # Asked before the run is read: a worker may finish the run and then end.
                worker = desk.taker(number)
                run = desk.house.runs.latest(number)
                if run is None or run.status not in UNDER_WAY:
                    return
                if worker is None:
                    break
                pause.wait(POLL_SECONDS)
    except KeyboardInterrupt:
        remark(f"detached; the work goes on: `repoagents status --issue {number}` shows it")
        raise
    remark("the worker has ended; `repoagents run` goes on with the issue")


def explain_interruption(stop: Interrupted) -> int:
    """Say what was parked and how it goes on; returns the exit code."""
    for run in stop.parked:
        remark(
            f"issue {run.issue_number}: the agent was ended and the run is parked; "
            f"`repoagents trigger {run.issue_number}` or `repoagents run` goes on with it"
        )
    if not stop.parked:
        remark("stopped; nothing was under way")
    return INTERRUPTED


def code_of_runs(runs: Iterable[Run]) -> int:
    """The exit code: unfinished unless the newest run of each issue ended well, or by a person."""
    newest = {run.issue_number: run for run in sorted(runs, key=lambda run: run.created_at)}
    over = (*WELL_ENDED, RunStatus.CANCELLED)
    return DONE if all(run.status in over for run in newest.values()) else UNFINISHED


def story(desk: Desk, run: Run) -> str:
    """What happened to a run, what is asked of the reader, and where to look first."""
    told = gather(desk.house, run)
    folder = desk.house.artifacts.folder(run.issue_number, run.id)
    lines = [headline(run, told.verdict, told.effects)]
    for name, what in _SHOWN:
        if (folder / name).is_file() and (folder / name).stat().st_size:
            lines.append(f"  {what}: {shown_path(folder / name)}")
    return "\n".join(lines)


class _News:
    """What the log of this process tells of the newest poll, and what it warned of last.

    On a terminal the log goes to its file alone, and nobody would see it.
    """

    def __init__(self, desk: Desk) -> None:
        self._polled = self._warned = ""
        desk.premises.journal.listen(self._hear)

    def _hear(self, line: Mapping[str, object]) -> None:
        if line["code"] == "polled":
            self._polled = f"found: {line['message']}"
        elif line["level"] in ("warning", "error"):
            told = datetime.fromisoformat(str(line["at"])).astimezone()
            self._warned = f"{told:%H:%M:%S} {line['level']}: {line['message']}"

    def lines(self) -> Iterator[str]:
        """A line each, as far as there is anything."""
        yield from (one_line(news, 400) for news in (self._polled, self._warned) if news)


def _watch(desk: Desk, issue: int | None, *, quiet: bool, news: _News | None = None) -> Watch:
    stream, now = sys.stderr if quiet else sys.stdout, desk.house.clock.now

    def signs() -> Iterator[str]:
        if issue is None:
            yield from signs_of_life(desk.reader.pulses(), now())
        if news is not None:
            yield from news.lines()

    return Watch(desk.reader, display_on(stream, now, signs), issue)
