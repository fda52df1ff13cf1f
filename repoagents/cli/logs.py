"""`logs`: what the bot noted, about an issue or all."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from repoagents.cli import overview, place
from repoagents.cli.colours import coloured
from repoagents.cli.options import AS_JSON, ISSUE
from repoagents.cli.output import examples, print_json, remark
from repoagents.domain.places import LOG
from repoagents.domain.run import AT_WORK
from repoagents.policy.wording import one_line

POLL_SECONDS = 0.3
LAST_WORDS = 7
"""How many looks in a row find nothing new before a run at rest has said all: about two seconds."""

LEVELS = {"debug": "idle", "warning": "warn", "error": "bad"}
_LEVEL = r"^([\d-]{10} [\d:]{8} )([a-z]+)"

Line = dict[str, object]


@click.command(epilog=examples("logs 12", "logs 12 --follow", "logs"))
@click.argument("number", type=ISSUE, required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the issue's run is at rest.")
@AS_JSON
def command(*, number: int | None, follow: bool, as_json: bool) -> int:
    """Show what the bot noted, about one issue or all of them.

    Time, level, a stable event code and a sentence, oldest first, rotated files included. It is
    read from `.ai-repoagents/logs/repoagents.jsonl`. Without an issue, --follow goes on until
    Ctrl-C.
    """
    if follow and as_json:
        raise click.UsageError("--follow and --json exclude each other")
    control = place.control_folder()
    with closing(Log(control / LOG)) as log:
        if as_json:
            print_json({"issue": number, "lines": list(_about(number, log))})
            return 0
        shown = _show(number, log)
        if follow:
            _follow(number, log, control)
        elif not shown:
            remark(
                "nothing was noted" if number is None else f"nothing was noted about issue {number}"
            )
    return 0


def _show(number: int | None, log: "Log") -> bool:
    """Print the new lines; whether there were any."""
    shown = False
    for line in _about(number, log):
        click.echo(coloured(render_line(line, named=number is None), LEVELS, _LEVEL))
        shown = True
    return shown


def _follow(number: int | None, log: "Log", control: Path) -> None:
    """Print what is noted from now on, until the issue's run is at rest and has said all."""
    pause, quiet = threading.Event(), 0
    if not _is_at_rest(number, control) and not overview.worker(control):
        remark("no worker is running: `repoagents run` starts one")
    while quiet < LAST_WORDS:
        sys.stdout.flush()
        pause.wait(POLL_SECONDS)
        # Asked before the log is read: what a run says last, it says after it has ended.
        rests = _is_at_rest(number, control)
        quiet = 0 if _show(number, log) or not rests else quiet + 1


def _is_at_rest(number: int | None, control: Path) -> bool:
    """Whether the issue has a run, and nothing happens to it without a person."""
    if number is None:
        return False
    runs = overview.open_records(control).runs(limit=1, issue=number)
    return bool(runs) and runs[0].status not in AT_WORK


def _about(number: int | None, log: "Log") -> Iterator[Line]:
    """The new lines about an issue, or all; what cannot be read as one is passed over."""
    for text in log.new_lines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and number in (None, line.get("issue")):
            yield line


def render_line(line: Line, *, named: bool = False) -> str:
    """A line for people, with its issue when `named`; no text from outside moves their cursor."""
    at, level, code, message = (
        str(line.get(key, "")) for key in ("at", "level", "code", "message")
    )
    try:
        at = f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        at = one_line(at, 19)
    issue = line.get("issue") if named else None
    about = f"#{issue} " if isinstance(issue, int) else ""
    return f"{at} {one_line(level):<7} {about}{one_line(code)}: {one_line(message, 1_000)}"


class Log:
    """A log that is rotated by renaming: `.1` is the youngest of the files before it."""

    def __init__(self, path: Path) -> None:
        """Open every file there is, so that a rotation while we read takes none away."""
        self._path = path
        self._torn = b""
        self._files: list[BinaryIO] = []
        for name in (path, *sorted(path.parent.glob(f"{path.name}.[0-9]"))):
            file = _open(name)
            # A rotation between two opens gives the same file under its new name.
            if file is not None and any(_same(file, other) for other in self._files):
                file.close()
            elif file is not None:
                self._files.insert(0, file)

    def close(self) -> None:
        """Close what is open."""
        for file in self._files:
            file.close()

    def new_lines(self) -> Iterator[bytes]:
        """Every complete line that was not given before, oldest first."""
        while self._files or self._reopen():
            # Asked before reading: after a rotation nothing more is written to the old file.
            done = self._rotated(self._files[0])
            for piece in self._files[0]:
                self._torn += piece
                if self._torn.endswith(b"\n"):
                    yield self._torn
                    self._torn = b""
            if not done:
                return
            self._files.pop(0).close()

    def _reopen(self) -> bool:
        file = _open(self._path)
        self._files = [] if file is None else [file]
        return file is not None

    def _rotated(self, file: BinaryIO) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return True


def _open(path: Path) -> BinaryIO | None:
    try:
        # A pipe in its place would be waited for.
        return path.open("rb") if path.is_file() else None
    except FileNotFoundError:
        return None


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))
