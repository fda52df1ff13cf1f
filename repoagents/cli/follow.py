"""Progress, for a screen and for a pipe: one watch polls the records and shows what changed."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import IO, NoReturn, Protocol

from repoagents.cli.output import at_terminal
from repoagents.domain.run import AT_WORK, Run, RunStatus, Stage
from repoagents.errors import StoreError

POLL_SECONDS = 0.5
QUIET = timedelta(seconds=10)
"""In a pipe, news from within a stage is told at most this often."""


Timing = tuple[Stage, int, float]
"""A finished stage: its name, its round (0 before the first build) and its seconds."""


class Source(Protocol):
    """Where runs are read."""

    def runs(
        self, statuses: Sequence[RunStatus] = (), limit: int = 50, issue: int | None = None
    ) -> tuple[Run, ...]:
        """Runs, newest first."""

    def timings(self, run_id: str) -> tuple[Timing, ...]:
        """The finished stages of a run, in order."""


class Display(Protocol):
    """What shows the runs to a person."""

    def show(self, runs: Sequence[Run], finished: Mapping[str, Sequence[Timing]]) -> None:
        """Show where the runs stand now, and by run the stages finished since the last call."""

    def close(self) -> None:
        """Nothing more will come."""


class Watch:
    """Looks at the runs that move, and once more at each that has come to rest."""

    def __init__(self, source: Source, display: Display, issue: int | None = None) -> None:
        self._source = source
        self._display = display
        self._issue = issue
        newest = self._newest()
        self._before = {run.id: run for run in newest if run.status not in AT_WORK}
        self._finished = {run.id: len(source.timings(run.id)) for run in newest}
        self.seen: dict[str, Run] = {}

    def look(self) -> Mapping[str, Run]:
        """One poll; returns every run that moved since the watch was made, as it stands now."""
        found = (*self._source.runs(AT_WORK, limit=200, issue=self._issue), *self._newest())
        now = {run.id: run for run in found if run != self._before.get(run.id)}
        for run in self.seen.values():
            if run.status in AT_WORK and run.id not in now:
                later = self._source.runs(limit=20, issue=run.issue_number)
                now |= {same.id: same for same in later if same.id == run.id}
        finished = {run.id: self._new_timings(run) for run in now.values()}
        self.seen |= now
        self._display.show(tuple(self.seen.values()), finished)
        return self.seen

    def _new_timings(self, run: Run) -> tuple[Timing, ...]:
        if self.seen.get(run.id) == run and run.status not in AT_WORK:
            return ()
        timings = self._source.timings(run.id)
        known, self._finished[run.id] = self._finished.get(run.id, 0), len(timings)
        return timings[known:]

    def close(self) -> None:
        """Leave the display as it is."""
        self._display.close()

    def _newest(self) -> tuple[Run, ...]:
        return self._source.runs(limit=50, issue=self._issue)


@contextmanager
def in_background(watch: Watch) -> Iterator[None]:
    """Look twice a second from a thread of its own while the block lasts, and once at its end."""
    ended = threading.Event()

    def keep_looking() -> None:
        last = False
        while not last:
            last = ended.wait(POLL_SECONDS)
            # The worker works on the same state: it is the one to say what is wrong with it.
            with suppress(StoreError):
                watch.look()

    thread = threading.Thread(target=keep_looking, name="follow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        watch.close()


def follow(watch: Watch) -> NoReturn:
    """Look twice a second until Ctrl-C."""
    pause = threading.Event()
    while True:
        watch.look()
        pause.wait(POLL_SECONDS)


def display_on(
    stream: IO[str], now: Callable[[], datetime], signs: Callable[[], Iterable[str]] = tuple
) -> Display:
    """A live table when a person looks at the stream, plain lines when it is a pipe or file.

    `signs` are the lines below the table; elsewhere the log says the same between the lines.
    """
    if at_terminal(stream):
        from repoagents.cli.screen import Table

        return Table(stream, now, signs)
    return Lines(lambda line: print(line, file=stream, flush=True), now)


class Lines:
    """For a pipe: a line per stage and status of a run, and now and then one from within.

    A stage that came and went between two looks gets its line when it has ended.
    """

    def __init__(self, write: Callable[[str], None], now: Callable[[], datetime]) -> None:
        self._write = write
        self._now = now
        self._told: dict[str, tuple[Run, datetime]] = {}
        self._entered: set[tuple[str, Stage | None, int]] = set()

    def show(self, runs: Sequence[Run], finished: Mapping[str, Sequence[Timing]]) -> None:
        """Write what is new since the last call."""
        now = self._now()
        for run in runs:
            for stage, round_, seconds in finished.get(run.id, ()):
                place = (run.id, stage, max(round_, 1))
                if place not in self._entered and place != _stage_of(run):
                    self._tell(now, f"{_in_stage(run, stage, place[2])} took {seconds:.1f} s")
                self._entered.discard(place)
            if self._new(run, now):
                self._told[run.id] = (run, now)
                self._entered.add(_stage_of(run))
                self._tell(now, render_place(run))

    def _new(self, run: Run, now: datetime) -> bool:
        if run.id not in self._told:
            return True
        before, at = self._told[run.id]
        if _place(run) != _place(before):
            return True
        return run.last_event not in ("", before.last_event) and now - at >= QUIET

    def _tell(self, now: datetime, line: str) -> None:
        try:
            self._write(f"{now.astimezone():%H:%M:%S} {line}")
        except OSError:
            # Whoever read along has enough, or the disk has; the work goes on.
            self._write = lambda _: None

    def close(self) -> None:
        """Nothing is held open."""


def _stage_of(run: Run) -> tuple[str, Stage | None, int]:
    return run.id, run.stage if run.status is RunStatus.IN_PROGRESS else None, run.round


def _place(run: Run) -> tuple[object, ...]:
    return run.status, run.stage, run.round, run.attempt


def render_place(run: Run) -> str:
    """Where a run stands, in one line: `issue 1 build, round 2: edited src/x.py`."""
    words = f"issue {run.issue_number} {run.status.value}"
    said = run.failure.message if run.failure and run.status is not RunStatus.IN_PROGRESS else ""
    if run.status is RunStatus.IN_PROGRESS and run.stage is not None:
        words, said = _in_stage(run, run.stage, run.round), run.last_event
    if run.next_at is not None:
        words += f" until {run.next_at.astimezone():%H:%M:%S}"
    first = said.strip().partition("\n")[0]
    return f"{words}: {first}" if first else words


def _in_stage(run: Run, stage: Stage, round_: int) -> str:
    return f"issue {run.issue_number} {stage.value}" + (f", round {round_}" if round_ > 1 else "")
